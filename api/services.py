"""What the service can do, for HTTP, dashboard and command line alike. No HTTP in here; loads no tensor library."""

from __future__ import annotations

import json
import logging
import shutil
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from api import analysis, views
from api.adapter import TrainedAdapter, trained_adapter
from api.audit import AuditView, audit_view
from api.not_ready import NotReady
from api.prediction import ModelFailed, predict
from api.recipes import FORMATS, RecipeContext, RecipeFile, render
from api.report import space_report
from api.roots import rooted
from api.schemas import (
    FrontView,
    Health,
    ImportanceView,
    PickView,
    PointView,
    PredictionRequest,
    PredictionView,
    SpaceReport,
    TrialDetail,
)
from api.settings import Settings
from api.transfer import TransferView, transfer_view
from api.version import VERSION
from evaluator.inspector import Inspector
from evaluator.pool.log import log_of
from search.fields import Invalid
from search.job import JobSpec
from search.submission import Prepared, prepare
from search.tidy import drop_checkpoints, tidy
from space.configuration import Configuration
from space.errors import FieldError
from space.plan import Plan
from space.sites import SiteTable
from storage.artifacts import ArtifactStore
from storage.errors import ArtifactError, IdempotencyConflict, StoreError
from storage.records import JobRecord, TrialRecord
from storage.states import JobAction
from storage.store import Store

log = logging.getLogger(__name__)

WAIT_SECONDS = 30.0
"""For the question before, at most: waiting requests hold the web process's threads."""


class Alive(Protocol):
    def alive(self) -> bool: ...


@dataclass
class Services:
    """The parts that a request needs, wired by `api.wiring`."""

    settings: Settings
    store: Store
    artifacts: ArtifactStore
    inspector: Inspector
    loop: Alive | None = None
    """The loop process that this service keeps alive; None when another process runs it."""
    trusted: bool = False
    """The user is at this process's own command line: any path may be read and no key is asked for."""
    predicting: threading.Lock = field(default_factory=threading.Lock, repr=False)
    """Held while a model is fitted: each takes a core and some hundred megabytes."""

    def prepared(self, spec: JobSpec) -> Prepared:
        """The whole validation of a submission.

        Raises:
            Invalid, FieldError: naming each field at fault.
        """
        allowed = spec if self.trusted else rooted(spec, self.settings.allowed_roots)
        return prepare(allowed, self.inspector, self.store)

    def submit(self, spec: JobSpec, idempotency_key: str | None = None) -> tuple[JobRecord, bool]:
        """Check a job and queue it; False when it was queued before under the same key. Nothing is kept of a bad one.

        Raises:
            Invalid, FieldError: as `prepared`.
            IdempotencyConflict: the key was used for another spec.
        """
        if idempotency_key is not None and (earlier := self._submitted(spec, idempotency_key)) is not None:
            return earlier, False
        prepared = self.prepared(spec)
        return self.store.create_job(prepared.spec.model_dump(mode="json"), prepared.context(), idempotency_key)

    def _submitted(self, spec: JobSpec, idempotency_key: str) -> JobRecord | None:
        """The job of an earlier submission: it is found even when its data is gone since."""
        earlier = self.store.job_of_key(idempotency_key)
        if earlier is None:
            return None
        try:
            resolved = spec if self.trusted else rooted(spec, self.settings.allowed_roots)
        except Invalid:
            resolved = spec
        if earlier.spec != resolved.model_dump(mode="json"):
            raise IdempotencyConflict(
                f"Idempotency-Key {idempotency_key!r} was used for job {earlier.id} with another spec; use a new key"
            )
        return earlier

    def request(self, job_id: str, action: JobAction) -> JobRecord:
        """Ask for a change of a job; see `Store.request`. A job that is cancelled at once leaves no checkpoints.

        Raises:
            NotFound, IllegalTransition.
        """
        job = self.store.request(job_id, action)
        if job.state == "cancelled":
            drop_checkpoints(self.job_folder(job.id))
        return job

    def delete(self, job_id: str) -> None:
        """Delete an ended or paused job with its folder, its logs, and adapters that no other job refers to. Files that
        cannot be removed now, or are too new, are left to the loop process, which tidies when it is idle.

        Raises:
            NotFound, IllegalTransition: as the store's `delete_job`.
        """
        evaluations = self.store.evaluations(job_id)
        self.store.delete_job(job_id)
        shutil.rmtree(self.job_folder(job_id), ignore_errors=True)
        try:
            for evaluation in evaluations:
                log_of(self.settings.data_dir / "logs", evaluation.id).unlink(missing_ok=True)
            tidy(self.store, self.artifacts, self.job_folder(job_id).parent)
        except (OSError, ArtifactError) as error:
            log.warning("files of job %s stay: %s", job_id, error)

    def check(self, spec: JobSpec) -> SpaceReport:
        """What a submission of `spec` would meet; nothing is kept."""
        return space_report(lambda: self.prepared(spec))

    def trial(self, job_id: str, number: int) -> TrialDetail:
        """A trial with its evaluations, those that still run with the curve so far."""
        record = self.store.trial(job_id, number)
        evaluations = self.store.evaluations(job_id, number)
        return views.trial_detail(
            record, [views.evaluation_view(each, self.store.curve(each.id)) for each in evaluations]
        )

    def front(self, job_id: str, show: int | None = None) -> FrontView:
        """The front, with the `show` points that show it best where that is asked for."""
        job = self.store.job(job_id)
        return views.front_view(job) if show is None else analysis.with_subset(job, show)

    def picks(self, job_id: str, picks: Sequence[str] = ()) -> list[PickView]:
        """The front's points that `picks` choose; the usual ones where none is named.

        Raises:
            NotReady: the front is still empty.
            FieldError: `pick`: there is no such way to choose, or no point within its limits.
            NotFound: no such job.
        """
        return analysis.picks(self.store.job(job_id), picks)

    def audit(self, job_id: str) -> AuditView:
        """How well the job's short runs foretell its full ones."""
        return audit_view(self.store.job(job_id))

    def importance(self, job_id: str) -> ImportanceView:
        """Which choices set the best trials apart."""
        return analysis.importance_view(self.store, self.store.job(job_id))

    def transfer(self, job_id: str, against: str | None = None) -> TransferView:
        """What the job made of earlier ones, compared with job `against` (default: the newest search of the same task).

        Raises:
            FieldError: `against`: there is no such job, or it does not compare.
            NotFound: no such job.
        """
        return transfer_view(self.store, self.store.job(job_id), against)

    def predict(self, job_id: str, request: PredictionRequest) -> PredictionView:
        """What is known and believed about a configuration; the model is fitted in a process of its own, one at a time.

        Raises:
            NotReady: the space's scores are not computed yet.
            FieldError: the configuration is not in the job's space, or beyond its limits.
            ModelFailed: the process gave no answer, or is busy with other questions.
            NotFound: no such job.
        """
        job = self.store.job(job_id)
        if not self.predicting.acquire(timeout=WAIT_SECONDS):
            raise ModelFailed("the model is busy with other questions; ask again in a minute")
        try:
            return predict(self.settings, self.store, job, request)
        finally:
            self.predicting.release()

    def recipe(
        self, job_id: str, format_name: str = "paretune", trial: int | None = None, pick: str | None = None
    ) -> RecipeFile:
        """The file that trains one trial's configuration: `trial`'s, or what `pick` chooses from the front (the knee).

        Raises:
            NotReady: the front is still empty, or the job has not begun.
            FieldError: both `trial` and `pick` are given, or there is no such format or pick.
            NotFound: no such job or trial.
        """
        if format_name not in FORMATS:
            raise FieldError("format", f"unknown format {format_name!r}; choose from: {', '.join(FORMATS)}")
        job, number = self._chosen(job_id, trial, pick)
        front = views.front_view(job)
        record = self.store.trial(job_id, number)
        points = [*front.points, *front.dominated, *front.baselines]
        point = next((each for each in points if each.trial == number), None)
        return render(format_name, self._recipe_context(job, record, point))

    def adapter(
        self, job_id: str, trial: int | None = None, pick: str | None = None, seed: int | None = None
    ) -> TrainedAdapter:
        """A trained adapter of one trial: `trial`, or what `pick` chooses from the front (the knee). Of several, the
        one of `seed`, or else of the best validation result.

        Raises:
            NotReady: the front is still empty.
            FieldError: both `trial` and `pick` are given, there is no such pick, or the trial has no such adapter.
            NotFound: no such job or trial, or the adapter's file is not in this data folder.
        """
        job, number = self._chosen(job_id, trial, pick)
        return trained_adapter(self.store, self.artifacts, job, number, seed, field="trial" if pick is None else "pick")

    def _chosen(self, job_id: str, trial: int | None, pick: str | None) -> tuple[JobRecord, int]:
        """The job, and the number of the trial that a user means."""
        if trial is not None and pick is not None:
            raise FieldError("pick", "give either trial or pick, not both")
        job = self.store.job(job_id)
        return job, trial if trial is not None else analysis.picks(job, [pick or "knee"])[0].point.trial

    def _recipe_context(self, job: JobRecord, trial: TrialRecord, point: PointView | None) -> RecipeContext:
        return RecipeContext(
            job_id=job.id,
            spec=JobSpec.model_validate(job.spec),
            trial=trial.number,
            configuration=Configuration.model_validate(trial.configuration),
            plan=Plan.model_validate(trial.plan),
            table=SiteTable.model_validate(job.context["table"]),
            split=self._split(job.id),
            created=trial.ended_at or trial.created_at,
            version=VERSION,
            trial_name=trial.name,
            seed=job.spec["sampler"]["seed"],
            measured=point.model_dump() if point is not None else {},
        )

    def _split(self, job_id: str) -> dict[str, Any]:
        try:
            split: dict[str, Any] = json.loads(
                self.job_folder(job_id).joinpath("split.json").read_text(encoding="utf-8")
            )
        except FileNotFoundError as error:
            raise NotReady("the job's data has not been split yet; wait until it runs") from error
        return split

    def job_folder(self, job_id: str) -> Path:
        """Where the loop keeps a job's files."""
        return self.settings.data_dir / "jobs" / job_id

    def warm(self) -> None:
        """Start the inspector's process in the background, so that the first submission finds it ready."""
        self.inspector.start()

    def close(self) -> None:
        """End the inspector's process and give the store's connections back."""
        self.inspector.close()
        self.store.close()

    def health(self) -> Health:
        try:
            self.store.ping()
            reachable = True
        except StoreError:
            reachable = False
        alive = self.loop is None or self.loop.alive()
        return Health(
            status="ok" if reachable and alive else "degraded",
            version=VERSION,
            store="ok" if reachable else "unreachable",
            loop="elsewhere" if self.loop is None else "alive" if alive else "restarting",
        )
