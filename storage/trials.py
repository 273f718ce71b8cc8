"""Trials: numbered configurations of a job."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Float, and_, case, cast, func, null, or_, select
from sqlalchemy.orm import Session

from storage.database import Database
from storage.errors import IllegalTransition, InvalidQuery, NotFound
from storage.json_values import checked, storable
from storage.paging import from_cursor, limited, to_cursor
from storage.records import Json, NewTrial, Page, TrialRecord
from storage.states import OPEN_EVALUATIONS, TRIAL_CHANGES, TrialKind, TrialState
from storage.tables import EvaluationRow, JobRow, TrialRow

LARGEST_NUMBER = 2**31 - 1
METRIC = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")


class Trials(Database):
    def add_trials(self, job_id: str, owner: str, trials: Sequence[NewTrial]) -> list[TrialRecord]:
        """Append trials, numbered from where the job's end: 0, 1, 2, …; all of them or none.

        Raises:
            NotFound, LeaseLost.
        """
        with self._write() as session:
            self._owned(session, job_id, owner)
            last = session.scalar(select(func.max(TrialRow.number)).where(TrialRow.job_id == job_id))
            first = 0 if last is None else last + 1
            rows = [_row(job_id, number, trial) for number, trial in enumerate(trials, first)]
            for row in rows:
                row.created_at = self._now()
                session.add(row)
            session.flush()
            for row in rows:
                self._append(session, job_id, "trial", _change(row))
            return [row.record() for row in rows]

    def set_trial(
        self,
        job_id: str,
        owner: str,
        number: int,
        state: TrialState,
        *,
        summary: Json | None = None,
        failure: Json | None = None,
        attributes: Json | None = None,
    ) -> TrialRecord:
        """Change a trial's state; `summary`, `failure` and `attributes`, where given, replace what was there. A trial
        that is pruned, fails or is cancelled takes its open evaluations with it: they become cancelled.

        Raises:
            NotFound, LeaseLost, IllegalTransition.
        """
        with self._write() as session:
            self._owned(session, job_id, owner)
            row = found_trial(session, job_id, number)
            if state not in TRIAL_CHANGES[row.state]:
                raise IllegalTransition(f"trial {number} of job {job_id} is {row.state} and cannot become {state}")
            if row.state != state:
                self._enter(session, row, state)
            if summary is not None:
                row.summary = checked(summary, "summary")
            if failure is not None:
                row.failure = checked(failure, "failure")
            if attributes is not None:
                row.attributes = checked(attributes, "attributes")
            self._append(session, job_id, "trial", _change(row))
            return row.record()

    def trial(self, job_id: str, number: int) -> TrialRecord:
        """Raises NotFound."""
        with self._read() as session:
            return found_trial(session, job_id, number).record()

    def all_trials(self, job_id: str) -> list[TrialRecord]:
        """Every trial of the job, by number.

        Raises:
            NotFound: no such job.
        """
        with self._read() as session:
            _check_job(session, job_id)
            rows = session.scalars(select(TrialRow).where(TrialRow.job_id == job_id).order_by(TrialRow.number))
            return [row.record() for row in rows]

    def trials(
        self,
        job_id: str,
        state: TrialState | None = None,
        kind: TrialKind | None = None,
        sort: str = "number",
        descending: bool = False,
        after: str | None = None,
        limit: int = 100,
    ) -> Page[TrialRecord]:
        """A page of the job's trials, sorted by number or by a metric of their summaries; those without a number there
        come last in either direction, and equals by number.

        Raises:
            NotFound: no such job.
            InvalidQuery: a cursor of another order, a limit outside 1..1000, a `sort` that is not a metric's name.
        """
        query = select(TrialRow).where(TrialRow.job_id == job_id).limit(limited(limit) + 1)
        if state is not None:
            query = query.where(TrialRow.state == state)
        if kind is not None:
            query = query.where(TrialRow.kind == kind)
        order = f"trials by {sort} {'descending' if descending else 'ascending'}"
        value = null() if sort == "number" else self._metric(sort)
        position = None if after is None else from_cursor(after, order, ((int, float, type(None)), int))
        if sort == "number":
            query = query.order_by(TrialRow.number.desc() if descending else TrialRow.number)
            if position is not None:
                number = position[1]
                query = query.where(TrialRow.number < number if descending else TrialRow.number > number)
        else:
            query = query.order_by(value.is_(None), value.desc() if descending else value, TrialRow.number)
            if position is not None:
                query = query.where(_beyond(value, position[0], position[1], descending))
        with self._read() as session:
            _check_job(session, job_id)
            rows = session.execute(query.add_columns(value)).all()
            following = None
            if len(rows) > limit:
                last, found = rows[limit - 1]
                following = to_cursor(order, found, last.number)
            return Page(tuple(row.record() for row, _ in rows[:limit]), following)

    def _enter(self, session: Session, row: TrialRow, state: TrialState) -> None:
        now = self._now()
        row.state = state
        if state == "running":
            row.started_at = row.started_at or now
        elif state != "waiting":
            row.ended_at = now
        if state in ("pruned", "failed", "cancelled"):
            for evaluation in session.scalars(
                select(EvaluationRow)
                .where(
                    EvaluationRow.job_id == row.job_id,
                    EvaluationRow.trial_number == row.number,
                    EvaluationRow.state.in_(OPEN_EVALUATIONS),
                )
                .order_by(EvaluationRow.sequence)
            ):
                evaluation.move("cancelled", now)
                self._append(session, row.job_id, "evaluation", evaluation.change())

    def _metric(self, name: str) -> ColumnElement[Any]:
        """The summary's number of that name, as a double; NULL where it is absent or no number."""
        if not METRIC.fullmatch(name):
            raise InvalidQuery("sort", f"{name!r} is not the name of a metric; use number or a metric's name")
        if self._engine.dialect.name == "sqlite":
            path = f"$.{name}"
            numeric: ColumnElement[bool] = func.json_type(TrialRow.summary, path).in_(("integer", "real"))
            return case((numeric, cast(func.json_extract(TrialRow.summary, path), Float)), else_=null())
        numeric = func.json_typeof(TrialRow.summary[name]) == "number"
        return case((numeric, cast(TrialRow.summary[name].as_string(), Float(53))), else_=null())


def _beyond(value: ColumnElement[Any], at: float | None, number: int, descending: bool) -> ColumnElement[bool]:
    """Rows after the one of that value and number."""
    if at is None:
        return and_(value.is_(None), TrialRow.number > number)
    return or_(value < at if descending else value > at, and_(value == at, TrialRow.number > number), value.is_(None))


def _row(job_id: str, number: int, trial: NewTrial) -> TrialRow:
    where = f"trial {number}"
    return TrialRow(
        job_id=job_id,
        number=number,
        kind=trial.kind,
        name=trial.name,
        key=trial.key,
        state="waiting",
        configuration=checked(trial.configuration, f"{where}.configuration"),
        plan=checked(trial.plan, f"{where}.plan"),
        point=checked(trial.point, f"{where}.point"),
        strategy=storable(trial.strategy),
        reason=storable(trial.reason),
        attributes=checked(trial.attributes, f"{where}.attributes"),
        summary={},
    )


def _change(row: TrialRow) -> Json:
    """What an event says of a trial."""
    return {
        "number": row.number,
        "kind": row.kind,
        "name": row.name,
        "state": row.state,
        "summary": row.summary,
        "failure": row.failure,
    }


def found_trial(session: Session, job_id: str, number: int) -> TrialRow:
    """Raises NotFound."""
    row = session.get(TrialRow, (job_id, number)) if 0 <= number <= LARGEST_NUMBER else None
    if row is None:
        raise NotFound(f"no trial {number} in job {job_id}")
    return row


def _check_job(session: Session, job_id: str) -> None:
    if session.scalar(select(JobRow.sequence).where(JobRow.id == job_id)) is None:
        raise NotFound(f"no job {job_id}")
