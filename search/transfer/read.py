"""Reading a job's sources, once, when it is submitted."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path, PurePath

from evaluator.task import ModelSpec
from search.job import JobSpec
from search.ledger import read_trials
from search.objectives import Objectives
from search.transfer.carried import carry
from search.transfer.source import Source, source_trials
from space.errors import FieldError
from space.space import SearchSpace
from storage.errors import NotFound
from storage.records import JobRecord
from storage.store import Store

MOST_SAME_MODEL = 5
"""Sources that `same_model` takes, the newest."""
LOOKED_AT = 100
"""Jobs, the newest first, among which it looks."""


def read_sources(store: Store | None, spec: JobSpec, space: SearchSpace) -> tuple[Source, ...]:
    """What `spec.transfer` names, those called by name first.

    Raises:
        FieldError: a job that is named does not exist, has no trial in full, or none that `space` holds.
    """
    wanted = spec.transfer
    if wanted is None:
        return ()
    if store is None:
        raise FieldError("transfer", "earlier jobs cannot be looked up here; leave transfer out")
    found = [_named(store, job_id, space, f"transfer.jobs.{index}") for index, job_id in enumerate(wanted.jobs)]
    if wanted.same_model:
        others = (job for job in _same_model(store, spec.model) if job.id not in wanted.jobs)
        found += islice(_usable(store, others, space), MOST_SAME_MODEL)
    if wanted.only and not found:
        raise FieldError(
            "transfer.same_model", "no earlier job of this model has a trial in full that fits here; name jobs instead"
        )
    return tuple(found)


def _named(store: Store, job_id: str, space: SearchSpace, field: str) -> Source:
    try:
        job = store.job(job_id)
    except NotFound as error:
        raise FieldError(field, f"there is no job {job_id}; `paretune jobs` lists those there are") from error
    source = read_source(store, job)
    if not source.in_full:
        raise FieldError(field, f"job {job_id} has no trial at full fidelity; wait until it has, or name another")
    carried = carry(source, space)
    if not any(each.trial.reported for each in carried.trials):
        why = carried.refused[0] if carried.refused else "none is"
        raise FieldError(
            field, f"no configuration that job {job_id} trained in full is in this job's space ({why}); widen the space"
        )
    return source


def read_source(store: Store, job: JobRecord) -> Source:
    """What a job has found so far."""
    spec = JobSpec.model_validate(job.spec)
    objectives = Objectives.model_validate(job.context["objectives"])
    trials = source_trials(read_trials(store, job.id).values(), objectives, spec.budget.steps)
    data = spec.task.data
    return Source(
        job=job.id,
        name=spec.name,
        data=data.hub or PurePath(data.path or "").name,
        model=spec.model.hub or PurePath(spec.model.path or "").name,
        trials=trials,
    )


def same_base(one: ModelSpec, other: ModelSpec) -> bool:
    """Whether two jobs train on one base model: a hub id at one revision, or one folder, links resolved."""
    if one.path is None or other.path is None:
        return (one.hub, one.revision, one.path) == (other.hub, other.revision, other.path)
    return Path(one.path).resolve() == Path(other.path).resolve()


def _same_model(store: Store, model: ModelSpec) -> Iterator[JobRecord]:
    for job in store.jobs(limit=LOOKED_AT).items:
        if "objectives" in job.context and same_base(ModelSpec.model_validate(job.spec["model"]), model):
            yield job


def _usable(store: Store, jobs: Iterator[JobRecord], space: SearchSpace) -> Iterator[Source]:
    for job in jobs:
        source = read_source(store, job)
        if any(each.trial.reported for each in carry(source, space).trials):
            yield source
