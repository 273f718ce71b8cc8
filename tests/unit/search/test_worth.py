"""What runs next by expected gain a second, and what is dropped."""

from __future__ import annotations

import math

from search.outlook import KEY, Outlook, outlook_of, stored_outlook
from search.samplers.forecast import Answer, Forecast
from search.worth import FULL_RUNS_TO_DROP, HOPELESS, Waiting, best, hopeless


def waiting(trial: int, gain: float, remaining: float) -> Waiting:
    return Waiting(Forecast(trial, 0.25, 1.0, gain), remaining)


def test_the_same_gain_is_taken_where_it_is_cheaper() -> None:
    assert best([waiting(1, 0.01, 25), waiting(2, 0.01, 15)], math.inf) == waiting(2, 0.01, 15)
    assert best([waiting(1, 0.03, 25), waiting(2, 0.01, 15)], math.inf) == waiting(1, 0.03, 25)
    assert best([], math.inf) is None


def test_what_cannot_be_trained_in_full_in_time_is_left_for_what_can() -> None:
    long, short = waiting(1, 0.5, 100), waiting(2, 0.001, 10)
    assert best([long, short], seconds_left=60) == short
    assert best([long, short], seconds_left=100) == long
    assert best([long, short], seconds_left=2) == long, "where nothing fits, the best may still be quicker than thought"


def test_only_what_ran_and_has_no_chance_is_dropped_and_only_by_a_model_that_knows_its_errors() -> None:
    gone = Forecast(3, 0.25, HOPELESS / 2, 0.0)
    assert hopeless(gone, FULL_RUNS_TO_DROP)
    assert not hopeless(gone, FULL_RUNS_TO_DROP - 1)
    assert not hopeless(Forecast(3, 0.25, HOPELESS, 0.0), FULL_RUNS_TO_DROP)
    assert not hopeless(Forecast(3, 0.0, 0.0, 0.0), FULL_RUNS_TO_DROP), "a configuration not yet begun costs nothing"


def test_what_was_said_is_read_again_as_it_was_stored() -> None:
    told = outlook_of(Answer([], [Forecast(4, 0.25, 0.5, 0.01), Forecast(7, 0.0, 1.0, 0.2)], 3), measured=9)
    assert stored_outlook({KEY: told.as_json()}) == told
    assert told.modelled
    assert stored_outlook({}) is None
    silent = outlook_of(Answer([]), measured=2)
    assert silent == Outlook(2, {}, 0)
    assert not silent.modelled
