"""Published test functions on a box, as BoTorch has them, with its reference points and known best hypervolumes.

BraninCurrin (2 dimensions, 2 objectives), ZDT2 (6, 2), C2DTLZ2 (6, 2, one constraint), VehicleSafety (5, 3); and
further ones: ZDT1 and ZDT3 (6, 2), DTLZ2 (6, 3), Penicillin (7, 3). No noise, no fidelities: every evaluation costs one
second.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from botorch.test_functions.base import ConstrainedBaseTestProblem, MultiObjectiveTestProblem
from botorch.test_functions.multi_objective import (
    C2DTLZ2,
    DTLZ2,
    ZDT1,
    ZDT2,
    ZDT3,
    BraninCurrin,
    Penicillin,
    VehicleSafety,
)

from benchmarks.search.problems.problem import Point, Shown
from space.dimension import Dimension, Value

FUNCTIONS: dict[str, Callable[[], MultiObjectiveTestProblem]] = {
    "branin-currin": BraninCurrin,
    "zdt2": lambda: ZDT2(dim=6, num_objectives=2),
    "c2dtlz2": lambda: C2DTLZ2(dim=6, num_objectives=2),
    "vehicle-safety": VehicleSafety,
    "zdt1": lambda: ZDT1(dim=6, num_objectives=2),
    "zdt3": lambda: ZDT3(dim=6, num_objectives=2),
    "dtlz2": lambda: DTLZ2(dim=6, num_objectives=3),
    "penicillin": Penicillin,
}


@dataclass(frozen=True)
class Evaluated:
    point: Point
    scored: tuple[float, ...]
    violations: tuple[float, ...]

    def train(self, begin: int, end: int) -> Shown:
        return Shown(1.0, self.scored, self.violations)


class Box:
    """`Problem` and its only `Replay`: any point may be tried any number of times."""

    steps: tuple[int, ...] = (1,)
    full_seconds = 1.0

    def __init__(self, name: str) -> None:
        self._function = FUNCTIONS[name]()
        bounds = self._function.bounds.T.tolist()
        self.name = name
        self.dimensions = tuple(
            Dimension(f"x{index}", "float", low=low, high=high) for index, (low, high) in enumerate(bounds)
        )
        self.reference = tuple(self._function.ref_point.tolist())
        self.constraints = getattr(self._function, "num_constraints", 0)
        self.best: float | None = self._function.max_hv

    def begin(self) -> Box:
        return self

    def place(self, point: Mapping[str, Value]) -> Evaluated:
        x = torch.tensor([[float(point[dimension.name]) for dimension in self.dimensions]], dtype=torch.float64)
        values = self._function(x)[0].tolist()
        slack: list[float] = []
        if isinstance(self._function, ConstrainedBaseTestProblem):
            slack = self._function.evaluate_slack(x)[0].tolist()
        return Evaluated(dict(point), tuple(values), tuple(-each for each in slack))
