"""Syne Tune's multi-objective schedulers. They know no conditions (rows of every dimension) and no constraints (what
breaks one is told as the reference point).

Both draw some or all of their candidates from NumPy's global generator, whatever `random_seed` they are given, so that
is seeded too. Syne Tune's own simulator is not used: time and costs are the harness's, as for every other search.
"""

from __future__ import annotations

from abc import abstractmethod
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from syne_tune.backend.trial_status import Trial
from syne_tune.config_space import choice, loguniform, ordinal, randint, uniform
from syne_tune.optimizer.scheduler import SchedulerDecision, TrialScheduler
from syne_tune.optimizer.schedulers.multiobjective.moasha import MOASHA
from syne_tune.optimizer.schedulers.multiobjective.multi_objective_regularized_evolution import (
    MultiObjectiveRegularizedEvolution,
)
from syne_tune.optimizer.schedulers.multiobjective.multiobjective_priority import NonDominatedPriority
from syne_tune.optimizer.schedulers.single_fidelity_scheduler import SingleFidelityScheduler

from benchmarks.search.opponents.flat import flatten, unflatten
from benchmarks.search.opponents.opponent import Opponent
from benchmarks.search.problems.problem import Point, Problem, Shown
from space.dimension import Dimension

STEP = "step"


def domain(dimension: Dimension) -> Any:
    if dimension.kind == "float":
        return (loguniform if dimension.log else uniform)(dimension.low, dimension.high)
    if dimension.kind == "integer":
        return randint(int(dimension.low), int(dimension.high))
    if dimension.kind == "ordinal":
        return ordinal(list(range(len(dimension.choices))), kind="equal")
    return choice(list(dimension.choices) or [False, True])


class SyneTune(Opponent):
    def __init__(self, problem: Problem, seed: int, budget: int) -> None:
        super().__init__(problem, seed, budget)
        np.random.seed(seed)
        self.metrics = [f"objective_{index}" for index in range(len(problem.reference))]
        self._scheduler = self.make({each.name: domain(each) for each in problem.dimensions}, seed)
        self._trials: list[Trial] = []

    @abstractmethod
    def make(self, space: dict[str, Any], seed: int) -> TrialScheduler: ...

    def ask(self) -> Point:
        suggestion = self._scheduler.suggest()
        return unflatten(self.problem.dimensions, suggestion.config)

    def begin(self, number: int, point: Point) -> None:
        row = flatten(self.problem.dimensions, point)
        self._trials.append(Trial(number, row, datetime.fromtimestamp(0, UTC)))
        self._scheduler.on_trial_add(self._trials[number])

    def tell(self, number: int, step: int, shown: Shown) -> bool:
        trial = self._trials[number]
        if shown.values is None:
            self._scheduler.on_trial_error(trial)
            return False
        values = shown.values if shown.feasible else self.problem.reference
        result = dict(zip(self.metrics, values, strict=True)) | {STEP: step}
        decision = self._scheduler.on_trial_result(trial, result)
        if step == self.steps[-1]:
            self._scheduler.on_trial_complete(trial, result)
            return False
        if decision == SchedulerDecision.STOP:
            self._scheduler.on_trial_remove(trial)
            return False
        return True


class MoRea(SyneTune):
    """Multi-objective regularised evolution at full fidelity, with Syne Tune's own population (100) and sample (10)."""

    def make(self, space: dict[str, Any], seed: int) -> TrialScheduler:
        searcher = MultiObjectiveRegularizedEvolution(space, random_seed=seed)
        return SingleFidelityScheduler(space, metrics=self.metrics, searcher=searcher, random_seed=seed)


class Placed(NonDominatedPriority):
    """Each trial's place in Syne Tune's own order, lower first.

    As shipped (0.16.0) its priority is the order itself, the indices of the best first, which MOASHA then reads as one
    number for each trial: what goes on is hardly the best (8 of 640 went to the end on the glosses table).
    """

    def priority_unsafe(self, objectives: NDArray[np.float64]) -> NDArray[np.int64]:
        return np.argsort(super().priority_unsafe(objectives))


class MoAsha(SyneTune):
    """Asynchronous successive halving with non-dominated sorting, from the lowest step on; a quarter goes on.

    Its own third does not meet steps that were recorded (8, 32 and 128 of 8, 16, 32, 64, 128 are used).
    """

    REDUCTION = 4

    @property
    def steps(self) -> tuple[int, ...]:
        """Each `REDUCTION` times the one before."""
        lowest, *_, full = (self.problem.steps[0], *self.problem.steps)
        return tuple(step for step in self.problem.steps if step == full or self._is_rung(step / lowest))

    def _is_rung(self, ratio: float) -> bool:
        return round(float(np.emath.logn(self.REDUCTION, ratio)), 6).is_integer()

    def make(self, space: dict[str, Any], seed: int) -> TrialScheduler:
        return MOASHA(
            space, metrics=self.metrics, time_attr=STEP, max_t=self.steps[-1], grace_period=self.steps[0],
            reduction_factor=self.REDUCTION, multiobjective_priority=Placed(), random_seed=seed,
        )  # fmt: skip
