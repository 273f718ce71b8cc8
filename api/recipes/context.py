"""What a recipe is made from: one trial of one job, with its plan, its split and what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from api.recipes.recipe_file import file_stem
from evaluator.model_card import needs_paretune
from evaluator.recipe import Measured, PlanSummary, Provenance, Recipe
from search.job import JobSpec
from space.configuration import Configuration
from space.plan import Plan
from space.sites import SiteTable


@dataclass(frozen=True)
class RecipeContext:
    """One trial as recipes see it."""

    job_id: str
    spec: JobSpec
    trial: int
    configuration: Configuration
    plan: Plan
    table: SiteTable
    split: Mapping[str, Any]
    """The job's split file (`evaluator.data.split.SplitFile`) as JSON."""
    created: datetime
    version: str
    """Paretune's own, that chose it."""
    trial_name: str | None = None
    """A baseline's name."""
    seed: int = 0
    measured: Mapping[str, Any] = field(default_factory=dict)
    """The trial's point of the front, or what is known of it: objectives, intervals, test, probability."""

    @property
    def recipe(self) -> Recipe:
        """The native recipe."""
        spec = self.spec
        return Recipe(
            name=f"{spec.name}, trial {self.trial}"[:200],
            model=spec.model,
            task=spec.task,
            training=spec.training,
            configuration=self.configuration,
            steps=spec.budget.steps,
            seed=self.seed,
            summary=PlanSummary.of(self.plan),
            measured=Measured(
                objectives=self.measured.get("objectives") or {},
                intervals={name: tuple(ends) for name, ends in (self.measured.get("intervals") or {}).items()},
                test=self.measured.get("test") or {},
                probability=self.measured.get("probability"),
            ),
            provenance=Provenance(
                job=self.job_id,
                job_name=spec.name,
                trial=self.trial,
                trial_name=self.trial_name,
                paretune=self.version,
                created=self.created,
                data_sha256=self.split.get("content_hash"),
            ),
            plan=self.plan,
        )

    @property
    def stem(self) -> str:
        """Start of a file name."""
        return file_stem(self.spec.name, self.trial)

    @property
    def own_methods(self) -> tuple[str, ...]:
        """Methods of the plan that need Paretune's adapter type beside peft's own."""
        return self.plan.methods if needs_paretune(self.plan) else ()
