"""A parameter of a define-by-run objective, as one coordinate of a search.

Values are Optuna's internal ones, so that every point is JSON: a number, or the index of a categorical choice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from space.dimension import Value

STEPS = (0.15, 0.05, 0.01)
"""Standard deviations of a move, as shares of the range, one of which is drawn: wide to travel, narrow to refine."""


@dataclass(frozen=True)
class Parameter:
    """One name that the objective suggests, with the distribution that it was last suggested from.

    `low` and `high` span all the ranges that it ever had; for a categorical one they are 0 and the last choice's index.
    """

    name: str
    distribution: CategoricalDistribution | FloatDistribution | IntDistribution
    low: float
    high: float

    @property
    def choices(self) -> int:
        """Number of categorical choices; 0 for numbers."""
        return len(self.distribution.choices) if isinstance(self.distribution, CategoricalDistribution) else 0

    def at(self, position: float) -> Value:
        """The value at `position` in [0, 1] of the latest range: equal shares for choices and whole numbers."""
        return value_at(self.distribution, position)

    def position(self, value: Value) -> float:
        """Where `value` stands between `low` and `high`, on a log scale where the distribution has one."""
        place = float(value)
        if isinstance(self.distribution, FloatDistribution | IntDistribution) and self.distribution.log:
            return _share(math.log(max(place, self.low)), math.log(self.low), math.log(self.high))
        return _share(place, self.low, self.high)

    @property
    def continuous(self) -> bool:
        """Any number of its range may be tried."""
        return (
            isinstance(self.distribution, FloatDistribution)
            and self.distribution.step is None
            and not self.distribution.single()
        )

    def valued(self, position: float) -> Value:
        """The inverse of `position`, of a continuous parameter, held to the latest range."""
        assert isinstance(self.distribution, FloatDistribution)
        value = _between(self.low, self.high, self.distribution.log, position)
        return min(max(value, self.distribution.low), self.distribution.high)

    def fits(self, value: Value) -> bool:
        """Whether `value` is in the latest range."""
        number = float(value)
        if isinstance(self.distribution, CategoricalDistribution):
            return 0 <= number < len(self.distribution.choices)
        inside = self.distribution.low <= number <= self.distribution.high
        return inside and (
            self.distribution.step is None or math.isclose(_on_grid(self.distribution, number), number, rel_tol=1e-9)
        )

    def near(self, value: Value, rng: np.random.Generator) -> Value:
        """Another value of the latest range near `value`; any other choice of a categorical parameter."""
        distribution = self.distribution
        if isinstance(distribution, CategoricalDistribution):
            others = [index for index in range(len(distribution.choices)) if index != value]
            return others[int(rng.integers(len(others)))]
        here = _unit(distribution, float(value))
        there = here + rng.normal(0, STEPS[int(rng.integers(len(STEPS)))])
        found = value_at(distribution, min(max(there, 0.0), 1.0))
        if found == value and distribution.step is not None:
            found = _next(distribution, float(value), 1 if there > here else -1)
        return found


def value_at(distribution: BaseDistribution, position: float) -> Value:
    """The internal value at `position` in [0, 1] of a distribution."""
    if isinstance(distribution, CategoricalDistribution):
        return min(int(position * len(distribution.choices)), len(distribution.choices) - 1)
    if isinstance(distribution, IntDistribution):
        half = 0.5 * distribution.step
        number = _between(distribution.low - half, distribution.high + half, distribution.log, position)
        return int(_on_grid(distribution, number))
    assert isinstance(distribution, FloatDistribution)
    if distribution.step is not None:
        half = 0.5 * distribution.step
        return _on_grid(distribution, _between(distribution.low - half, distribution.high + half, False, position))
    number = _between(distribution.low, distribution.high, distribution.log, position)
    return min(max(number, distribution.low), distribution.high)


def _between(low: float, high: float, log: bool, position: float) -> float:
    if log:
        return math.exp(math.log(low) + position * (math.log(high) - math.log(low)))
    return low + position * (high - low)


def _on_grid(distribution: FloatDistribution | IntDistribution, number: float) -> float:
    """The value of a stepped distribution that is nearest to `number`."""
    step = distribution.step
    assert step is not None
    last = math.floor((distribution.high - distribution.low) / step + 1e-9)
    index = min(max(round((number - distribution.low) / step), 0), last)
    return min(distribution.low + index * step, distribution.high)


def _next(distribution: FloatDistribution | IntDistribution, value: float, sign: int) -> Value:
    """The next value of a stepped distribution in that direction, or in the other at the range's end."""
    assert distribution.step is not None
    there = _on_grid(distribution, value + sign * distribution.step)
    if there == value:
        there = _on_grid(distribution, value - sign * distribution.step)
    return int(there) if isinstance(distribution, IntDistribution) else there


def _unit(distribution: FloatDistribution | IntDistribution, value: float) -> float:
    """Where `value` stands in the latest range; the inverse of `value_at`."""
    half = 0.0 if distribution.step is None else 0.5 * distribution.step
    low, high = distribution.low - half, distribution.high + half
    value = min(max(value, low), high)
    if distribution.log:
        return _share(math.log(value), math.log(low), math.log(high))
    return _share(value, low, high)


def _share(value: float, low: float, high: float) -> float:
    return 0.5 if low == high else (value - low) / (high - low)
