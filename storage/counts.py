"""Counts of what the store holds, for monitoring."""

from __future__ import annotations

from sqlalchemy import func, select

from storage.database import Database
from storage.states import EVALUATION_STATES, JOB_STATES
from storage.tables import EvaluationRow, JobRow


class Counts(Database):
    def count_jobs(self) -> dict[str, int]:
        """Jobs by state, states without any included."""
        query = select(JobRow.state, func.count().label("number")).group_by(JobRow.state)
        counts: dict[str, int] = dict.fromkeys(JOB_STATES, 0)
        with self._read() as session:
            counts.update({row.state: row.number for row in session.execute(query)})
        return counts

    def count_evaluations(self) -> dict[str, int]:
        """Evaluations by state, states without any included."""
        query = select(EvaluationRow.state, func.count().label("number")).group_by(EvaluationRow.state)
        counts: dict[str, int] = dict.fromkeys(EVALUATION_STATES, 0)
        with self._read() as session:
            counts.update({row.state: row.number for row in session.execute(query)})
        return counts
