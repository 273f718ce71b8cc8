"""Trials as the store keeps them, of accuracy and parameters alone, for what is made of their full runs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from search.ledger import Trial
from search.objectives import Objective, Objectives
from search.scales import Scale
from space.plan import Plan, PlanEntry
from storage.records import EvaluationRecord, TrialRecord
from storage.states import Purpose, TrialKind

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FULL = 100
OBJECTIVES = Objectives(
    objectives=(
        Objective(metric="accuracy", goal="maximize", scale=Scale(best=1.0, worst=0.2), reference=0.2),
        Objective(
            metric="trainable_parameters",
            goal="minimize",
            scale=Scale(best=0.0, worst=1e6, log=True),
            reference=1e6,
        ),
    ),
    loss_scale=Scale(best=0.0, worst=1.6),
)


def trial(
    number: int, parameters: int, runs: dict[tuple[Purpose, int, int], float], kind: TrialKind = "search"
) -> Trial:
    """`runs`: (purpose, stop step, seed) -> accuracy."""
    entry = PlanEntry(layer=0, role="mlp", method="serial-adapter", size=1, parameters=parameters)
    record = TrialRecord(
        job_id="job", number=number, kind=kind, name="made by hand" if kind == "baseline" else None, key=str(number),
        state="completed", configuration={}, plan=Plan(entries=(entry,)).model_dump(mode="json"), point={},
        strategy="", reason="", attributes={}, summary={}, failure=None, created_at=NOW, started_at=NOW, ended_at=NOW,
    )  # fmt: skip
    made = Trial(record)
    for (purpose, step, seed), accuracy in runs.items():
        metrics = {"accuracy": accuracy, "trainable_parameters": float(parameters)}
        measurement: dict[str, Any] = {"step": step, "metrics": metrics}
        if purpose != "rung":
            measurement["test_metrics"] = {"accuracy": accuracy - 0.01}
        identifier = f"{number}-{purpose}-{step}-{seed}"
        made.evaluations[identifier] = EvaluationRecord(
            id=identifier, job_id="job", trial_number=number, purpose=purpose, fidelity=step / FULL, stop_step=step,
            seed=seed, state="completed", attempt=1, owner=None, lease_until=None, measurement=measurement,
            failure=None, artifacts=(), created_at=NOW, started_at=NOW, ended_at=NOW,
        )  # fmt: skip
    return made
