"""Events: what changed in a job, in the order it changed."""

from __future__ import annotations

from sqlalchemy import func, select

from storage.database import Database
from storage.errors import NotFound
from storage.paging import limited
from storage.records import EventRecord
from storage.tables import EventRow, JobRow

LARGEST_ID = 2**63 - 1


class Events(Database):
    def events(self, job_id: str, after: int = 0, limit: int = 500) -> list[EventRecord]:
        """The job's events with ids above `after`, oldest first.

        Raises:
            NotFound: no such job (any more).
        """
        with self._read() as session:
            rows = session.scalars(
                select(EventRow)
                .where(EventRow.job_id == job_id, EventRow.id > min(after, LARGEST_ID))
                .order_by(EventRow.id)
                .limit(limited(limit))
            ).all()
            if not rows and session.scalar(select(JobRow.sequence).where(JobRow.id == job_id)) is None:
                raise NotFound(f"no job {job_id}")
            return [row.record() for row in rows]

    def last_event_id(self, job_id: str) -> int:
        """Id of the job's newest event; 0 before the first."""
        with self._read() as session:
            return session.scalar(select(func.max(EventRow.id)).where(EventRow.job_id == job_id)) or 0
