"""Recorded runs, replayed: what an evaluation found when it was really made, and what it cost. Loads no tensor library.

A table is a Parquet file with a row for each rung of each run, ascending, made by `benchmarks/record_table.py`. Its
metadata hold the search space with the site and score tables that the runs were planned on, so that a search can be
replayed where neither the model nor its data are.

Recorded processor seconds are noisy, those of a single rung most. The cost of going from step a to step b of a run is
therefore `fixed + per_step * (b - a)`, fitted to all its rungs (`fit_cost`): `fixed` is attaching and one validation,
so a run that stops at a rung and is continued pays it again, and a full run from the start pays it once.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import pyarrow.parquet as pq
from scipy.optimize import nnls

from evaluator.evaluate import FailureReason, Measurement
from space.encode import Point
from space.errors import FieldError
from space.load import load_space
from space.scores import ScoreTable
from space.sites import SiteTable
from space.space import SearchSpace

METADATA = b"paretune"
"""Key of the file's metadata that holds the setting, as JSON."""
COST = "search_cpu_seconds"
"""Processor seconds of a rung up to its validation: what is measured beside the search's needs is left out."""
TEST = "test_"
"""Prefix of the metrics on the test split, measured at the top rung only."""
KEYS = ("index", "seed", "point", "plan", "step", "failure")
"""Columns that are no metric."""


@dataclass(frozen=True)
class Cost:
    """Processor seconds of a stretch of one run."""

    fixed: float
    """Attaching and one validation."""
    per_step: float

    def seconds(self, begin: int, end: int) -> float:
        """From after step `begin` to the validation after step `end`."""
        return self.fixed + self.per_step * (end - begin)


@dataclass(frozen=True)
class Replayed:
    """What one evaluation gives, and when: `seconds` after it began. Exactly one of the others is there."""

    seconds: float
    measurement: Measurement | None = None
    failure: FailureReason | None = None


@dataclass(frozen=True)
class RecordedRun:
    """One configuration trained at one seed."""

    index: int
    seed: int
    point: Point
    plan: str
    """Key of the plan that was trained."""
    rungs: Mapping[int, Mapping[str, float]]
    """What was measured on validation, by step."""
    test: Mapping[str, float]
    """On the test split at the top rung; replay does not show it."""
    failure: tuple[int, FailureReason] | None
    """The step that the failed rung was to reach, and why it did not."""
    cost: Cost

    def replay(self, begin: int, end: int) -> Replayed:
        """Going on from step `begin` to step `end`. One that fails does so where its rung would have ended.

        Raises:
            FieldError: nothing was recorded at `end`.
        """
        if self.failure is not None and end >= self.failure[0]:
            return Replayed(self.cost.seconds(begin, self.failure[0]), failure=self.failure[1])
        if end not in self.rungs:
            known = ", ".join(map(str, self.rungs))
            raise FieldError("fidelity.rungs", f"nothing was recorded at step {end}; choose from {known}")
        seconds = self.cost.seconds(begin, end)
        return Replayed(seconds, Measurement(step=end, metrics=dict(self.rungs[end]), total_seconds=seconds))


@dataclass(frozen=True)
class RecordedTable:
    """All runs of one table."""

    setting: Mapping[str, Any]
    """How it was recorded: task, space, full_steps, rungs, site_table, scores, class_shares, versions, command."""
    runs: Mapping[tuple[int, int], RecordedRun]
    """By index and seed."""

    @property
    def full_steps(self) -> int:
        return int(self.setting["full_steps"])

    @property
    def rungs(self) -> tuple[int, ...]:
        """Steps at which runs were measured, ascending."""
        return tuple(self.setting["rungs"])

    @property
    def class_shares(self) -> tuple[float, ...]:
        """Share of each class in the data."""
        return tuple(self.setting["class_shares"])

    def of_seed(self, seed: int = 0) -> list[RecordedRun]:
        """The runs at one seed, by index."""
        return [run for key, run in sorted(self.runs.items()) if key[1] == seed]

    def full_seconds(self) -> float:
        """Mean cost of a full run from the start."""
        return statistics.fmean(run.cost.seconds(0, self.full_steps) for run in self.of_seed())

    def space(self) -> SearchSpace:
        """The space that the runs were drawn from.

        Raises:
            FieldError: a recorded point has another plan today than when it was recorded, so what was measured is not
            what a search would ask for.
        """
        scores = self.setting["scores"]
        space = load_space(self.setting["space"], SiteTable.model_validate(self.setting["site_table"]))
        if scores is not None:
            space = space.with_scores(ScoreTable.model_validate(scores))
        for run in self.runs.values():
            reason = space.check(run.point)
            if reason is None and space.plan(run.point).key != run.plan:
                reason = "its plan is another one today"
            if reason is not None:
                raise FieldError("table", f"run {run.index} no longer fits the space ({reason}); record the table anew")
        return space


def fit_cost(stretches: Sequence[int], seconds: Sequence[float]) -> Cost | None:
    """Non-negative least squares of relative errors over stretches of so many steps; None below two lengths of them.

    Relative, because what disturbs a measurement (other work on the machine) stretches it by a share.
    """
    if len(set(stretches)) < 2:
        return None
    measured = np.asarray(seconds, dtype=np.float64)
    rows = np.column_stack([np.ones(len(measured)), np.asarray(stretches, dtype=np.float64)])
    (fixed, per_step), _ = nnls(rows / measured[:, None], np.ones(len(measured)))
    return Cost(float(fixed), float(per_step))


def read_table(path: Path) -> RecordedTable:
    """The table in the Parquet file at `path`.

    Raises:
        FieldError: it is not there, or no table of recorded runs.
    """
    if not path.is_file():
        raise FieldError("table", f"{path.name} does not exist; make it with benchmarks/record_table.py")
    found = pq.read_table(path)
    metadata = (found.schema.metadata or {}).get(METADATA)
    setting = json.loads(metadata) if metadata else {}
    missing = {"full_steps", "rungs", "space", "site_table", "scores", "class_shares"} - setting.keys()
    if missing:
        raise FieldError("table", f"{path.name} lacks {', '.join(sorted(missing))} in its metadata; write it anew")
    by_run: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for row in found.to_pylist():
        by_run.setdefault((row["index"], row["seed"]), []).append(row)
    costs = {key: fit_cost(*_stretches(rows)) for key, rows in by_run.items()}
    fitted = [cost for cost in costs.values() if cost is not None]
    if not fitted:
        raise FieldError("table", f"{path.name} has no run with two rungs, so costs cannot be told")
    usual = Cost(statistics.median(cost.fixed for cost in fitted), statistics.median(cost.per_step for cost in fitted))
    runs = {key: _run(rows, costs[key] or usual) for key, rows in by_run.items()}
    return RecordedTable(setting, runs)


def _measured(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [row for row in rows if row.get("failure") is None]


def _stretches(rows: Sequence[Mapping[str, Any]]) -> tuple[list[int], list[float]]:
    """Steps and seconds from each rung to the next."""
    steps = [row["step"] for row in _measured(rows)]
    lengths = [end - begin for begin, end in zip([0, *steps], steps, strict=False)]
    return lengths, [row[COST] for row in _measured(rows)]


def _run(rows: Sequence[Mapping[str, Any]], cost: Cost) -> RecordedRun:
    first, measured = rows[0], _measured(rows)
    metrics = {
        row["step"]: {name: value for name, value in row.items() if name not in KEYS and value is not None}
        for row in measured
    }
    failed = next((row for row in rows if row.get("failure") is not None), None)
    return RecordedRun(
        index=first["index"],
        seed=first["seed"],
        point=json.loads(first["point"]),
        plan=first["plan"],
        rungs={
            step: {name: value for name, value in values.items() if not name.startswith(TEST)}
            for step, values in metrics.items()
        },
        test={
            name.removeprefix(TEST): value
            for values in metrics.values()
            for name, value in values.items()
            if name.startswith(TEST)
        },
        failure=None if failed is None else (failed["step"], _reason(failed["failure"])),
        cost=cost,
    )


def _reason(name: str) -> FailureReason:
    return cast(FailureReason, name) if name in get_args(FailureReason) else "error"
