"""Rank correlations: their values are scipy's, their intervals hold what they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from search.correlation import Correlation, kendall, spearman


def test_values_are_scipys() -> None:
    rng = np.random.default_rng(0)
    first = rng.standard_normal(20)
    second = np.round(first + rng.standard_normal(20))  # with ties, as an accuracy has
    by_rank, by_pairs = spearman(first, second), kendall(first, second)
    assert by_rank is not None
    assert by_pairs is not None
    assert by_rank.value == pytest.approx(stats.spearmanr(first, second).statistic)
    assert by_pairs.value == pytest.approx(stats.kendalltau(first, second).statistic)


@pytest.mark.parametrize("pairs", [8, 30])
@pytest.mark.parametrize("rho", [0.0, 0.9])
def test_intervals_hold_the_truth_as_often_as_they_say(pairs: int, rho: float) -> None:
    """Of normal pairs, whose Spearman is 6/pi asin(rho/2) and whose Kendall is 2/pi asin(rho) (Kruskal 1958)."""
    rng = np.random.default_rng(pairs)
    truths = 6 / math.pi * math.asin(rho / 2), 2 / math.pi * math.asin(rho)
    held = np.zeros(2)
    draws = 300
    for _ in range(draws):
        first = rng.standard_normal(pairs)
        second = rho * first + math.sqrt(1 - rho**2) * rng.standard_normal(pairs)
        for row, (found, truth) in enumerate(
            zip((spearman(first, second), kendall(first, second)), truths, strict=True)
        ):
            assert found is not None
            held[row] += found.low <= truth <= found.high
    assert (held / draws > 0.90).all()
    assert (held / draws < 0.995).all()


def test_an_interval_agrees_with_the_bootstraps() -> None:
    rng = np.random.default_rng(3)
    first = rng.standard_normal(60)
    second = first + 0.7 * rng.standard_normal(60)
    found = spearman(first, second)
    assert found is not None
    drawn = stats.bootstrap(
        (first, second), lambda a, b: stats.spearmanr(a, b).statistic, paired=True, vectorized=False,
        n_resamples=500, rng=rng, method="percentile",
    ).confidence_interval  # fmt: skip
    assert found.low == pytest.approx(drawn.low, abs=0.06)
    assert found.high == pytest.approx(drawn.high, abs=0.06)


def test_a_perfect_order_of_few_is_no_proof_of_a_perfect_one() -> None:
    found = spearman([1, 2, 3, 4, 5], [1, 2, 3, 4, 5])
    assert found is not None
    assert (found.value, found.high) == pytest.approx((1.0, 1.0))
    assert found.low < 0.5
    turned = kendall([1, 2, 3, 4, 5], [5, 4, 3, 2, 1])
    assert turned is not None
    assert (turned.value, turned.low) == pytest.approx((-1.0, -1.0))
    assert turned.high > -0.5


@pytest.mark.parametrize("second", [[1.0, 2.0, 3.0, 4.0], [1.0] * 6])
def test_too_few_pairs_and_equal_values_say_nothing(second: list[float]) -> None:
    first = [float(each) for each in range(len(second))]
    none: tuple[Correlation | None, Correlation | None] = (None, None)
    assert (spearman(first, second), kendall(first, second)) == none
