"""Submissions: a job's spec checked whole against model and data before anything is stored. Loads no tensor library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from evaluator.inspection import Inspection
from evaluator.task import ModelSpec, TaskSpec
from search.fields import Invalid, unstorable
from search.job import JobSpec
from search.objectives import Objectives
from search.samplers.bayes.kinds import check_kind
from search.transfer.read import read_sources
from search.transfer.source import Source
from search.transfer.transfer import Transfer
from space.errors import FieldError
from space.load import load_space
from space.parameters import ParameterLimits
from space.sites import SiteTable
from space.space import SearchSpace
from storage.store import Store

RANGE_SEED = 0
"""The parameter range is partly found by sampling: the same job gives the same range."""


class Inspector(Protocol):
    def inspect(self, model: ModelSpec, task: TaskSpec) -> Inspection:
        """Look at model and data. Raises FieldError, its field a path of the job's spec."""
        ...


@dataclass(frozen=True)
class Prepared:
    """A spec that can run, with all that was found out about it."""

    spec: JobSpec
    inspection: Inspection
    space: SearchSpace
    objectives: Objectives
    parameter_range: tuple[int, int]
    """Fewest and most trainable parameters of the space's valid configurations."""
    sources: tuple[Source, ...] = ()
    """Earlier jobs to learn from, as they stood at submission."""

    @property
    def table(self) -> SiteTable:
        return self.inspection.table

    def transfer(self, space: SearchSpace) -> Transfer | None:
        """What the job makes of its sources on `space`, its own with the scores that plans need."""
        wanted = self.spec.transfer
        if wanted is None or not self.sources:
            return None
        count = self.spec.budget.trials if wanted.only else wanted.warm_start
        return Transfer(self.sources, space, self.objectives, count, wanted.only)

    def context(self) -> dict[str, Any]:
        """What is stored with the job, as JSON; `restore` reads it."""
        return {
            "table": self.table.model_dump(mode="json"),
            "data": self.inspection.model_dump(mode="json", exclude={"table"}),
            "objectives": self.objectives.model_dump(mode="json"),
            "parameter_range": list(self.parameter_range),
            "space_size": self.space.size(),
            **({"sources": [each.model_dump(mode="json") for each in self.sources]} if self.sources else {}),
        }


def prepare(spec: JobSpec, inspector: Inspector, store: Store | None = None) -> Prepared:
    """Everything that a submission must pass: model and data, the space on this model, objectives and constraints, and
    the earlier jobs it names, which `store` holds.

    Raises:
        Invalid: values that cannot be stored, each by its path in the spec.
        FieldError: the first value at fault otherwise.
    """
    if wrong := unstorable(spec.model_dump()):
        raise Invalid(wrong)
    if spec.sampler.name == "bayes":
        check_kind(spec.sampler.surrogate, "sampler.surrogate")
    inspection = inspector.inspect(spec.model, spec.task)
    _check_measurable(spec, inspection)
    space = _space(spec, inspection.table)
    low, high = space.parameter_range(np.random.default_rng(RANGE_SEED))
    parameter_range = int(low), int(high)
    rows = sum(inspection.class_counts)
    shares = [count / rows for count in inspection.class_counts] or None
    objectives = Objectives.of(spec, inspection.table, parameter_range, shares, space.known_metrics)
    sources = read_sources(store, spec, space)
    return Prepared(spec, inspection, space, objectives, parameter_range, sources)


def restore(stored: JobSpec | Mapping[str, Any], context: Mapping[str, Any]) -> Prepared:
    """What `prepare` gave, from the spec and the context that are stored; looks at neither model nor data."""
    spec = JobSpec.model_validate(stored)
    inspection = Inspection.model_validate({**context["data"], "table": context["table"]})
    low, high = context["parameter_range"]
    return Prepared(
        spec,
        inspection,
        _space(spec, inspection.table),
        Objectives.model_validate(context["objectives"]),
        (int(low), int(high)),
        tuple(Source.model_validate(each) for each in context.get("sources", ())),
    )


def _check_measurable(spec: JobSpec, inspection: Inspection) -> None:
    """Raises FieldError where the job names a metric that cannot be measured on its model."""
    named = [(f"objectives.{index}", each.metric) for index, each in enumerate(spec.objectives)]
    named += [(f"constraints.{index}", each.metric) for index, each in enumerate(spec.constraints)]
    for field, metric in named:
        if metric == "forgetting" and inspection.forgetting_refusal:
            why = f"forgetting cannot be measured: {inspection.forgetting_refusal}"
            raise FieldError(f"{field}.metric", why)


def _space(spec: JobSpec, table: SiteTable) -> SearchSpace:
    return load_space(spec.space, table, parameter_limits(spec))


def parameter_limits(spec: JobSpec) -> ParameterLimits:
    """The constraints that are known before training, all of them together."""
    bounds = [each for each in spec.constraints if each.metric == "trainable_parameters"]
    lows = [each.min for each in bounds if each.min is not None]
    highs = [each.max for each in bounds if each.max is not None]
    return ParameterLimits(max(lows, default=None), min(highs, default=None))
