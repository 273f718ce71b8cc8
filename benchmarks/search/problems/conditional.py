"""A conditional problem shaped like a PEFT search (`benchmarks.synthetic_peft`), with rungs, noise and a known front.

Six methods, each with sizes, a learning rate and a best learning rate of its own, and a bit a layer of six. Shown ones
are noisy (standard deviation 0.01 of accuracy), scored values are not. A candidate without any layer is not allowed; it
gets the last one, whoever asks, and is told so. A step costs what the formula says a step takes, and every evaluation
as much again as 16 steps for attaching and validation, about what is recorded on real ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.search.problems.peft import minimised, setting, shown
from benchmarks.search.problems.problem import Point, Shown
from benchmarks.synthetic_peft import OPTIMUM, encoder_table, measure, plans_at_best_rates
from evaluator.evaluate import Measurement
from evaluator.tabular import Replayed
from search.objectives import Objectives
from search.pareto import hypervolume
from space.dimension import Value
from space.load import load_space
from space.methods import METHODS
from space.placement import BIT
from space.plan import Plan

DEPTH = 6
HIDDEN = 384
FULL_STEPS = 128
FIXED_STEPS = 16
NOISE = 0.01
SPEC = {
    "methods": list(OPTIMUM),
    "sites": {name: [list(METHODS[name].default_roles)] for name in OPTIMUM},
    "layers": "bits",
}
CLASSES = (0.2,) * 5


@dataclass(frozen=True)
class PlacedFormula:
    point: Point
    plan: Plan
    objectives: Objectives

    @property
    def scored(self) -> tuple[float, ...]:
        return minimised(self.objectives, measure(self.plan, DEPTH))

    def train(self, begin: int, end: int) -> Shown:
        return shown(self.objectives, self.replay(begin, end))

    def replay(self, begin: int, end: int) -> Replayed:
        metrics = measure(self.plan, DEPTH, end / FULL_STEPS, NOISE)
        seconds = metrics["step_seconds"] * (FIXED_STEPS + end - begin)
        return Replayed(seconds, Measurement(step=end, metrics=metrics, total_seconds=seconds))


class Conditional:
    """`PeftProblem` and its only `PeftReplay`."""

    name = "conditional"
    constraints = 0
    steps: tuple[int, ...] = (8, 16, 32, 64, FULL_STEPS)

    def __init__(self) -> None:
        self.space = load_space(SPEC, encoder_table(DEPTH, HIDDEN))
        made = setting(self.space, FULL_STEPS, CLASSES)
        self.spec, self.objectives = made.spec, made.objectives
        self.dimensions = self.space.dimensions
        self.reference = tuple(self.objectives.reference.tolist())
        plans = plans_at_best_rates(self.space)
        steps = FIXED_STEPS + FULL_STEPS
        self.full_seconds = steps * sum(values["step_seconds"] for values in plans) / len(plans)
        self.best: float | None = hypervolume([minimised(self.objectives, values) for values in plans], self.reference)

    def begin(self) -> Conditional:
        return self

    def place(self, point: Mapping[str, Value]) -> PlacedFormula:
        at = dict(point)
        if not any(at[BIT.format(layer)] for layer in range(DEPTH)):
            at[BIT.format(DEPTH - 1)] = True
        return PlacedFormula(at, self.space.plan(at), self.objectives)
