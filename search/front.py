"""The front: every point at full fidelity, which of them are on it, its hypervolume and its knee.

A point trained with fresh seeds is reported by their mean; the run that selected it is left out, so luck in the search
does not flatter it. A point of which there is only the run that selected it is reported by an estimate that takes the
luck out (`search.estimate`), once the spread between seeds is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from search.estimate import Spread, by_all_runs, confirmed, pooled_spread
from search.ledger import Trial
from search.objectives import Objectives
from search.pareto import hypervolume, knee, non_dominated
from search.point import Point, point_of, runs_in_full


@dataclass(frozen=True)
class Front:
    """Every point at full fidelity, and which of them are on the front."""

    objectives: Objectives
    points: tuple[Point, ...]
    minimised: np.ndarray[tuple[int, int], np.dtype[np.float64]]
    """Of the reported values. Shape [points, objectives]."""
    on_front: tuple[int, ...]
    """Indices of the feasible, non-dominated points, by the first cost (or behaviour, or quality), then by number."""
    spreads: dict[str, Spread] = field(default_factory=dict)
    """Of each learned objective and constraint; empty before a point has two fresh seeds."""

    @property
    def hypervolume(self) -> float:
        return hypervolume(self.minimised[list(self.on_front)], self.objectives.reference)

    @property
    def baseline_hypervolume(self) -> float:
        rows = [
            index
            for index, point in enumerate(self.points)
            if point.trial.record.kind == "baseline" and self.objectives.feasible(point.values)
        ]
        return hypervolume(self.minimised[rows], self.objectives.reference)

    @property
    def knee(self) -> int | None:
        """Index of the point where giving up a little of one objective stops buying much of another.

        It is what a user takes without looking further; so once a sampled point of the front is confirmed, the knee
        lies among the confirmed ones.
        """
        sure = [index for index in self.on_front if self.points[index].fresh]
        searched = any(self.points[index].trial.record.kind == "search" for index in sure)
        members = sure if searched else list(self.on_front)
        return members[knee(self.minimised[members])] if members else None


def build_front(trials: Sequence[Trial], objectives: Objectives, full_steps: int) -> Front:
    """The front of all trials that were measured after `full_steps`."""
    found = [point for trial in trials if (point := point_of(trial, objectives, full_steps)) is not None]
    spreads = _spreads(found, objectives)
    points = _estimated(found, spreads, objectives, full_steps)
    minimised = np.array([objectives.minimised(point.values) for point in points])
    minimised = minimised.reshape(len(points), len(objectives.names))
    feasible = np.array([objectives.feasible(point.values) for point in points], dtype=bool)
    rows = np.flatnonzero(feasible)
    best = rows[non_dominated(minimised[rows])] if len(rows) else rows
    kinds = [(not each.cost, each.quality) for each in objectives.objectives]
    first = kinds.index(min(kinds))
    ordered = sorted(best.tolist(), key=lambda row: (minimised[row, first], points[row].trial.number))
    return Front(objectives, tuple(points), minimised, tuple(ordered), spreads)


def _spreads(points: Sequence[Point], objectives: Objectives) -> dict[str, Spread]:
    """Of the metrics that training decides and every point has."""
    spreads: dict[str, Spread] = {}
    for name in objectives.learned:
        if all(name in point.measured for point in points):
            rows = [[sample.metrics[name] for sample in point.samples] for point in points]
            spread = pooled_spread(rows)
            if spread is not None:
                spreads[name] = spread
    return spreads


def _estimated(
    points: Sequence[Point], spreads: dict[str, Spread], objectives: Objectives, full_steps: int
) -> list[Point]:
    """The points with an estimate and a belief of each metric in `spreads`."""
    sampled = [point for point in points if point.trial.record.kind == "search"]
    rows = {point.trial.number: row for row, point in enumerate(sampled)}
    sizes = np.array([[np.log10(1.0 + point.trial.plan.trainable_parameters)] for point in sampled])
    runs = [[measured for _, measured in runs_in_full(point.trial, objectives, full_steps)] for point in sampled]
    shared = {
        name: by_all_runs([[each.metrics[name] for each in row] for row in runs], sizes.reshape(len(rows), 1), spread)
        for name, spread in spreads.items()
    }
    made: list[Point] = []
    for point in points:
        own = {
            name: confirmed([sample.metrics[name] for sample in point.samples], spread)
            for name, spread in spreads.items()
        }
        row = rows.get(point.trial.number)
        beliefs = own if row is None else {name: shared[name][row] for name in spreads}
        made.append(replace(point, estimates=own if point.fresh else beliefs, beliefs=beliefs))
    return made
