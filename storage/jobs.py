"""Jobs: submitted, claimed by one owner under a lease, asked to stop, ended."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from storage.database import Database, new_id
from storage.errors import IdempotencyConflict, IllegalTransition, InvalidQuery, NotFound
from storage.json_values import canonical, checked, storable
from storage.paging import from_cursor, limited, to_cursor
from storage.records import JobRecord, Json, Page
from storage.states import (
    DELETABLE_JOBS,
    OPEN_EVALUATIONS,
    OPEN_TRIALS,
    EvaluationState,
    EventKind,
    JobAction,
    JobEnd,
    JobState,
)
from storage.tables import EvaluationRow, JobRow, TrialRow

IDEMPOTENCY_KEY = re.compile(r"[ -~]{1,255}")


class Jobs(Database):
    def create_job(
        self, spec: Json, context: Json | None = None, idempotency_key: str | None = None
    ) -> tuple[JobRecord, bool]:
        """Queue a job; True when it is new, False when the key was used before for the same spec.

        Raises:
            IdempotencyConflict: the key was used before for another spec.
            InvalidQuery: a key that is not 1 to 255 printable ASCII characters.
        """
        if idempotency_key is not None and not IDEMPOTENCY_KEY.fullmatch(idempotency_key):
            raise InvalidQuery("idempotency_key", "must be 1 to 255 printable ASCII characters")
        with self._write() as session:
            row = JobRow(
                id=new_id(),
                state="queued",
                spec=checked(spec, "spec"),
                context=checked(context or {}, "context"),
                progress={},
                idempotency_key=idempotency_key,
                created_at=self._now(),
            )
            try:
                with session.begin_nested():
                    session.add(row)
            except IntegrityError:
                return self._same_job(session, spec, idempotency_key), False
            self._state_event(session, row)
            return row.record(), True

    def job(self, job_id: str) -> JobRecord:
        """Raises NotFound."""
        with self._read() as session:
            row = session.scalar(select(JobRow).where(JobRow.id == job_id))
            if row is None:
                raise NotFound(f"no job {job_id}")
            return row.record()

    def job_of_key(self, idempotency_key: str) -> JobRecord | None:
        """The job that was created under an idempotency key; None when the key is new."""
        with self._read() as session:
            row = session.scalar(select(JobRow).where(JobRow.idempotency_key == idempotency_key))
            return None if row is None else row.record()

    def jobs(self, state: JobState | None = None, after: str | None = None, limit: int = 50) -> Page[JobRecord]:
        """Newest first.

        Raises:
            InvalidQuery: a cursor that is not of this list, or a limit outside 1..1000.
        """
        query = select(JobRow).order_by(JobRow.sequence.desc()).limit(limited(limit) + 1)
        if state is not None:
            query = query.where(JobRow.state == state)
        if after is not None:
            (sequence,) = from_cursor(after, "jobs", (int,))
            query = query.where(JobRow.sequence < sequence)
        with self._read() as session:
            rows = session.scalars(query).all()
            following = to_cursor("jobs", rows[limit - 1].sequence) if len(rows) > limit else None
            return Page(tuple(row.record() for row in rows[:limit]), following)

    def request(self, job_id: str, action: JobAction) -> JobRecord:
        """Ask for a change. It takes effect at once unless the job runs: then its owner finds it in `requested`.
        Asking again for what already is so changes nothing.

        Raises:
            NotFound, IllegalTransition.
        """
        with self._write() as session:
            row = self._locked(session, job_id)
            match action:
                case "cancel":
                    self._cancel(session, row)
                case "pause":
                    self._pause(session, row)
                case "resume":
                    self._resume(session, row)
            return row.record()

    def delete_job(self, job_id: str) -> None:
        """Delete an ended or paused job with its trials, evaluations and events. Files are the
        caller's: artifacts' stay until `ArtifactStore.remove_unreferenced`.

        Raises:
            NotFound, IllegalTransition.
        """
        with self._write() as session:
            row = self._locked(session, job_id)
            if row.state not in DELETABLE_JOBS:
                raise IllegalTransition(
                    f"job {job_id} is {row.state}; cancel it and wait for its end before deleting it"
                )
            session.delete(row)

    def claim_job(self, owner: str, lease_seconds: float, job_id: str | None = None) -> JobRecord | None:
        """Take the oldest queued job, else the oldest running one whose lease ran out; None when there is none. Of
        several that claim at once, each gets another job or none. With `job_id` only that one is taken."""
        with self._write() as session:
            now = self._now()
            query = (
                select(JobRow)
                .where(or_(JobRow.state == "queued", (JobRow.state == "running") & (JobRow.lease_until <= now)))
                .order_by(JobRow.state, JobRow.sequence)  # "queued" sorts before "running"
                .limit(1)
                .with_for_update(skip_locked=True)
            )
            row = session.scalar(query if job_id is None else query.where(JobRow.id == job_id))
            if row is None:
                return None
            row.state = "running"
            row.owner = owner
            row.lease_until = self._until(lease_seconds)
            row.started_at = row.started_at or now
            row.reason = None
            self._state_event(session, row)
            return row.record()

    def heartbeat_job(self, job_id: str, owner: str, lease_seconds: float) -> JobRecord:
        """Extend the lease; the record shows what was `requested`.

        Raises:
            NotFound, LeaseLost.
        """
        with self._write() as session:
            row = self._owned(session, job_id, owner)
            row.lease_until = self._until(lease_seconds)
            return row.record()

    def update_job(
        self,
        job_id: str,
        owner: str,
        *,
        context: Json | None = None,
        progress: Json | None = None,
        events: Sequence[tuple[EventKind, Json]] = (),
    ) -> JobRecord:
        """Merge keys into the job's context and progress, and append `events` with them.

        Raises:
            NotFound, LeaseLost.
        """
        with self._write() as session:
            row = self._owned(session, job_id, owner)
            row.context = row.context | checked(context or {}, "context")
            row.progress = row.progress | checked(progress or {}, "progress")
            for kind, payload in events:
                self._append(session, job_id, kind, payload)
            return row.record()

    def end_job(self, job_id: str, owner: str, state: JobEnd, reason: str | None = None) -> JobRecord:
        """End or pause a job that `owner` runs, and with it everything in it that was open: evaluations become
        cancelled (preempted in a pause), trials cancelled (waiting in a pause). A job that was asked to be cancelled
        and is paused is cancelled.

        Raises:
            NotFound, LeaseLost.
        """
        with self._write() as session:
            row = self._owned(session, job_id, owner)
            if state == "paused" and row.requested == "cancel":
                state = "cancelled"
            self._end(session, row, state, reason)
            return row.record()

    def release_job(self, job_id: str, owner: str) -> JobRecord:
        """Hand a running job back, so that another owner goes on with it at once: it and its open evaluations return
        to the queue, unless a user asked for its end or pause, which then takes effect.

        Raises:
            NotFound, LeaseLost.
        """
        with self._write() as session:
            row = self._owned(session, job_id, owner)
            if row.requested is not None:
                self._end(session, row, "cancelled" if row.requested == "cancel" else "paused", None)
            else:
                self._move_evaluations(session, row, "queued")
                self._set_state(session, row, "queued")
            return row.record()

    def _cancel(self, session: Session, row: JobRow) -> None:
        if row.state in ("completed", "failed"):
            raise IllegalTransition(f"job {row.id} has {row.state} and cannot be cancelled")
        if row.state == "running":
            self._set_request(session, row, "cancel")
        elif row.state != "cancelled":
            self._end(session, row, "cancelled", "cancelled before it ran" if row.started_at is None else None)

    def _pause(self, session: Session, row: JobRow) -> None:
        if row.state in ("completed", "cancelled", "failed"):
            raise IllegalTransition(f"job {row.id} is {row.state} and cannot be paused")
        if row.requested == "cancel":
            raise IllegalTransition(f"job {row.id} is being cancelled and cannot be paused")
        if row.state == "running":
            self._set_request(session, row, "pause")
        elif row.state == "queued":
            self._end(session, row, "paused", None)

    def _resume(self, session: Session, row: JobRow) -> None:
        if row.state in ("completed", "cancelled", "failed"):
            raise IllegalTransition(f"job {row.id} is {row.state} and cannot be resumed; submit it again")
        if row.requested == "pause" and row.lease_until is not None and row.lease_until <= self._now():
            row.requested = None  # its owner died before it could pause: whoever claims the job goes on with it
            self._state_event(session, row)
        if row.requested is not None:
            doing = "cancelled" if row.requested == "cancel" else "paused; resume it once it is"
            raise IllegalTransition(f"job {row.id} is being {doing}")
        if row.state == "paused":
            self._move_evaluations(session, row, "queued")
            self._set_state(session, row, "queued")

    def _set_request(self, session: Session, row: JobRow, requested: JobAction) -> None:
        if row.requested != requested and requested != "resume":
            row.requested = requested
            self._state_event(session, row)

    def _end(self, session: Session, row: JobRow, state: JobEnd, reason: str | None) -> None:
        paused = state == "paused"
        self._move_evaluations(session, row, "preempted" if paused else "cancelled")
        for trial in session.scalars(
            select(TrialRow).where(TrialRow.job_id == row.id, TrialRow.state.in_(OPEN_TRIALS)).order_by(TrialRow.number)
        ):
            if paused and trial.state == "waiting":
                continue
            trial.state = "waiting" if paused else "cancelled"
            trial.ended_at = None if paused else self._now()
            self._append(session, row.id, "trial", {"number": trial.number, "state": trial.state})
        self._set_state(session, row, state, reason)

    def _move_evaluations(self, session: Session, row: JobRow, state: EvaluationState) -> None:
        """Take every open evaluation to `state`; the preempted ones too when that is the queue or the end."""
        open_states = OPEN_EVALUATIONS if state == "preempted" else (*OPEN_EVALUATIONS, "preempted")
        for evaluation in session.scalars(
            select(EvaluationRow)
            .where(EvaluationRow.job_id == row.id, EvaluationRow.state.in_(open_states), EvaluationRow.state != state)
            .order_by(EvaluationRow.sequence)
        ):
            evaluation.move(state, None if state == "queued" else self._now())
            self._append(session, row.id, "evaluation", evaluation.change())

    def _set_state(self, session: Session, row: JobRow, state: JobState, reason: str | None = None) -> None:
        row.state = state
        row.requested = row.owner = row.lease_until = None
        row.reason = None if reason is None else storable(reason)
        row.ended_at = None if state in ("queued", "paused") else self._now()
        self._state_event(session, row)

    def _state_event(self, session: Session, row: JobRow) -> None:
        self._append(session, row.id, "state", {"state": row.state, "requested": row.requested, "reason": row.reason})

    def _same_job(self, session: Session, spec: Json, idempotency_key: str | None) -> JobRecord:
        row = session.scalar(select(JobRow).where(JobRow.idempotency_key == idempotency_key))
        if row is None:
            raise IdempotencyConflict("a job of this idempotency key was deleted just now; send it again")
        if canonical(row.spec) != canonical(spec):
            raise IdempotencyConflict("this idempotency key was used before for another spec; use a new key")
        return row.record()
