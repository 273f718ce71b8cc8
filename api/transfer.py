"""What a job made of earlier ones: its sources, whether they are believed, and how much of its front theirs reach."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from api import views
from api.schemas import View
from evaluator.task import ModelSpec
from search.front import Front, build_front
from search.ledger import read_trials
from search.objectives import Objectives
from search.transfer.agreement import Agreement
from search.transfer.outcome import Compared, Others, Transferred, outcome, statement
from search.transfer.read import LOOKED_AT, same_base
from search.transfer.source import Source
from space.errors import FieldError
from storage.errors import NotFound
from storage.records import JobRecord
from storage.store import Store

ALIKE = ("type", "data", "text", "text_pair", "label", "max_length", "split")
"""Fields of a task that decide what is measured."""


class VerdictView(View):
    """What a job's own trials say of one source about one metric."""

    metric: str
    state: Literal["learning", "kept", "dropped"] = Field(description="dropped: its interval lies below 0.2")
    weight: float = Field(description="of all sources' say about the metric")
    kendall: float = Field(description="rank correlation of what it predicts with what was measured here")
    interval: tuple[float, float] = Field(description="95%; [-1, 1] where too few trials can be compared")
    trials: int = Field(description="trials that could be compared")
    statement: str


class SourceView(View):
    """An earlier job that a job learns from, as it stood at submission."""

    job: str
    name: str
    model: str = Field(description="last part of its path, or its hub id")
    data: str = Field(description="the same of its data")
    trials: int = Field(description="of its trials, those with results")
    carried: int | None = Field(description="of these, the configurations that this job's space holds")
    statement: str
    verdicts: list[VerdictView] = Field(description="by learned objective; empty where it measured too little")


class SourceAgreementView(View):
    kendall: float
    interval: tuple[float, float] = Field(description="95%; [-1, 1] where there are too few")
    trials: int


class ComparisonView(View):
    """The transferred points' hypervolume against that of other points."""

    against: str
    hypervolume: float = Field(description="of the others")
    difference: float = Field(description="the transferred points' less the others'")
    interval: tuple[float, float] | None = Field(description="95% of the difference; null before two seeds")
    answer: Literal["transfers", "no significant difference", "does not transfer", "unknown"]


class TransferredView(View):
    """One configuration, in the source and here."""

    trial: int
    source: str = Field(description="the job that it is from")
    source_trial: int
    configuration: dict[str, Any]
    methods: list[str]
    there: dict[str, float] = Field(description="objectives as the source reports them, where it measured them")
    here: dict[str, float] = Field(description="objectives here, a mean over the seeds")
    intervals: dict[str, tuple[float, float]] = Field(description="95% interval of the mean, here")
    test: dict[str, float] = Field(description="on test rows, here")
    seeds: int
    on_front: bool


class TransferView(View):
    """What a job made of earlier ones."""

    sources: list[SourceView]
    points: list[TransferredView] = Field(description="points of the sources' fronts that were trained in full here")
    hypervolume: float = Field(description="of these points, on this job's scale")
    baselines: ComparisonView | None = Field(description="against the hand-made baselines")
    search: ComparisonView | None = Field(description="against a search of the same task that learned from nothing")
    against: str | None = Field(description="the job of that search")
    ordering: SourceAgreementView | None = Field(description="of the points' quality here with that in the source")
    answer: Literal["transfers", "no significant difference", "does not transfer", "unknown"]
    statement: str


def transfer_view(store: Store, job: JobRecord, against: str | None = None) -> TransferView:
    """See `Services.transfer`."""
    sources = [Source.model_validate(each) for each in job.context.get("sources", ())]
    objectives = Objectives.model_validate(job.context["objectives"])
    front = build_front(list(read_trials(store, job.id).values()), objectives, job.spec["budget"]["steps"])
    other = _named(store, job, against) if against is not None else _search_of_the_same(store, job, objectives)
    found = outcome(front, sources, None if other is None else _others(other, objectives))
    return TransferView(
        sources=_sources(job, sources),
        points=[_transferred(each, front) for each in found.points],
        hypervolume=found.hypervolume,
        baselines=_comparison(found.baselines),
        search=_comparison(found.search),
        against=None if other is None or found.search is None else other.id,
        ordering=_agreement(found.ordering),
        answer=found.answer,
        statement=statement(found) if sources else "This job learns from no earlier one.",
    )


def _sources(job: JobRecord, sources: list[Source]) -> list[SourceView]:
    """As the loop last judged them; before it began, as they were read."""
    judged: dict[str, dict[str, Any]] = {each["job"]: each for each in job.progress.get("transfer", ())}
    return [
        SourceView(
            job=each.job,
            name=each.name,
            model=each.model,
            data=each.data,
            trials=len(each.trials),
            carried=judged[each.job]["carried"] if each.job in judged else None,
            statement=judged[each.job]["statement"] if each.job in judged else "The job has not begun.",
            verdicts=judged[each.job]["verdicts"] if each.job in judged else [],
        )
        for each in sources
    ]


def _transferred(found: Transferred, front: Front) -> TransferredView:
    names = front.objectives.names
    values = found.point.values
    bounds = {name: found.point.estimates[name].interval for name in names if name in found.point.estimates}
    return TransferredView(
        trial=found.point.trial.number,
        source=found.source.job,
        source_trial=found.source_trial,
        configuration=found.point.trial.record.configuration,
        methods=list(found.point.trial.plan.methods),
        there={name: found.there[name] for name in names if name in found.there},
        here={name: values[name] for name in names},
        intervals=bounds,
        test={name: value for name, value in found.point.test.items() if name in names},
        seeds=len(found.point.samples),
        on_front=any(front.points[row] is found.point for row in front.on_front),
    )


def _comparison(found: Compared | None) -> ComparisonView | None:
    if found is None:
        return None
    bounds = None if found.low is None or found.high is None else (found.low, found.high)
    return ComparisonView(
        against=found.against,
        hypervolume=found.hypervolume,
        difference=found.difference,
        interval=bounds,
        answer=found.answer,
    )


def _agreement(found: Agreement | None) -> SourceAgreementView | None:
    if found is None:
        return None
    return SourceAgreementView(kendall=found.kendall, interval=(found.low, found.high), trials=found.trials)


def _named(store: Store, job: JobRecord, against: str) -> JobRecord:
    try:
        other = store.job(against)
    except NotFound as error:
        raise FieldError("against", f"there is no job {against}; `paretune jobs` lists those there are") from error
    if not _alike(job, other):
        raise FieldError(
            "against", f"job {against} has another model, task or number of steps, so nothing compares; name another"
        )
    if not _searched(other):
        raise FieldError("against", f"the front of job {against} is still empty; wait, or name another")
    return other


def _search_of_the_same(store: Store, job: JobRecord, objectives: Objectives) -> JobRecord | None:
    """The newest search of this job's own task that learned from nothing and measured the same objectives."""
    if not job.context.get("sources"):
        return None
    for other in store.jobs(limit=LOOKED_AT).items:
        if other.id != job.id and not other.spec.get("transfer") and _alike(job, other):
            points = _searched(other)
            if points and {name for each in points for name in each["objectives"]} >= set(objectives.names):
                return other
    return None


def _alike(job: JobRecord, other: JobRecord) -> bool:
    own, theirs = job.spec, other.spec
    return (
        same_base(ModelSpec.model_validate(own["model"]), ModelSpec.model_validate(theirs["model"]))
        and own["budget"]["steps"] == theirs["budget"]["steps"]
        and all(own["task"].get(name) == theirs["task"].get(name) for name in ALIKE)
    )


def _searched(job: JobRecord) -> list[dict[str, Any]]:
    """Points of a job's front that its search found."""
    points: list[dict[str, Any]] = (job.progress.get("front") or views.EMPTY_FRONT)["points"]
    return [each for each in points if each["kind"] == "search" and each["on_front"]]


def _others(job: JobRecord, objectives: Objectives) -> Others:
    points = _searched(job)
    values = [{**each["metrics"], **each["objectives"]} for each in points]
    missing = [name for name in objectives.names if any(name not in each for each in values)]
    if missing:
        raise FieldError("against", f"job {job.id} did not measure {', '.join(missing)}; name another")
    return Others(f"its own search (job {job.id})", values, [each["seeds"] for each in points])
