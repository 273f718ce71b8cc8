"""Adaptive shrinkage against posteriors that are known exactly."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from search.estimate import Spread, by_all_runs
from search.shrinkage import shrink

NOISE = 0.01


def test_normal_truths_are_shrunk_as_fay_and_herriot_would() -> None:
    """Towards the line, by the share of the variance that is noise."""
    rng = np.random.default_rng(0)
    size, scatter = rng.uniform(2, 6, 1500), 0.01
    line = 0.5 + 0.05 * size
    truth = line + scatter * rng.standard_normal(1500)
    measured = truth + NOISE * rng.standard_normal(1500)
    kept = scatter**2 / (scatter**2 + NOISE**2)
    found = shrink(measured, np.full(1500, NOISE**2), size[:, None])
    assert np.sqrt(np.mean((found.mean - line - kept * (measured - line)) ** 2)) < 0.1 * NOISE
    slope = stats.linregress(measured - line, found.mean - line).slope
    assert slope == pytest.approx(kept, abs=0.05)


def test_a_crowd_is_shrunk_and_an_exception_is_left_alone() -> None:
    """Of a mixture of a crowd and a wide remainder, by Bayes' rule written out."""
    rng = np.random.default_rng(1)
    n, narrow, wide, share = 2000, 0.0025, 0.16, 0.8
    truth = np.where(rng.random(n) < share, narrow, wide) * rng.standard_normal(n)
    measured = truth + NOISE * rng.standard_normal(n)
    parts = np.array([narrow**2, wide**2])
    likely = np.array([share, 1 - share]) * stats.norm.pdf(measured[:, None], scale=np.sqrt(parts + NOISE**2))
    exact = (likely / likely.sum(axis=1, keepdims=True) * parts / (parts + NOISE**2)).sum(axis=1) * measured
    found = shrink(measured, np.full(n, NOISE**2), np.zeros((n, 0))).mean
    assert np.sqrt(np.mean((found - exact) ** 2)) < 0.12 * NOISE
    far = np.abs(measured) > 0.2
    assert found[far] == pytest.approx(measured[far], rel=0.02)
    near = np.abs(measured) < 2 * NOISE
    assert np.abs(found[near]).max() < 0.35 * 2 * NOISE


@pytest.mark.parametrize("n", [1, 3])
def test_too_few_measurements_stand_as_they_are(n: int) -> None:
    measured = np.linspace(0.5, 0.9, n)
    found = shrink(measured, np.full(n, NOISE**2), np.zeros((n, 1)))
    assert found.mean == pytest.approx(measured)
    assert found.deviations == pytest.approx(np.full((n, 1), NOISE))


def test_a_value_without_noise_is_what_it_is() -> None:
    found = by_all_runs([[1.0], [2.0], [3.0], [9.0], [4.0]], np.zeros((5, 1)), Spread(0.0, 6))
    assert [each.value for each in found] == [1.0, 2.0, 3.0, 9.0, 4.0]
    assert found[3].interval == (9.0, 9.0)


def test_a_spread_of_two_runs_is_too_little_to_correct_by() -> None:
    found = by_all_runs([[0.5], [0.6], [0.7], [0.8], [0.9]], np.zeros((5, 1)), Spread(0.1, 2))
    assert [each.value for each in found] == [0.5, 0.6, 0.7, 0.8, 0.9]
    half = stats.t.ppf(0.975, 2) * 0.1
    assert found[0].interval == pytest.approx((0.5 - half, 0.5 + half))


def test_the_interval_of_an_estimate_is_that_of_its_draws() -> None:
    rng = np.random.default_rng(2)
    runs = [[float(each)] for each in 0.8 + 0.02 * rng.standard_normal(12)]
    found = by_all_runs(runs, rng.uniform(2, 6, (12, 1)), Spread(0.02, 5))[int(np.argmax(runs))]
    factors = np.sqrt(5 / rng.chisquare(5, 200_000))
    drawn = np.quantile(found.draws(rng, factors), [0.025, 0.975])
    assert found.interval == pytest.approx(drawn.tolist(), abs=1e-3)
    assert found.interval[0] < found.value < max(runs)[0]
