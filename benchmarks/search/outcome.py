"""What a report says and keeps of a run: all of it but the single evaluations, which its curve stands for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.search.curve import Curve, curve_of
from benchmarks.search.run import Run

EVALUATIONS = ("completions", "reference")


@dataclass(frozen=True)
class Outcome:
    run: Run
    """Without its evaluations where it was read from a report."""
    full_evaluations: int
    curve: Curve

    def as_json(self) -> dict[str, Any]:
        return {
            **{name: value for name, value in self.run.as_json().items() if name not in EVALUATIONS},
            "full_evaluations": self.full_evaluations,
            "covers": round(self.curve.covers, 3),
            "costs": [round(cost, 3) for cost in self.curve.costs],
            "values": [round(value, 6) for value in self.curve.values],
        }


def outcome_of(run: Run) -> Outcome:
    return Outcome(run, len(run.completions), curve_of(run))


def reported(path: Path) -> list[Outcome]:
    """What the report at `path` (JSON) holds."""
    found = []
    for each in json.loads(path.read_text())["runs"]:
        curve = Curve(tuple(each.pop("costs")), tuple(each.pop("values")), each.pop("covers"))
        found.append(Outcome(full_evaluations=each.pop("full_evaluations"), run=Run(**each), curve=curve))
    return found


def updated(before: Sequence[Outcome], runs: Sequence[Run]) -> list[Outcome]:
    """`runs`, and those outcomes of `before` whose problem, search, seed and workers are none of theirs."""

    def who(run: Run) -> tuple[str, str, int, int]:
        return run.problem, run.opponent, run.seed, run.workers

    new = {who(run) for run in runs}
    return [*(each for each in before if who(each.run) not in new), *map(outcome_of, runs)]
