"""What a learned metric is taken to be, given the spread between seeds.

A point that was trained again with fresh seeds is reported by their mean: it was not chosen by looking at them. A point
of which there is only the run that selected it is estimated from that run and from what all runs of the job show
(`search.shrinkage`), because the best of many runs is best partly by luck. What decides how likely a point belongs to
the front is the latter of both kinds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from search.shrinkage import shrink

Floats = NDArray[np.float64]

CONFIDENCE = 0.95
ENOUGH_DEGREES = 3
"""Degrees of freedom from which on the spread between seeds is known well enough to say what is luck."""


@dataclass(frozen=True)
class Spread:
    """Standard deviation of one run between seeds, pooled over points."""

    deviation: float
    degrees: int


@dataclass(frozen=True)
class Estimate:
    """One metric of one point: a mixture of Student's t distributions, one part where fresh seeds were run."""

    value: float
    """What is reported: its mean."""
    weights: Floats
    means: Floats
    deviations: Floats
    degrees: int

    @property
    def deviation(self) -> float:
        """Standard error: of the parts and between them, the spread taken as known."""
        variance = (self.weights * (self.deviations**2 + (self.means - self.value) ** 2)).sum()
        return math.sqrt(float(variance))

    @property
    def interval(self) -> tuple[float, float]:
        """95%, central."""
        half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, self.degrees)) * self.deviations
        if len(self.means) == 1 or not half.any():
            return float((self.means - half)[0]), float((self.means + half)[0])
        ends = float((self.means - half).min()), float((self.means + half).max())
        return self._quantile(0.5 - CONFIDENCE / 2, ends), self._quantile(0.5 + CONFIDENCE / 2, ends)

    def _quantile(self, level: float, within: tuple[float, float]) -> float:
        """`within`: where each part's own quantiles lie, so the mixture's does too."""

        def above(value: float) -> float:
            parts = stats.t.cdf((value - self.means) / np.maximum(self.deviations, 1e-300), self.degrees)
            return float((self.weights * parts).sum()) - level

        return (
            float(optimize.brentq(above, *within)) if above(within[0]) < 0 < above(within[1]) else within[level > 0.5]
        )

    def draws(self, generator: np.random.Generator, factors: Floats) -> Floats:
        """One value a factor; `factors` stretch the deviations, for the spread is itself estimated. Shape [draws]."""
        part = generator.choice(len(self.weights), size=len(factors), p=self.weights)
        return self.means[part] + self.deviations[part] * factors * generator.standard_normal(len(factors))


def pooled_spread(samples: Sequence[Sequence[float]]) -> Spread | None:
    """Of rows of one metric's values, a row a point and a value a fresh seed; None before one has two seeds."""
    degrees = sum(len(row) - 1 for row in samples)
    if degrees < 1:
        return None
    squares = sum(float(np.var(row)) * len(row) for row in samples)
    return Spread(math.sqrt(squares / degrees), degrees)


def confirmed(values: Sequence[float], spread: Spread) -> Estimate:
    """By fresh seeds."""
    mean = float(np.mean(values))
    deviation = spread.deviation / math.sqrt(len(values))
    return Estimate(mean, np.ones(1), np.array([mean]), np.array([deviation]), spread.degrees)


def by_all_runs(runs: Sequence[Sequence[float]], covariates: Floats, spread: Spread) -> list[Estimate]:
    """Of each sampled point, from the runs in full of all of them: the one that selected it, and any fresh ones.

    Fresh runs of other points belong to it: without them, the best would be missing among what the rest is compared
    with. `covariates`: shape [points, covariates].
    """
    means = np.array([float(np.mean(row)) for row in runs])
    variances = spread.deviation**2 / np.array([float(len(row)) for row in runs])
    if spread.degrees < ENOUGH_DEGREES or spread.deviation == 0:
        shape = (len(means), 1)
        mixture = np.ones(shape), means.reshape(shape), np.sqrt(variances).reshape(shape)
    else:
        found = shrink(means, variances, covariates)
        mixture = found.weights, found.means, found.deviations
    return [
        Estimate(float(weights @ centres), weights, centres, deviations, spread.degrees)
        for weights, centres, deviations in zip(*mixture, strict=True)
    ]
