"""The reported front: which runs count, how sure it is, and what its sentence claims."""

from __future__ import annotations

import numpy as np
import pytest
from made_trials import FULL, OBJECTIVES, trial
from scipy import stats

from search.finalists import finalists
from search.front import Front, build_front
from search.front_report import report
from search.ledger import Trial, history_of
from search.probability import probabilities
from search.statement import statement


def front(*trials: Trial) -> Front:
    return build_front(trials, OBJECTIVES, FULL)


def test_a_point_is_the_mean_of_its_fresh_seeds_and_not_of_the_run_that_chose_it() -> None:
    made = front(trial(0, 10, {("rung", FULL, 0): 0.9, ("finalist", FULL, 1): 0.7, ("finalist", FULL, 2): 0.6}))
    (point,) = made.points
    assert point.fresh
    assert point.values["accuracy"] == pytest.approx(0.65)
    assert point.test["accuracy"] == pytest.approx(0.64)


def test_a_sampler_sees_every_run_of_a_sampled_trial() -> None:
    """Fresh seeds tell the model the noise, whatever they were run for."""
    runs = {("rung", 10, 0): 0.6, ("rung", FULL, 0): 0.9, ("finalist", FULL, 1): 0.8, ("finalist", FULL, 2): 0.7}
    (seen,) = history_of([trial(0, 100, runs)]).trials
    assert [(each.fidelity, each.seed) for each in seen.observations] == [
        (10 / FULL, 0), (1.0, 0), (1.0, 1), (1.0, 2),
    ]  # fmt: skip


def test_a_trial_below_the_top_rung_is_no_point() -> None:
    assert front(trial(0, 10, {("rung", 33, 0): 0.9})).points == ()


def test_the_front_is_ordered_by_cost_and_leaves_dominated_points_out() -> None:
    made = front(
        trial(0, 1000, {("rung", FULL, 0): 0.9}),
        trial(1, 10, {("rung", FULL, 0): 0.5}),
        trial(2, 2000, {("rung", FULL, 0): 0.8}),
    )
    assert [made.points[index].trial.number for index in made.on_front] == [1, 0]


def test_the_interval_is_students_t_on_the_spread_pooled_over_points() -> None:
    first, second = [0.70, 0.74], [0.50, 0.56]
    made = front(
        trial(0, 1000, {("finalist", FULL, seed): value for seed, value in enumerate(first, 1)}),
        trial(1, 10, {("finalist", FULL, seed): value for seed, value in enumerate(second, 1)}),
    )
    pooled = np.sqrt((np.var(first, ddof=1) + np.var(second, ddof=1)) / 2)
    half = stats.t.ppf(0.975, 2) * pooled / np.sqrt(2)
    assert made.points[0].estimates["accuracy"].interval == pytest.approx((0.72 - half, 0.72 + half))
    assert "trainable_parameters" not in made.points[0].estimates


def test_without_a_repeated_seed_there_is_neither_interval_nor_probability() -> None:
    made = front(trial(0, 10, {("rung", FULL, 0): 0.5}))
    assert made.points[0].estimates == {}
    assert probabilities(made, seed=0) == {}


def test_probability_of_the_front_agrees_with_students_t() -> None:
    """The dearer of two points is on the front exactly when its quality is higher; the spread has two degrees."""
    cheap, dear = [0.60, 0.64], [0.63, 0.67]
    made = front(
        trial(0, 10, {("finalist", FULL, seed): value for seed, value in enumerate(cheap, 1)}),
        trial(1, 1000, {("finalist", FULL, seed): value for seed, value in enumerate(dear, 1)}),
    )
    spread = np.sqrt((np.var(cheap, ddof=1) + np.var(dear, ddof=1)) / 2)
    expected = stats.t.cdf(0.03 / (spread / np.sqrt(2) * np.sqrt(2)), 2)
    chances = probabilities(made, seed=0)
    assert chances[0] == 1.0
    assert chances[1] == pytest.approx(float(expected), abs=0.05)


def test_a_flat_front_is_called_flat() -> None:
    made = front(trial(0, 10, {("rung", FULL, 0): 0.960}), trial(1, 90_000, {("rung", FULL, 0): 0.970}))
    assert "nearly flat" in statement(made)
    assert "cheapest" in statement(made)


def test_a_gain_within_the_noise_is_not_called_flat_but_undecided() -> None:
    made = front(
        trial(0, 10, {("finalist", FULL, 1): 0.50, ("finalist", FULL, 2): 0.70}),
        trial(1, 1000, {("finalist", FULL, 1): 0.60, ("finalist", FULL, 2): 0.80}),
    )
    assert "within the noise" in statement(made)
    assert "flat" not in statement(made)


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        ([0.90, 0.91], [0.60, 0.61], "better than the best baseline"),
        ([0.60, 0.61], [0.90, 0.91], "worse than the best baseline"),
        ([0.60, 0.70], [0.61, 0.71], "do not differ significantly"),
    ],
)
def test_the_search_is_compared_with_the_baselines_honestly(ours: list[float], theirs: list[float], said: str) -> None:
    made = front(
        trial(0, 10, {("finalist", FULL, seed): value for seed, value in enumerate(ours, 1)}),
        trial(1, 1000, {("baseline", FULL, seed): value for seed, value in enumerate(theirs, 1)}, kind="baseline"),
    )
    assert said in statement(made)


def test_finalists_are_sampled_points_of_the_front_the_knee_first() -> None:
    made = front(
        trial(0, 0, {("baseline", FULL, 1): 0.3}, kind="baseline"),
        trial(1, 100, {("rung", FULL, 0): 0.8}),
        trial(2, 100_000, {("rung", FULL, 0): 0.85}),
        trial(3, 200_000, {("rung", FULL, 0): 0.5}),
    )
    assert made.knee is not None
    assert made.points[made.knee].trial.number == 1
    assert [each.number for each in finalists(made, 5, seed=0)] == [1, 2]
    assert [each.number for each in finalists(made, 1, seed=0)] == [1]


def test_an_empty_front_reports_itself() -> None:
    described = report(front(), seed=0)
    assert described["points"] == []
    assert described["knee"] is None
    assert described["hypervolume"] == 0.0
    assert "No feasible point" in str(described["statement"])
