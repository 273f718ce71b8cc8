"""A source's trials as points of another job's space: the same configurations, on that job's model.

Configurations are relative to the architecture (`space.configuration`): layers are stretched to the new depth, sizes
such as d/16 follow its width. What the new space does not hold, or its limits refuse, is counted and left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.analysis.subset import best_subset
from search.objectives import Objectives
from search.pareto import knee, non_dominated
from search.scales import Scale
from search.transfer.source import Source, SourceTrial
from space.encode import Point
from space.errors import FieldError
from space.space import SearchSpace

Floats = NDArray[np.float64]

BEYOND = 1.1
"""Reference of the subset that is taken of a front whose objectives are each scaled to [0, 1]."""


@dataclass(frozen=True)
class CarriedTrial:
    """A trial of a source, and its point in the job's space."""

    trial: SourceTrial
    point: Point


@dataclass(frozen=True)
class Carried:
    """What of a source fits a space."""

    source: Source
    trials: tuple[CarriedTrial, ...]
    refused: tuple[str, ...] = ()
    """Why each of the others does not fit."""

    @property
    def statement(self) -> str:
        """How much of it was carried over, in words."""
        words = f"{len(self.trials)} of {len(self.trials) + len(self.refused)} configurations fit this job's space"
        return words + (f"; the first of the others does not: {self.refused[0]}" if self.refused else "")


def carry(source: Source, space: SearchSpace) -> Carried:
    """The trials of `source` as points of `space`."""
    found: list[CarriedTrial] = []
    refused: list[str] = []
    for trial in source.trials:
        try:
            found.append(CarriedTrial(trial, space.point_of(trial.configuration)))
        except FieldError as error:
            refused.append(f"trial {trial.number}, {error}")
    return Carried(source, tuple(found), tuple(refused))


def front_points(carried: Carried, space: SearchSpace, objectives: Objectives, count: int) -> list[CarriedTrial]:
    """Up to `count` points of the source's front, the knee first, then those that show the front best, in its order.

    The front is that of the job's objectives: the learned ones as the source measured them, the known ones (parameters)
    as the job's own model has them.
    """
    rows = [each for each in carried.trials if each.trial.reported]
    values = _values(rows, carried.source, space, objectives)
    if values is None or not rows:
        return []
    low, span = values.min(axis=0), np.ptp(values, axis=0)
    scaled = (values - low) / np.where(span > 0, span, 1.0)
    front = np.flatnonzero(non_dominated(scaled))
    size = min(count, len(front))
    if size < 1:
        return []
    subset = front[list(best_subset(scaled[front], np.full(scaled.shape[1], BEYOND), size).rows)]
    middle = int(front[knee(scaled[front])])
    if middle not in subset:  # the knee is what a user would take first
        subset = np.array([middle, *subset[: size - 1]])
    chosen = sorted(map(int, subset), key=lambda row: (row != middle, scaled[row, 0], row))
    return [rows[row] for row in chosen]


def _values(rows: Sequence[CarriedTrial], source: Source, space: SearchSpace, objectives: Objectives) -> Floats | None:
    """The job's objectives of each row, smaller is better; None where the source measured none of the learned ones."""
    columns: list[list[float]] = []
    learned = False
    for objective in objectives.objectives:
        if objective.known:
            columns.append([objective.minimised(space.known(each.point, objective.metric)) for each in rows])
            continue
        name = source.stands_for(objective.metric)
        if name is None or any(name not in each.trial.reported for each in rows):
            continue
        learned = True
        scale = objective.scale if name == objective.metric else None
        columns.append([place(name, each.trial.reported[name], scale) for each in rows])
    return np.array(columns, dtype=np.float64).T if learned else None


def place(name: str, value: float, scale: Scale | None) -> float:
    """A value of a source's metric, smaller is better: on the job's `scale` for it, or as it is where there is none
    (the held-out loss)."""
    return value if scale is None else scale.position(value)
