"""Objectives and constraints of one job, with the scales that are fixed when it is submitted. Loads no tensor library.

Each objective is scaled so that 0 is the best value there can be and 1 the worst worth having, and is minimised:
quality linearly, costs as log10(1 + x/unit), behaviours as suits each (`search.scales`). The scales and the reference
point never change during a job, so its hypervolume is comparable from the first trial to the last; `Objectives` is JSON
and is stored with the job.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from evaluator.task import TaskType
from search.job import ConstraintSpec, Goal, JobSpec
from search.metrics import METRICS, QUALITY, Metric
from search.scales import Scale, behaviour_scale, cost_ceiling, quality_scale
from space.errors import FieldError
from space.frozen import Frozen
from space.sites import SiteTable

Floats = NDArray[np.float64]


KNOWN = ("trainable_parameters",)
"""What every search space knows of its points."""


class ScaledMetric(Frozen):
    """One metric of a job, on its scale."""

    metric: str
    scale: Scale
    known: bool = Field(default_factory=lambda told: told["metric"] in KNOWN)
    """Computed before training (`SearchSpace.known`); others are learned by training. The default is for jobs of
    earlier versions."""

    @property
    def quality(self) -> bool:
        """What the model does on held-out rows; others are behaviours and costs."""
        return METRICS[self.metric].quality


class Objective(ScaledMetric):
    """One metric to optimise."""

    goal: Goal
    reference: float
    """The metric's value in the hypervolume's reference point."""

    @property
    def cost(self) -> bool:
        return METRICS[self.metric].cost

    def minimised(self, value: float) -> float:
        """`value` on the scale: 0 the best there can be, 1 the scale's other end; beyond either it goes on."""
        return self.scale.position(value)


class Constraint(ScaledMetric):
    """One bound on a metric: `sign` 1 means at most `limit`, -1 at least."""

    limit: float
    sign: Literal[-1, 1]

    @property
    def fixed(self) -> bool:
        """The metric depends on the plan alone: neither longer training nor a quieter machine changes it."""
        return METRICS[self.metric].cost and not METRICS[self.metric].observed

    def violation(self, value: float) -> float:
        """How far `value` is beyond the limit, in units of the scale; at most 0 when it holds."""
        excess = self.scale.transformed(value) - self.scale.transformed(self.limit)
        return self.sign * excess / self.scale.span


class Objectives(Frozen):
    """What a job optimises and what it allows."""

    objectives: tuple[Objective, ...] = Field(min_length=1)
    constraints: tuple[Constraint, ...] = ()
    loss_scale: Scale
    """Scale of the held-out loss, which stands for a quality where rungs are ranked (`search.promote`)."""

    @classmethod
    def of(
        cls,
        spec: JobSpec,
        table: SiteTable,
        parameter_range: tuple[float, float],
        classes: Sequence[float] | None = None,
        known: Collection[str] = KNOWN,
    ) -> Objectives:
        """Fix the objectives of `spec`.

        `parameter_range`: fewest and most trainable parameters in the space. `classes`: each class's share of the
        training rows, for a classification task. `known`: metrics that the space knows (`SearchSpace.known_metrics`).

        Raises:
            FieldError: a metric does not exist for this task, is named twice, or only costs known beforehand are
            named.
        """
        constraints: list[Constraint] = []
        for index, bound in enumerate(spec.constraints):
            metric = _metric(bound.metric, spec.task.type, f"constraints.{index}.metric")
            scale = _scale(metric, spec, table, parameter_range, classes)
            _check_possible(metric, bound, scale, f"constraints.{index}")
            if bound.max is not None:
                constraints.append(
                    Constraint(metric=metric.name, known=metric.name in known, limit=bound.max, sign=1, scale=scale)
                )
            if bound.min is not None:
                constraints.append(
                    Constraint(metric=metric.name, known=metric.name in known, limit=bound.min, sign=-1, scale=scale)
                )
        objectives: list[Objective] = []
        for index, wanted in enumerate(spec.objectives):
            metric = _metric(wanted.metric, spec.task.type, f"objectives.{index}.metric")
            if any(metric.name == other.metric for other in objectives):
                raise FieldError(f"objectives.{index}.metric", f"{metric.name} is already an objective; name it once")
            goal = wanted.goal or metric.goal
            if goal != metric.goal:
                raise FieldError(
                    f"objectives.{index}.goal", f"{metric.name} can only be {metric.goal}d; leave goal out"
                )
            scale = _scale(metric, spec, table, parameter_range, classes)
            reference = wanted.reference
            if reference is None:
                limits = [bound.limit for bound in constraints if bound.metric == metric.name and bound.sign == 1]
                reference = (
                    min([scale.worst, *(limit for limit in limits if limit > 0)]) if metric.cost else scale.worst
                )
            elif scale.position(reference) <= 0:
                raise FieldError(
                    f"objectives.{index}.reference",
                    f"a reference is worse than the best {metric.name} there can be ({scale.best:g}); choose another",
                )
            objectives.append(
                Objective(metric=metric.name, known=metric.name in known, goal=goal, scale=scale, reference=reference)
            )
        if all(objective.known for objective in objectives):
            raise FieldError(
                "objectives",
                "every objective is known before training; add one that training measures, such as quality",
            )
        loss = quality_scale("loss", spec.task.type, classes)
        return cls(objectives=tuple(objectives), constraints=_drawn_out(constraints, objectives), loss_scale=loss)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(objective.metric for objective in self.objectives)

    @property
    def learned(self) -> dict[str, ScaledMetric]:
        """What training measures, by metric, objectives first: an objective, or a bound on what is none."""
        found: dict[str, ScaledMetric] = {}
        for each in (*self.objectives, *self.constraints):
            if not each.known:
                found.setdefault(each.metric, each)
        return found

    @property
    def reference(self) -> Floats:
        """The reference point, minimised and scaled. Shape [objectives]."""
        return np.array([objective.minimised(objective.reference) for objective in self.objectives])

    def measured(self, values: Mapping[str, float]) -> bool:
        """Whether every objective is there and a finite number."""
        return all(math.isfinite(values.get(name, math.nan)) for name in self.names)

    def minimised(self, values: Mapping[str, float]) -> Floats:
        """The objectives of one measurement, all minimised and scaled. Shape [objectives].

        Raises:
            KeyError: a metric is missing.
        """
        return np.array([objective.minimised(values[objective.metric]) for objective in self.objectives])

    def violations(self, values: Mapping[str, float]) -> Floats:
        """How far each constraint is broken, in scaled units; at most 0 where it holds. Shape [constraints].

        A constraint whose metric is missing counts as broken by 1.
        """
        return np.array(
            [
                constraint.violation(values[constraint.metric]) if constraint.metric in values else 1.0
                for constraint in self.constraints
            ]
        )

    def feasible(self, values: Mapping[str, float]) -> bool:
        return bool((self.violations(values) <= 0).all())


def _metric(name: str, task: TaskType, field: str) -> Metric:
    metric = METRICS[QUALITY[task] if name == "quality" else name]
    if metric.tasks and task not in metric.tasks:
        able = ", ".join(other.name for other in METRICS.values() if not other.tasks or task in other.tasks)
        raise FieldError(field, f"{metric.name} does not exist for {task}; choose from: quality, {able}")
    return metric


def _drawn_out(constraints: Sequence[Constraint], objectives: Sequence[Objective]) -> tuple[Constraint, ...]:
    """Where training measures a metric that is no objective, its scale is drawn out around the limit; two bounds on it
    share the first's scale, as one model serves both."""
    scales = {each.metric: each.scale for each in objectives}
    for each in constraints:
        if not each.known:
            scales.setdefault(each.metric, each.scale.drawn_out(each.limit))
    return tuple(each.model_copy(update={"scale": scales.get(each.metric, each.scale)}) for each in constraints)


def _check_possible(metric: Metric, bound: ConstraintSpec, scale: Scale, field: str) -> None:
    """Raises FieldError when no model could hold the bound: it lies beyond the best value that there can be."""
    least = metric.goal == "minimize"
    limit, word = (bound.max, "at most") if least else (bound.min, "at least")
    if limit is not None and (limit < scale.best if least else limit > scale.best):
        raise FieldError(
            field, f"{metric.name} cannot be {word} {limit:g}: the best there can be is {scale.best:g}; move the limit"
        )


def _scale(
    metric: Metric,
    spec: JobSpec,
    table: SiteTable,
    parameter_range: tuple[float, float],
    classes: Sequence[float] | None,
) -> Scale:
    if metric.behaviour:
        return behaviour_scale(metric.name, spec.task.type, classes)
    if not metric.cost:
        return quality_scale(metric.name, spec.task.type, classes)
    tokens = spec.training.batch_size * (table.max_positions if spec.task.reads_images else spec.task.max_length)
    ceiling = cost_ceiling(metric.name, table, parameter_range[1], tokens)
    return Scale(best=0.0, worst=ceiling, unit=1e-3 if metric.timing else 1.0, log=True)
