"""The job's specification: the one model of a search that YAML files, HTTP bodies and the store share."""

from __future__ import annotations

import unicodedata
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from evaluator.task import ModelSpec, TaskSpec, Training
from search.metrics import METRICS
from space.frozen import Frozen

CONTROLS = ("Cc", "Cs", "Zl", "Zp")
"""Unicode's categories of control characters, lone surrogates, and line and paragraph separators."""
DIRECTIONS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""Unicode's Bidi_Control: invisible, and they make the text around a name read in another order."""
SPACE_DEPTH = 8

Goal = Literal["maximize", "minimize"]


def _known_metric(metric: str) -> str:
    if metric != "quality" and metric not in METRICS:
        raise ValueError(f"unknown metric {metric!r}; known: quality, {', '.join(METRICS)}")
    return metric


class ObjectiveSpec(Frozen):
    """One thing to optimise."""

    metric: str = Field(description="one of the metrics, or `quality`: the task's own", examples=["accuracy"])
    goal: Goal | None = Field(default=None, description="default: the metric's own")
    reference: float | None = Field(
        default=None, description="this objective's value in the hypervolume's reference point"
    )

    @field_validator("metric")
    @classmethod
    def _known(cls, metric: str) -> str:
        return _known_metric(metric)


class ConstraintSpec(Frozen):
    """One thing that a point of the front must hold."""

    metric: str = Field(description="one of the metrics, or `quality`: the task's own", examples=["adapter_bytes"])
    max: float | None = Field(default=None, description="largest value allowed")
    min: float | None = Field(default=None, description="smallest value allowed")

    @field_validator("metric")
    @classmethod
    def _known(cls, metric: str) -> str:
        return _known_metric(metric)

    @model_validator(mode="after")
    def _has_a_bound(self) -> ConstraintSpec:
        if self.max is None and self.min is None:
            raise ValueError("give max, min or both")
        if self.max is not None and self.min is not None and self.min > self.max:
            raise ValueError("min is above max")
        return self


class BudgetSpec(Frozen):
    """When a search ends, and how long one full-fidelity evaluation is."""

    trials: int = Field(default=40, ge=1, le=100_000, description="configurations sampled; baselines come on top")
    minutes: float | None = Field(
        default=None, gt=0, le=100_000, description="wall time of everything, finalists included"
    )
    steps: int = Field(default=200, ge=1, le=10_000_000, description="optimiser steps of one full-fidelity evaluation")
    total_steps: int | None = Field(
        default=None,
        ge=1,
        le=10**12,
        description="optimiser steps of all evaluations together, finalists and baselines included; at least `steps`",
    )
    flat_trials: int | None = Field(
        default=None, ge=5, description="stop when the hypervolume has not grown for so many trials trained in full"
    )
    least_gain: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="stop when 10 further trials would, with 95% certainty, bring less than this share of the "
        "hypervolume; see docs/stopping.md",
    )

    @model_validator(mode="after")
    def _holds_an_evaluation(self) -> BudgetSpec:
        if self.total_steps is not None and self.total_steps < self.steps:
            raise ValueError("total_steps is below steps, so not one evaluation of full length fits; raise it")
        return self


class FidelitySpec(Frozen):
    rungs: tuple[float, ...] = Field(
        default=(0.11, 0.33, 1.0),
        min_length=1,
        max_length=8,
        description="shares of the full steps after which evaluations are compared and the best go on",
    )
    audit: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="share of the sampled configurations that are trained in full whatever their rank, to measure how "
        "well short runs order full ones; they take at most twice that share of the search's steps; 0: none",
    )

    @field_validator("rungs")
    @classmethod
    def _ascending(cls, rungs: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 0 < rung <= 1 for rung in rungs) or list(rungs) != sorted(set(rungs)) or rungs[-1] != 1.0:
            raise ValueError("rungs ascend within (0, 1] and end at 1.0, for example [0.11, 0.33, 1.0]")
        return rungs

    def steps(self, full_steps: int) -> tuple[int, ...]:
        """Last step of each rung: max(1, round(f·steps)), equal ones merged."""
        return tuple(sorted({max(1, round(rung * full_steps)) for rung in self.rungs}))


class SamplerSpec(Frozen):
    name: Literal["random", "sobol", "tpe", "nsga2", "bayes"] = Field(
        default="bayes", description="one of random, sobol, tpe, nsga2, bayes"
    )
    surrogate: Literal["gp", "map-saas", "saas"] = Field(
        default="gp",
        description="the model of `bayes`: gp, map-saas, or saas, which takes minutes a suggestion and needs an extra",
    )
    seed: int = Field(
        default=0, ge=0, le=2**31 - 1, description="decides the search's own draws, and the evaluations' seeds"
    )


class FinalistsSpec(Frozen):
    """Re-runs of the front with fresh seeds at full fidelity."""

    count: int = Field(default=5, ge=0, le=100, description="points of the front to re-run")
    seeds: int = Field(default=2, ge=1, le=100, description="fresh seeds for each, and for each baseline")


class TransferSpec(Frozen):
    """Earlier jobs that this one learns from."""

    jobs: tuple[str, ...] = Field(default=(), max_length=10, description="ids of earlier jobs, any task, any model")
    same_model: bool = Field(default=False, description="the latest jobs of the same base model too, five at most")
    warm_start: int = Field(default=5, ge=0, le=100, description="first trials that are points of the sources' fronts")
    only: bool = Field(
        default=False,
        description="sample nothing else, each in full with `finalists.seeds` seeds: does the front hold?",
    )

    @model_validator(mode="after")
    def _names_something(self) -> TransferSpec:
        if not self.jobs and not self.same_model:
            raise ValueError("names no source; give jobs or same_model: true, or leave transfer out")
        if len(set(self.jobs)) < len(self.jobs):
            raise ValueError("jobs: one is named twice; name each once")
        return self


def _deeper(value: Any, levels: int) -> bool:
    """Whether a JSON-like value has containers within each other on more than `levels` levels."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else None
    return inner is not None and (levels == 0 or any(_deeper(each, levels - 1) for each in inner))


class JobSpec(Frozen):
    """A search, as a user submits it. Every field but `model` and `task` has a default."""

    name: str = Field(default="search", min_length=1, max_length=200, description="what people call it, on one line")
    model: ModelSpec
    task: TaskSpec
    training: Training = Training()
    space: dict[str, Any] = Field(
        default_factory=lambda: {"preset": "all"},
        description="a preset, or methods and their choices; see docs/spaces.md",
    )
    objectives: tuple[ObjectiveSpec, ...] = Field(
        default=(ObjectiveSpec(metric="quality"), ObjectiveSpec(metric="trainable_parameters")),
        min_length=1,
        max_length=8,
        description="what to optimise",
    )
    constraints: tuple[ConstraintSpec, ...] = Field(default=(), description="what a point of the front must hold")
    budget: BudgetSpec = BudgetSpec()
    fidelity: FidelitySpec = FidelitySpec()
    sampler: SamplerSpec = SamplerSpec()
    finalists: FinalistsSpec = FinalistsSpec()
    transfer: TransferSpec | None = Field(default=None, description="earlier jobs to learn from; see docs/transfer.md")
    baselines: bool = Field(default=True, description="train hand-made configurations beside the search's")
    workers: int = Field(default=2, ge=1, le=256, description="evaluations at once, as far as the pool has workers")

    @model_validator(mode="before")
    @classmethod
    def _no_finalists_without_a_search(cls, data: Any) -> Any:
        """Where only sources' points are sampled, every one has its seeds, and none is chosen to be run again."""
        transfer = data.get("transfer") if isinstance(data, dict) else None
        only = transfer.get("only") if isinstance(transfer, dict) else getattr(transfer, "only", False)
        finalists = data.get("finalists", {}) if only is True else None
        return {**data, "finalists": {**finalists, "count": 0}} if isinstance(finalists, dict) else data

    @property
    def sources_only(self) -> bool:
        """Nothing is searched: the points of earlier jobs' fronts are trained in full."""
        return self.transfer is not None and self.transfer.only

    @field_validator("name")
    @classmethod
    def _printable(cls, name: str) -> str:
        if not name.strip() or any(unicodedata.category(character) in CONTROLS for character in name):
            raise ValueError("a name is one line of text without control characters; write another")
        if turned := sorted({f"U+{ord(character):04X}" for character in name if character in DIRECTIONS}):
            raise ValueError(
                f"the name holds invisible marks of the direction of writing ({', '.join(turned)}); leave them out"
            )
        return name

    @field_validator("space")
    @classmethod
    def _shallow(cls, space: dict[str, Any]) -> dict[str, Any]:
        if _deeper(space, SPACE_DEPTH):
            raise ValueError(f"is nested more than {SPACE_DEPTH} deep; see docs/spaces.md for what a space may say")
        return space

    @field_validator("objectives")
    @classmethod
    def _each_once(cls, objectives: tuple[ObjectiveSpec, ...]) -> tuple[ObjectiveSpec, ...]:
        names = [objective.metric for objective in objectives]
        if len(set(names)) < len(names):
            raise ValueError("each metric may be an objective once")
        return objectives
