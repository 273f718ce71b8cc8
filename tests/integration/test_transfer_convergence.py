"""A related source saves trials, also from a model of another size; a source that says the opposite is dropped, and
costs no more than the trials that it began with. The problem and its known front: `benchmarks.transfer`."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.transfer import WARM_START, opposite, problem, related, search, source
from search.samplers.sampler import History
from search.transfer.transfer import SOURCE, Transfer


@pytest.mark.parametrize("model", ["larger", "smaller"])
def test_a_related_source_saves_trials(model: str) -> None:
    space, objectives = problem()
    _, with_source, _ = search(space, objectives, [source("friend", related, model)], 1, 8)
    _, alone, _ = search(space, objectives, [], 1, 10)
    assert with_source[-1] > alone[-1] + 0.1


def test_a_source_that_says_the_opposite_costs_no_more_than_its_own_trials() -> None:
    space, objectives = problem()
    foe = source("foe", opposite, "larger")
    alone, _, _ = search(space, objectives, [], 1, 5)
    begun = len(Transfer([foe], space, objectives, WARM_START).candidates)
    history, _, transfer = search(space, objectives, [foe], 1, begun + 5)
    assert transfer is not None
    assert [trial.attributes.get(SOURCE) for trial in history] == ["foe"] * begun + [None] * 5
    # Then the search goes on as it would have begun, and the model that follows knows nothing of the source.
    assert [trial.point for trial in history[begun:]] == [trial.point for trial in alone]
    (verdict,) = transfer.verdicts(History(tuple(history)))
    assert (verdict.state, verdict.weight) == ("dropped", 0.0)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["larger", "smaller"])
def test_over_seeds_a_related_source_helps_and_an_opposite_one_does_not_harm(model: str) -> None:
    space, objectives = problem()
    alone = np.array([search(space, objectives, [], seed, 20)[1] for seed in range(4)]).mean(axis=0)
    friend = np.array([search(space, objectives, [source("friend", related, model)], seed, 20)[1] for seed in range(4)])
    foe = np.array([search(space, objectives, [source("foe", opposite, model)], seed, 20)[1] for seed in range(4)])
    assert (friend.mean(axis=0)[[7, 11, 15, 19]] > alone[[7, 11, 15, 19]]).all()
    assert foe.mean(axis=0)[19] > alone[19 - WARM_START] - 0.05
