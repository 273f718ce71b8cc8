"""A job's own words and numbers, as `search.optuna_study` writes them: from what the service answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.client import Client
from api.schemas import EvaluationView, FrontView, JobDetail, PointView, TrialDetail
from api.words import configuration_words
from search.optuna_study import StudyTrial, shown, study_url, write_study
from search.submission import restore
from space.configuration import Configuration

PAGE = 1000


def export_study(client: Client, job_id: str, output: str) -> str:
    """Write the job, finished or running, as an Optuna study to `output`, a SQLite file or a database's URL; returns
    the URL without its password.

    Raises:
        FieldError: `output` cannot be written.
    """
    job = JobDetail.model_validate(client.get(f"/jobs/{job_id}"))
    front = FrontView.model_validate(client.get(f"/jobs/{job_id}/front"))
    trials = [TrialDetail.model_validate(each) for each in client.get_each(_paths(client, job_id))]
    prepared = restore(job.spec, job.context)
    points = {point.trial: point for point in (*front.points, *front.dominated, *front.baselines)}
    attributes = {
        "paretune_state": job.state,
        "hypervolume": front.hypervolume,
        "reference": front.reference,
        "knee": front.knee,
        "statement": front.statement,
        "spec": job.spec,
    }
    url = study_url(output)
    write_study(
        url,
        f"{job.name} ({job.id})",
        job.id,
        prepared.space.dimensions,
        prepared.objectives,
        [_trial(each, points.get(each.number), prepared.objectives.names, prepared.table.depth) for each in trials],
        attributes,
    )
    return shown(url)


def _paths(client: Client, job_id: str) -> list[str]:
    paths: list[str] = []
    after: str | None = None
    while True:
        page = client.get(f"/jobs/{job_id}/trials", limit=PAGE, after=after)
        paths += [f"/jobs/{job_id}/trials/{each['number']}" for each in page["items"]]
        after = page["next"]
        if after is None:
            return paths


def _trial(trial: TrialDetail, point: PointView | None, objectives: tuple[str, ...], depth: int) -> StudyTrial:
    rungs = [each for each in trial.evaluations if each.purpose == "rung" and each.metrics]
    longest = max(trial.evaluations, key=lambda each: (bool(each.curve), each.stop_step), default=None)
    return StudyTrial(
        state=trial.state,
        point=trial.point,
        metrics=None if point is None else {**point.metrics, **point.objectives},
        attributes=_attributes(trial, point, longest, depth),
        reports={each.stop_step: each.metrics[objectives[0]] for each in rungs if objectives[0] in each.metrics},
        started_at=trial.started_at,
        ended_at=trial.ended_at,
    )


def _attributes(
    trial: TrialDetail, point: PointView | None, longest: EvaluationView | None, depth: int
) -> Mapping[str, Any]:
    return {
        "configuration": configuration_words(Configuration.model_validate(trial.configuration), depth),
        "plan_key": trial.key,
        "strategy": trial.strategy,
        "reason": trial.reason,
        "rung": trial.summary.get("fidelity"),
        "kind": trial.kind,
        "baseline": trial.name,
        "paretune_state": trial.state,
        "trainable_parameters": trial.trainable_parameters,
        "measured": trial.summary or None,
        "failure": trial.failure,
        "seeds": None if point is None else point.seeds,
        "confirmed": None if point is None else point.fresh,
        "intervals": None if point is None else {name: list(ends) for name, ends in point.intervals.items()} or None,
        "probability": None if point is None else point.probability,
        "test": None if point is None else point.test or None,
        "curve": None if longest is None else longest.curve or None,
    }
