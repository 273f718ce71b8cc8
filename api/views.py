"""From the store's records to what the service answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from api.schemas import (
    ArtifactView,
    Cost,
    EvaluationView,
    FrontView,
    JobDetail,
    JobView,
    MethodView,
    ObjectiveView,
    OptionView,
    PointView,
    Progress,
    RateView,
    SizeView,
    TrialDetail,
    TrialView,
)
from search.ledger import ADAPTER, LADDER
from space.allocators import ALLOCATORS, Allocator
from space.methods import METHODS, Field, Method
from space.treatment import Treatment
from space.treatments import TREATMENTS
from storage.records import EvaluationRecord, JobRecord, TrialRecord

EMPTY_FRONT: dict[str, Any] = {"points": [], "order": [], "statement": "Nothing has been trained in full yet."}


def _job_fields(job: JobRecord) -> dict[str, Any]:
    progress = job.progress
    return {
        "id": job.id,
        "name": job.spec["name"],
        "state": job.state,
        "requested": job.requested,
        "reason": job.reason,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "ended_at": job.ended_at,
        "progress": Progress(
            phase=progress.get("phase", job.state),
            sampled=progress.get("sampled", 0),
            trials=job.spec["budget"]["trials"],
            hypervolume=progress.get("front", {}).get("hypervolume", 0.0),
            gain=progress.get("gain"),
        ),
        "best": progress.get("best", {}),
        "cost": Cost(**{name: progress[name] for name in Cost.model_fields if name in progress}),
        "spec": job.spec,
    }


def job_view(job: JobRecord) -> JobView:
    return JobView(**_job_fields(job))


def job_detail(job: JobRecord) -> JobDetail:
    """Without what it keeps of earlier jobs' trials: those are asked for by the transfer."""
    context = {name: value for name, value in job.context.items() if name != "sources"}
    return JobDetail(**_job_fields(job), context=context)


def _trial_fields(trial: TrialRecord) -> dict[str, Any]:
    return {
        "number": trial.number,
        "kind": trial.kind,
        "name": trial.name,
        "state": trial.state,
        "configuration": trial.configuration,
        "trainable_parameters": sum(entry["parameters"] for entry in trial.plan["entries"]),
        "strategy": trial.strategy,
        "reason": trial.reason,
        "ladder": trial.attributes.get(LADDER),
        "summary": trial.summary,
        "failure": trial.failure,
        "created_at": trial.created_at,
        "started_at": trial.started_at,
        "ended_at": trial.ended_at,
    }


def trial_view(trial: TrialRecord) -> TrialView:
    return TrialView(**_trial_fields(trial))


def trial_detail(trial: TrialRecord, evaluations: list[EvaluationView]) -> TrialDetail:
    return TrialDetail(
        **_trial_fields(trial), key=trial.key, point=trial.point, plan=trial.plan, evaluations=evaluations
    )


def evaluation_view(evaluation: EvaluationRecord, curve: list[dict[str, Any]]) -> EvaluationView:
    """`curve`: points recorded while it ran; a completed evaluation's own curve is whole and stands instead."""
    measurement = evaluation.measurement or {}
    adapter = evaluation.artifact(ADAPTER)
    return EvaluationView(
        id=evaluation.id,
        purpose=evaluation.purpose,
        fidelity=evaluation.fidelity,
        stop_step=evaluation.stop_step,
        seed=evaluation.seed,
        state=evaluation.state,
        attempt=evaluation.attempt,
        metrics=measurement.get("metrics", {}),
        test_metrics=measurement.get("test_metrics", {}),
        curve=measurement.get("curve") or curve,
        failure=evaluation.failure,
        adapter=None if adapter is None else ArtifactView(sha256=adapter.digest, bytes=adapter.size),
        started_at=evaluation.started_at,
        ended_at=evaluation.ended_at,
    )


def front_view(job: JobRecord) -> FrontView:
    """The front as the loop last left it in the job's progress; empty before the first full evaluation."""
    front: dict[str, Any] = job.progress.get("front") or EMPTY_FRONT
    points = {point["trial"]: PointView.model_validate(point) for point in front["points"]}
    objectives = front.get("objectives") or job.context.get("objectives", {}).get("objectives", [])
    return FrontView(
        objectives=[ObjectiveView(metric=each["metric"], goal=each["goal"]) for each in objectives],
        points=[points[number] for number in front["order"]],
        dominated=[point for point in points.values() if point.kind == "search" and not point.on_front],
        baselines=[point for point in points.values() if point.kind == "baseline"],
        hypervolume=front.get("hypervolume", 0.0),
        baseline_hypervolume=front.get("baseline_hypervolume", 0.0),
        reference=front.get("reference") or {each["metric"]: each["reference"] for each in objectives},
        history=front.get("history", []),
        knee=front.get("knee"),
        statement=front["statement"],
    )


def method_view(method: Method) -> MethodView:
    size, rate = method.size, method.learning_rate
    return MethodView(
        name=method.name,
        title=method.title,
        kind=method.kind,
        engine=method.engine,
        summary=method.summary,
        source=method.source,
        site_kind=method.site_kind,
        default_roles=list(method.default_roles),
        role_choices=[list(roles) for roles in method.role_choices],
        size=None if size is None else SizeView(name=size.name, choices=list(size.choices), default=size.default),
        fields=_options(method.fields),
        learning_rate=RateView(low=rate.low, high=rate.high, default=rate.default),
        formula=method.formula,
        composable=method.composable,
        merges=method.merges,
        converts_to_lora=method.converts_to_lora,
        starts_at_base=method.starts_at_base,
        verified=[*(["peft"] if method.peft is not None else []), *method.verified],
        searchable=method.searchable,
    )


def treatment_view(treatment: Treatment) -> MethodView:
    """An initialisation, procedure or compression as a row of the catalogue."""
    return _beside_methods(
        name=treatment.name,
        title=treatment.title,
        kind=treatment.kind,
        engine=treatment.engine,
        summary=treatment.summary,
        source=treatment.source,
        fields=_options(treatment.fields),
        fits=treatment.fits,
        verified=list(treatment.verified),
    )


def allocator_view(allocator: Allocator) -> MethodView:
    """What spreads a sparsity budget, as a row of the catalogue."""
    scores = "; reads scores of the model on the task" if allocator.needs_scores else ""
    return _beside_methods(
        name=allocator.name,
        kind="allocator",
        engine="E5",
        summary=allocator.summary,
        source=allocator.source,
        fields=[],
        fits=allocator.fits + scores,
    )


def _beside_methods(**told: Any) -> MethodView:
    """A row of what is no method: it has no sites, sizes or rates of its own."""
    return MethodView(
        **told,
        site_kind="",
        default_roles=[],
        role_choices=[],
        size=None,
        learning_rate=None,
        formula="",
        composable=False,
        merges=False,
        converts_to_lora=False,
        starts_at_base=False,
        searchable=False,
    )


def catalogue_views() -> list[MethodView]:
    """Everything that a space may name, methods first."""
    return [
        *map(method_view, METHODS.values()),
        *map(allocator_view, ALLOCATORS.values()),
        *map(treatment_view, TREATMENTS.values()),
    ]


def _options(fields: Iterable[Field]) -> list[OptionView]:
    return [
        OptionView(
            name=each.name,
            description=each.description,
            default=each.default,
            choices=list(each.choices),
            low=each.low,
            high=each.high,
            log=each.log,
        )
        for each in fields
    ]
