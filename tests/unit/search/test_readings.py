"""Short runs' losses on the scale of full runs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, spearmanr

from search.samplers.bayes.readings import ENOUGH_PAIRS, normal_scores, readings
from search.samplers.sampler import Observation, PastTrial
from search.scales import Scale

ACCURACY = Scale(best=1.0, worst=0.2)


def trial(number: int, *runs: tuple[float, float, float]) -> PastTrial:
    """Runs: fidelity, loss, accuracy."""
    seen = tuple(Observation(fidelity, 0, {"loss": loss, "accuracy": accuracy}) for fidelity, loss, accuracy in runs)
    return PastTrial(number, {}, None, "completed", seen)


def short_and_full(count: int, climbed: int, seed: int = 0) -> list[PastTrial]:
    """At the low rung every run still predicts one class; its loss goes with the full run's accuracy."""
    rng = np.random.default_rng(seed)
    quality = rng.permutation(np.linspace(0.3, 0.9, count))
    return [
        trial(number, (0.25, 3 - good, 0.2), *([(1.0, 1 - good, good)] if number < climbed else []))
        for number, good in enumerate(quality)
    ]


def test_losses_say_what_a_small_sample_of_accuracy_does_not() -> None:
    trials = short_and_full(40, climbed=15)
    found = readings(trials, "accuracy", ACCURACY, quality=True)
    low = {each.number: value for each, fidelity, value in found if fidelity == 0.25}
    truth = {each.number: ACCURACY.position(3 - each.observations[0].values["loss"]) for each in trials}
    assert spearmanr([low[n] for n in truth], list(truth.values()))[0] == pytest.approx(1.0)
    assert np.abs([low[n] - truth[n] for n in truth]).max() < 0.15, "on the full runs' scale"
    full = {each.number: value for each, fidelity, value in found if fidelity == 1.0}
    assert full == {n: pytest.approx(truth[n]) for n in range(15)}, "full runs are taken as they are"


def test_until_enough_climbed_the_metric_itself_is_read() -> None:
    trials = short_and_full(20, climbed=ENOUGH_PAIRS - 1)
    found = readings(trials, "accuracy", ACCURACY, quality=True)
    assert {value for _, fidelity, value in found if fidelity == 0.25} == {1.0}


def test_a_rung_that_goes_against_the_full_runs_is_left_out() -> None:
    trials = [trial(n, (0.1, good, 0.2), (1.0, 1 - good, good)) for n, good in enumerate(np.linspace(0.3, 0.9, 8))]
    assert {fidelity for _, fidelity, _ in readings(trials, "accuracy", ACCURACY, quality=True)} == {1.0}


def test_costs_and_trials_without_a_loss_are_read_as_measured() -> None:
    trials = short_and_full(10, climbed=6)
    plain = readings(trials, "accuracy", ACCURACY, quality=False)
    assert {value for _, fidelity, value in plain if fidelity == 0.25} == {1.0}
    bare = [PastTrial(0, {}, None, "completed", (Observation(0.25, 0, {"accuracy": 0.6}),))]
    assert [value for *_, value in readings(bare, "accuracy", ACCURACY, quality=True)] == [pytest.approx(0.5)]


def test_normal_scores_share_ties_and_no_outlier_stretches_them() -> None:
    assert normal_scores([1.0, 5.0, 1e9]) == pytest.approx(norm.ppf([0.25, 0.5, 0.75]))
    assert normal_scores([2.0, 2.0]) == pytest.approx([0.0, 0.0])
