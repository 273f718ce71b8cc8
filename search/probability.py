"""How likely each point belongs to the front: values drawn from what is believed of all points at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from search.front import Front
from search.pareto import non_dominated

Floats = NDArray[np.float64]

DRAWS = 1000


class Draws(NamedTuple):
    """What the truth may be."""

    minimised: Floats
    """Shape [draws, points, objectives]."""
    feasible: NDArray[np.bool_]
    """Shape [draws, points]."""


def draw(front: Front, count: int, seed: int) -> Draws:
    """Independent between points and metrics, but for the spread between seeds, of which each draw has one."""
    generator = np.random.default_rng(seed)
    minimised = np.repeat(front.minimised[None], count, axis=0)
    bounds = front.objectives.constraints
    feasible = np.array([front.objectives.feasible(point.values) for point in front.points], dtype=bool)
    allowed = np.repeat(feasible[None], count, axis=0)
    drawn = _learned(front, count, generator)
    for column, objective in enumerate(front.objectives.objectives):
        if objective.metric in drawn:
            minimised[:, :, column] = objective.scale.positions(drawn[objective.metric])
    if any(bound.metric in drawn for bound in bounds):
        allowed[:] = True
        for bound in bounds:
            fixed = np.array([[point.values.get(bound.metric, np.nan) for point in front.points]])
            values = drawn.get(bound.metric, fixed)
            allowed &= bound.sign * (values - bound.limit) <= 0
    return Draws(minimised, allowed)


def _learned(front: Front, count: int, generator: np.random.Generator) -> dict[str, Floats]:
    """Values of each metric with an estimate. Shape [count, points]."""
    drawn: dict[str, Floats] = {}
    for name, spread in front.spreads.items():
        factors = np.sqrt(spread.degrees / generator.chisquare(spread.degrees, count))
        columns = [point.beliefs[name].draws(generator, factors) for point in front.points]
        drawn[name] = np.stack(columns, axis=1)
    return drawn


def probabilities(front: Front, seed: int) -> dict[int, float]:
    """For each point, the probability that it is feasible and no other feasible point dominates it.

    Those that were not trained again count with all the doubt there is about them. Empty before a point has two fresh
    seeds.
    """
    if not front.spreads:
        return {}
    minimised, feasible = draw(front, DRAWS, seed)
    counts = np.zeros(len(front.points))
    for values, allowed in zip(minimised, feasible, strict=True):
        rows = np.flatnonzero(allowed)
        counts[rows[non_dominated(values[rows])]] += 1
    return {index: float(count / DRAWS) for index, count in enumerate(counts)}
