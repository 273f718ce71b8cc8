"""One transaction at a time: what the parts of the store share."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, select, text
from sqlalchemy.exc import DatabaseError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from storage.engine import sqlite_file
from storage.errors import LeaseLost, NotFound, StoreUnavailable
from storage.json_values import checked
from storage.records import Json
from storage.states import EventKind
from storage.tables import EventRow, JobRow

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


def new_id() -> str:
    return secrets.token_hex(8)


class Database:
    """An engine and a clock.

    Every writing transaction locks the row of the one job it is about before it reads anything else. That orders the
    changes of a job, and so the ids of its events, and leaves no room for deadlocks.
    """

    def __init__(self, engine: Engine, now: Clock = utc_now) -> None:
        self._engine = engine
        self._writer = engine.execution_options(writes=True)
        self._now = now

    @contextmanager
    def _read(self) -> Iterator[Session]:
        with available(self._engine), Session(self._engine) as session:
            yield session

    @contextmanager
    def _write(self) -> Iterator[Session]:
        """One transaction: committed at the end of the block, rolled back by any exception."""
        with available(self._engine), Session(self._writer) as session, session.begin():
            yield session

    def _until(self, seconds: float) -> datetime:
        if seconds <= 0:
            raise ValueError(f"a lease lasts longer than {seconds} seconds")
        return self._now() + timedelta(seconds=seconds)

    def _locked(self, session: Session, job_id: str) -> JobRow:
        """The job's row, nobody else's until the transaction ends."""
        row = session.scalar(select(JobRow).where(JobRow.id == job_id).with_for_update())
        if row is None:
            raise NotFound(f"no job {job_id}")
        return row

    def _owned(self, session: Session, job_id: str, owner: str) -> JobRow:
        """The job's row, locked, of a job that `owner` runs."""
        row = self._locked(session, job_id)
        if row.state != "running":
            raise LeaseLost(f"job {job_id} is {row.state}: {owner} no longer runs it")
        if row.owner != owner:
            raise LeaseLost(f"job {job_id} belongs to {row.owner}, no longer to {owner}")
        return row

    def _append(self, session: Session, job_id: str, kind: EventKind, payload: Json) -> None:
        session.add(EventRow(job_id=job_id, kind=kind, payload=checked(payload, "event"), created_at=self._now()))

    def ping(self) -> None:
        """Raises StoreUnavailable when the database does not answer."""
        with self._read() as session:
            session.execute(text("SELECT 1 FROM jobs LIMIT 1"))

    def close(self) -> None:
        """Give back every connection. The store can be used again afterwards."""
        self._engine.dispose()


@contextmanager
def available(engine: Engine) -> Iterator[None]:
    """Turns the engine's trouble into `StoreUnavailable` with a remedy; other errors pass."""
    try:
        yield
    except PoolTimeout as error:
        raise StoreUnavailable("all connections to the database are busy; try again") from error
    except DatabaseError as error:
        if isinstance(error, OperationalError) or type(error) is DatabaseError:
            raise StoreUnavailable(_explained(engine, str(error.orig))) from error
        raise
    except InterfaceError as error:
        raise StoreUnavailable(_explained(engine, str(error.orig))) from error


def _explained(engine: Engine, message: str) -> str:
    message = message.strip()
    file = sqlite_file(engine.url)
    if file is None:
        return f"the database at {engine.url.render_as_string(hide_password=True)} did not answer: {message}"
    remedies = {
        "full": f"free space in {file.parent}",
        "disk I/O error": f"check the disk of {file.parent}, its free space and quota",
        "readonly": f"let this user write {file} and {file.parent}",
        "unable to open": f"let this user read and write {file} and {file.parent}",
        "locked": "another process has held it for too long; look for a backup or a stopped process that has it open",
        "not a database": "move the file away or name another one",
        "malformed": "restore it from a backup",
    }
    remedy = next((remedy for sign, remedy in remedies.items() if sign in message), "check the file")
    return f"the database {file} cannot be used ({message}): {remedy}"
