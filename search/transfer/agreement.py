"""Whether a source orders a job's own trials as they turned out: Kendall's rank correlation with an interval.

Two trials are compared at the highest fidelity that both were measured at, so that a long run is not taken for a good
one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.correlation import FEWEST, kendall_interval

Signs = NDArray[np.float64]


@dataclass(frozen=True)
class Agreement:
    """`kendall` over `trials`, with its 95% interval: [-1, 1] where too few trials can be compared."""

    kendall: float
    low: float
    high: float
    trials: int

    @property
    def words(self) -> str:
        return f"Kendall {self.kendall:+.2f} [{self.low:+.2f}, {self.high:+.2f}]"


def comparisons(measured: Sequence[Mapping[float, float]]) -> tuple[Signs, NDArray[np.bool_]]:
    """For each pair of trials the sign of its difference at their highest common fidelity, and whether there is one.

    `measured`: each trial's value by fidelity. Shapes n x n.
    """
    count = len(measured)
    truth, common = np.zeros((count, count)), np.zeros((count, count), dtype=bool)
    for fidelity in sorted({each for values in measured for each in values}):
        column = np.array([values.get(fidelity, np.nan) for values in measured])
        both = np.isfinite(column)[:, None] & np.isfinite(column)[None, :]
        truth[both] = np.sign(column[:, None] - column[None, :])[both]
        common |= both
    return truth, common


def agreement(predicted: Sequence[float], measured: Sequence[Mapping[float, float]]) -> Agreement:
    """Kendall's tau-b of a prediction (shape [n]) with what was measured, of the same orientation; pairs that share no
    fidelity are left out.
    """
    truth, common = comparisons(measured)
    return agreement_of(signs(predicted), truth, common)


def signs(values: Sequence[float]) -> Signs:
    """The sign of each pair's difference. Shape n x n."""
    array = np.asarray(values, dtype=np.float64)
    return np.sign(array[:, None] - array[None, :])


def agreement_of(guessed: Signs, truth: Signs, common: NDArray[np.bool_]) -> Agreement:
    """The same from each pair's signs; `common`: which pairs can be compared. Shapes n x n."""
    pairs = np.triu(common, 1)
    trials = int((common & ~np.eye(len(common), dtype=bool)).any(axis=0).sum()) if len(common) else 0
    left, right = guessed[pairs], truth[pairs]
    ties = math.sqrt(float((left != 0).sum()) * float((right != 0).sum()))
    kendall = float((left * right).sum()) / ties if ties else 0.0
    if trials < FEWEST or not ties:
        return Agreement(kendall, -1.0, 1.0, trials)
    found = kendall_interval(kendall, trials, len(left))
    return Agreement(kendall, found.low, found.high, trials)
