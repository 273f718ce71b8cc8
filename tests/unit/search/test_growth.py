"""What the growth of the hypervolume lets expect of further trials."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from search.gain import AHEAD
from search.growth import ENOUGH, expected_gain
from search.job import BudgetSpec
from search.pareto import hypervolume
from search.stop import SoFar, stop

LEAST = 0.02
REFERENCE = (1.1, 1.1)


def best_of_uniform(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """One objective, uniform draws: the hypervolume up to 1 after each."""
    return np.maximum.accumulate(1 - rng.random(count))


def fronts(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Two objectives: quality that falls short of a concave front by a share of it that is drawn too."""
    cost, short = rng.random(count), rng.gamma(1.0, 0.2, count)
    return np.column_stack([cost, 1 - np.sqrt(cost) + short])


def grown(rows: NDArray[np.float64]) -> list[float]:
    return [hypervolume(rows[: count + 1], REFERENCE) for count in range(len(rows))]


def stopped_at(hypervolumes: Sequence[float]) -> int | None:
    """The number of trials after which `least_gain` ends the search."""
    budget = BudgetSpec(trials=100_000, least_gain=LEAST)
    for count in range(1, len(hypervolumes) + 1):
        found = stop(budget, SoFar(sampled=count, gain=expected_gain(hypervolumes[:count])))
        if found is not None:
            assert found.rule == "gain"
            return count
    return None


def test_a_search_that_stands_still_is_bounded_by_the_rule_of_three() -> None:
    """No jump in w trials: with 95% certainty there is less than one in w / -ln 0.05, about w / 3."""
    gain = expected_gain([0.1, 0.2, 0.3, 0.4, *[0.5] * 36])
    assert gain is not None
    assert gain.expected == 0
    assert gain.most == pytest.approx(AHEAD * -np.log(0.05) / 20 * 0.1 / 0.5)


def test_jumps_are_bounded_by_the_poisson_limit_and_sized_by_their_root_mean_square() -> None:
    steps = np.zeros(60)
    steps[[0, 5, 31, 37, 40, 44, 50, 59]] = [0.5, 0.1, 0.03, 0.01, 0.02, 0.02, 0.01, 0.01]
    gain = expected_gain(np.cumsum(steps).tolist(), model=0.002)
    assert gain is not None
    late = steps[30:]
    rate = stats.chi2.ppf(0.95, 2 * 7) / 2 / 30
    assert stats.poisson.cdf(6, rate * 30) == pytest.approx(0.05)
    size = np.sqrt(np.mean(late[late > 0] ** 2))
    assert gain.expected == pytest.approx(AHEAD * late.mean() / 0.7)
    assert gain.most == pytest.approx(AHEAD * rate * size / 0.7)
    assert gain.modelled == pytest.approx(AHEAD * 0.002 / 0.7)
    assert gain.ceiling == max(gain.most, gain.modelled)


def test_few_trials_and_an_empty_front_say_nothing() -> None:
    assert expected_gain([0.5] * (ENOUGH - 1)) is None
    assert expected_gain([0.0] * 50) is None
    assert expected_gain([0.5] * ENOUGH) is not None


def test_on_independent_draws_the_limit_holds_against_the_exact_gain() -> None:
    """n uniform draws leave 1/(n+1) to the best possible, so ten more gain 1/(n+1) - 1/(n+11) in the mean."""
    rng = np.random.default_rng(0)
    limits: list[float] = []
    for count in (ENOUGH, 50, 150):
        exact = 1 / (count + 1) - 1 / (count + AHEAD + 1)
        found = [(expected_gain(runs.tolist()), runs[-1]) for runs in (best_of_uniform(rng, count) for _ in range(500))]
        gains = [(gain.expected * now, gain.most * now) for gain, now in found if gain is not None]
        assert len(gains) == 500
        expected, most = np.mean(gains, axis=0)
        assert expected >= exact, "the trials behind gained more than those ahead will"
        assert np.mean([limit >= exact for _, limit in gains]) >= 0.95
        limits.append(float(most))
    assert limits == sorted(limits, reverse=True)


def test_a_search_is_stopped_where_little_is_left_and_rarely_before() -> None:
    rng = np.random.default_rng(0)
    left: list[float] = []
    for _ in range(60):
        rows = fronts(rng, 250)
        volumes = grown(rows)
        count = stopped_at(volumes)
        if count is not None:
            ahead = [
                hypervolume(np.vstack([rows[:count], fronts(rng, AHEAD)]), REFERENCE) - volumes[count - 1]
                for _ in range(40)
            ]
            left.append(float(np.mean(ahead)) / volumes[count - 1])
    assert len(left) >= 50, "250 trials leave little"
    assert np.mean(np.array(left) >= LEAST) <= 0.05


@pytest.mark.parametrize("known", [30, 60])
def test_a_search_with_nothing_left_ends_after_some_trials_without_a_gain(known: int) -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        rows = fronts(rng, known)
        volumes = grown(rows)
        count = stopped_at([*volumes, *[volumes[-1]] * (20 * known)])
        assert count is not None


def test_a_search_that_goes_on_gaining_is_not_stopped() -> None:
    rng = np.random.default_rng(2)
    steady = np.cumsum(rng.random(400) < 0.3) + 1.0  # a gain of one in about three trials: still 1% a trial at the end
    assert stopped_at(steady[:150].tolist()) is None


def test_a_model_that_expects_more_than_the_record_keeps_the_search_going() -> None:
    still = [0.1, 0.2, 0.3, 0.4, *[0.5] * 2000]
    budget = BudgetSpec(trials=100_000, least_gain=LEAST)
    for model, rule in ((None, "gain"), (0.0001, "gain"), (0.01, None)):
        found = stop(budget, SoFar(sampled=len(still), gain=expected_gain(still, model)))
        assert (found.rule if found else None) == rule
