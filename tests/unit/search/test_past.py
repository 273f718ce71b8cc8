"""What samplers read from a history."""

from __future__ import annotations

import numpy as np
import pytest

from search.objectives import Objectives
from search.samplers.past import evidence, full_values, measured, next_number
from search.samplers.sampler import History, Observation, PastTrial
from space.configuration import Configuration


def trial(number: int, *accuracies: tuple[float, float], state: str = "completed") -> PastTrial:
    """A trial measured as (fidelity, accuracy) pairs."""
    seen = tuple(Observation(f, 0, {"accuracy": a, "trainable_parameters": 999.0}) for f, a in accuracies)
    return PastTrial(number, {}, Configuration(), state, seen)


def test_numbers_go_on_after_the_largest() -> None:
    assert next_number(History()) == 0
    assert next_number(History((trial(0), trial(7)))) == 8


def test_failed_and_unmeasured_trials_are_no_results(objectives: Objectives) -> None:
    broken = PastTrial(3, {}, Configuration(), "completed", (Observation(1.0, 0, {"accuracy": float("nan")}),))
    trials = (trial(0, (1.0, 0.7)), trial(1, (1.0, 0.7), state="failed"), trial(2, state="running"), broken)
    assert [each.number for each in measured(History(trials), objectives)] == [0]
    climbing = trial(4, (0.1, 0.6), state="running")
    assert measured(History((climbing,)), objectives) == [climbing], "a running trial's lower rungs are results"


def test_models_learn_from_what_runs_beside_the_search_too(objectives: Objectives) -> None:
    known = History((trial(0, (1.0, 0.7)),), others=(trial(9, (1.0, 0.8)), trial(8)))
    assert [each.number for each in measured(known, objectives)] == [0]
    assert [each.number for each in evidence(known, objectives)] == [0, 9]
    assert next_number(known) == 1


def test_short_runs_are_moved_by_what_longer_training_brought_others(objectives: Objectives) -> None:
    trials = [
        trial(0, (0.1, 0.60), (0.3, 0.70), (1.0, 0.75)),
        trial(1, (0.1, 0.60), (0.3, 0.80)),
        trial(2, (0.1, 0.55)),
        trial(3, (1.0, 0.90)),
    ]
    values, violations = full_values(trials, objectives)
    accuracies = 1 - values[:, 0] / 2
    assert accuracies == pytest.approx([0.75, 0.85, 0.55 + 0.15 + 0.05, 0.90])
    assert values[:, 1] == pytest.approx([0.5] * 4, abs=1e-6)
    assert violations.shape == (4, 0)


def test_seeds_at_one_fidelity_count_by_their_mean(objectives: Objectives) -> None:
    """A front's best point was lucky; its fresh seeds say by how much."""
    values, _ = full_values([trial(0, (0.1, 0.6), (1.0, 0.9), (1.0, 0.7), (1.0, 0.8))], objectives)
    assert 1 - values[0, 0] / 2 == pytest.approx(0.8)


def test_without_trials_at_two_rungs_values_stand_as_they_are(objectives: Objectives) -> None:
    values, _ = full_values([trial(0, (0.1, 0.6)), trial(1, (1.0, 0.9))], objectives)
    assert values[:, 0] == pytest.approx([0.8, 0.2])
    nothing, _ = full_values([], objectives)
    assert nothing.shape == (0, 2)
    assert np.isfinite(values).all()
