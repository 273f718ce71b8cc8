"""Rank correlations with their 95% intervals, for a few pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import stats

CONFIDENCE = 0.95
FEWEST = 5
"""Pairs from which on both intervals exist."""


@dataclass(frozen=True)
class Correlation:
    """In [-1, 1], with the ends of its interval."""

    value: float
    low: float
    high: float


def spearman(first: Sequence[float], second: Sequence[float]) -> Correlation | None:
    """Spearman's rho; standard error after Bonett and Wright (2000), "Sample size requirements for estimating Pearson,
    Kendall and Spearman correlations". None below `FEWEST` pairs, or where either side does not vary.
    """
    n = len(first)
    if not _varied(first, second):
        return None
    value = float(stats.spearmanr(first, second).statistic)
    return _interval(value, math.sqrt((1 + value**2 / 2) / (n - 3)), 6 / (n * (n**2 - 1)))


def kendall(first: Sequence[float], second: Sequence[float]) -> Correlation | None:
    """Kendall's tau-b; standard error after Fieller, Hartley and Pearson (1957). None as in `spearman`."""
    n = len(first)
    if not _varied(first, second):
        return None
    return kendall_interval(float(stats.kendalltau(first, second).statistic), n, n * (n - 1) // 2)


def kendall_interval(value: float, n: int, pairs: int) -> Correlation:
    """Of a tau found over `n` things (`FEWEST` at least), of which so many pairs could be compared."""
    return _interval(value, math.sqrt(0.437 / (n - 4)), 1 / pairs)


def _varied(first: Sequence[float], second: Sequence[float]) -> bool:
    return len(first) >= FEWEST and len(set(first)) > 1 and len(set(second)) > 1


def _interval(value: float, error: float, gap: float) -> Correlation:
    """Fisher's z. `gap`: half the step from a perfect order to one with two neighbours exchanged; an order that is
    perfect in a few pairs is no proof of a perfect one, so its interval is that of a value so much less.
    """
    most = 1 - gap
    z = math.atanh(min(max(value, -most), most))
    half = float(stats.norm.ppf(0.5 + CONFIDENCE / 2)) * error
    low, high = math.tanh(z - half), math.tanh(z + half)
    return Correlation(value, -1.0 if value < -most else low, 1.0 if value > most else high)
