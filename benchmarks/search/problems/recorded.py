"""Recorded tables: real evaluations, replayed.

A candidate is mapped to the nearest recorded configuration not yet taken by this search, in the same way for every one
(`evaluator.tabular_nearest`), and every search is told that configuration's own point and what was measured with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.search.problems.peft import minimised, setting, shown
from benchmarks.search.problems.problem import Point, Shown
from evaluator.tabular import RecordedRun, RecordedTable, Replayed, read_table
from evaluator.tabular_nearest import NearestRuns
from search.objectives import Objectives
from search.pareto import hypervolume
from space.dimension import Value
from space.space import SearchSpace

TABLES = Path(__file__).parents[2] / "tables"


@dataclass(frozen=True)
class PlacedRun:
    run: RecordedRun
    objectives: Objectives

    @property
    def point(self) -> Point:
        return self.run.point

    @property
    def scored(self) -> tuple[float, ...]:
        """On the test split."""
        known = self.run.rungs[max(self.run.rungs)]
        return minimised(self.objectives, {**known, **self.run.test})

    def train(self, begin: int, end: int) -> Shown:
        return shown(self.objectives, self.replay(begin, end))

    def replay(self, begin: int, end: int) -> Replayed:
        return self.run.replay(begin, end)


class TableReplay:
    def __init__(self, table: RecordedTable, space: SearchSpace, objectives: Objectives) -> None:
        self._nearest = NearestRuns(space, table.of_seed())
        self._objectives = objectives

    def place(self, point: Mapping[str, Value]) -> PlacedRun | None:
        run = self._nearest.take(dict(point))
        return None if run is None else PlacedRun(run, self._objectives)


class Recorded:
    """`PeftProblem` of the table `name`. Its best is the hypervolume of all its rows on the split that scores."""

    constraints = 0

    def __init__(self, name: str, folder: Path = TABLES) -> None:
        self._table = read_table(folder / f"{name}.parquet")
        self.name = name
        self.space = self._table.space()
        made = setting(self.space, self._table.full_steps, self._table.class_shares)
        self.spec, self.objectives = made.spec, made.objectives
        self.dimensions = self.space.dimensions
        self.reference = tuple(self.objectives.reference.tolist())
        self.steps = self._table.rungs
        self.full_seconds = self._table.full_seconds()
        self.runs = self._table.of_seed()
        done = [PlacedRun(run, self.objectives) for run in self._table.of_seed() if run.failure is None]
        self.best: float | None = hypervolume([each.scored for each in done], self.reference)

    def begin(self) -> TableReplay:
        return TableReplay(self._table, self.space, self.objectives)
