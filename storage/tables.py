"""The tables. `storage/migrations` makes them; a test holds the two together."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from storage.records import (
    ArtifactReference,
    EvaluationRecord,
    EventRecord,
    JobRecord,
    Json,
    KeyRecord,
    TrialRecord,
)
from storage.states import (
    EVALUATION_STATES,
    JOB_STATES,
    TRIAL_STATES,
    EvaluationState,
    EventKind,
    JobRequest,
    JobState,
    Purpose,
    TrialKind,
    TrialState,
)


class UtcDateTime(TypeDecorator[datetime]):
    """A time in UTC, aware in Python on both engines (SQLite keeps no zone)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Id(TypeDecorator[str]):
    """An id of ours. Whatever else a caller asks for, characters included that PostgreSQL refuses, matches no row."""

    impl = String(16)
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return value if value is None or ID.fullmatch(value) else ""


def _one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


# What `storage.database.new_id` makes.
ID = re.compile(r"[0-9a-f]{16}")

# 64-bit everywhere; SQLite numbers rows only in a column declared INTEGER.
Sequence = BigInteger().with_variant(Integer, "sqlite")


class Table(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    # JSON, not JSONB: it keeps the order of keys (a point's dimensions) and the escapes of odd characters.
    type_annotation_map = {datetime: UtcDateTime(), dict[str, Any]: JSON(none_as_null=True)}  # noqa: RUF012


class JobRow(Table):
    __tablename__ = "jobs"
    __table_args__ = (
        _one_of("state", JOB_STATES),
        _one_of("requested", ("cancel", "pause")),
        CheckConstraint("(state = 'running') = (owner IS NOT NULL)", name="running_has_owner"),
        Index("ix_jobs_state_sequence", "state", "sequence"),
        {"sqlite_autoincrement": True},
    )

    sequence: Mapped[int] = mapped_column(Sequence, primary_key=True)
    id: Mapped[str] = mapped_column(Id, unique=True)
    state: Mapped[JobState] = mapped_column(String(16))
    requested: Mapped[JobRequest | None] = mapped_column(String(16))
    spec: Mapped[Json]
    context: Mapped[Json]
    progress: Mapped[Json]
    idempotency_key: Mapped[str | None] = mapped_column(String(255), unique=True)
    owner: Mapped[str | None] = mapped_column(Text)
    lease_until: Mapped[datetime | None]
    reason: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]

    def record(self) -> JobRecord:
        return JobRecord(
            id=self.id,
            state=self.state,
            requested=self.requested,
            spec=self.spec,
            context=self.context,
            progress=self.progress,
            idempotency_key=self.idempotency_key,
            owner=self.owner,
            lease_until=self.lease_until,
            reason=self.reason,
            created_at=self.created_at,
            started_at=self.started_at,
            ended_at=self.ended_at,
        )


class TrialRow(Table):
    __tablename__ = "trials"
    __table_args__ = (
        _one_of("state", TRIAL_STATES),
        _one_of("kind", ("search", "baseline")),
    )

    job_id: Mapped[str] = mapped_column(Id, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    kind: Mapped[TrialKind] = mapped_column(String(16))
    name: Mapped[str | None] = mapped_column(Text)
    key: Mapped[str] = mapped_column(Text)
    state: Mapped[TrialState] = mapped_column(String(16))
    configuration: Mapped[Json]
    plan: Mapped[Json]
    point: Mapped[Json]
    strategy: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    attributes: Mapped[Json]
    summary: Mapped[Json]
    failure: Mapped[Json | None]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]

    def record(self) -> TrialRecord:
        return TrialRecord(
            job_id=self.job_id,
            number=self.number,
            kind=self.kind,
            name=self.name,
            key=self.key,
            state=self.state,
            configuration=self.configuration,
            plan=self.plan,
            point=self.point,
            strategy=self.strategy,
            reason=self.reason,
            attributes=self.attributes,
            summary=self.summary,
            failure=self.failure,
            created_at=self.created_at,
            started_at=self.started_at,
            ended_at=self.ended_at,
        )


class EvaluationRow(Table):
    __tablename__ = "evaluations"
    __table_args__ = (
        _one_of("state", EVALUATION_STATES),
        _one_of("purpose", ("rung", "finalist", "baseline")),
        CheckConstraint("(state = 'running') = (owner IS NOT NULL)", name="running_has_owner"),
        CheckConstraint("(state = 'completed') = (measurement IS NOT NULL)", name="completed_has_measurement"),
        ForeignKeyConstraint(["job_id", "trial_number"], ["trials.job_id", "trials.number"], ondelete="CASCADE"),
        UniqueConstraint("job_id", "trial_number", "purpose", "stop_step", "seed", name="uq_evaluations_run"),
        {"sqlite_autoincrement": True},
    )

    sequence: Mapped[int] = mapped_column(Sequence, primary_key=True)
    id: Mapped[str] = mapped_column(Id, unique=True)
    job_id: Mapped[str] = mapped_column(Id)
    trial_number: Mapped[int] = mapped_column(Integer)
    purpose: Mapped[Purpose] = mapped_column(String(16))
    fidelity: Mapped[float]
    stop_step: Mapped[int] = mapped_column(Integer)
    seed: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[EvaluationState] = mapped_column(String(16))
    attempt: Mapped[int] = mapped_column(Integer)
    owner: Mapped[str | None] = mapped_column(Text)
    lease_until: Mapped[datetime | None]
    measurement: Mapped[Json | None]
    failure: Mapped[Json | None]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    artifacts: Mapped[list[ArtifactRow]] = relationship(
        order_by="ArtifactRow.name", lazy="selectin", passive_deletes=True, cascade="all, delete-orphan"
    )

    def move(self, state: EvaluationState, ended_at: datetime | None) -> None:
        """To a state in which nobody runs it."""
        self.state = state
        self.owner = self.lease_until = None
        self.ended_at = ended_at

    def change(self) -> Json:
        """What an event says of it."""
        return {
            "id": self.id,
            "trial": self.trial_number,
            "purpose": self.purpose,
            "fidelity": self.fidelity,
            "stop_step": self.stop_step,
            "seed": self.seed,
            "state": self.state,
            "attempt": self.attempt,
        }

    def record(self) -> EvaluationRecord:
        return EvaluationRecord(
            id=self.id,
            job_id=self.job_id,
            trial_number=self.trial_number,
            purpose=self.purpose,
            fidelity=self.fidelity,
            stop_step=self.stop_step,
            seed=self.seed,
            state=self.state,
            attempt=self.attempt,
            owner=self.owner,
            lease_until=self.lease_until,
            measurement=self.measurement,
            failure=self.failure,
            artifacts=tuple(ArtifactReference(row.name, row.digest, row.size) for row in self.artifacts),
            created_at=self.created_at,
            started_at=self.started_at,
            ended_at=self.ended_at,
        )


class ArtifactRow(Table):
    __tablename__ = "artifacts"

    evaluation_id: Mapped[str] = mapped_column(Id, ForeignKey("evaluations.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), index=True)
    size: Mapped[int] = mapped_column(BigInteger)


class CurvePointRow(Table):
    """One point of a running evaluation's curve, of its present attempt."""

    __tablename__ = "curve_points"

    evaluation_id: Mapped[str] = mapped_column(Id, ForeignKey("evaluations.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    point: Mapped[Json]


class EventRow(Table):
    __tablename__ = "events"
    __table_args__ = (
        _one_of("kind", ("trial", "evaluation", "front", "state", "audit")),
        Index("ix_events_job_id_id", "job_id", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Sequence, primary_key=True)
    job_id: Mapped[str] = mapped_column(Id, ForeignKey("jobs.id", ondelete="CASCADE"))
    kind: Mapped[EventKind] = mapped_column(String(16))
    payload: Mapped[Json]
    created_at: Mapped[datetime]

    def record(self) -> EventRecord:
        return EventRecord(self.id, self.job_id, self.kind, self.payload, self.created_at)


class KeyRow(Table):
    __tablename__ = "api_keys"
    __table_args__ = ({"sqlite_autoincrement": True},)

    sequence: Mapped[int] = mapped_column(Sequence, primary_key=True)
    id: Mapped[str] = mapped_column(Id, unique=True)
    name: Mapped[str] = mapped_column(Text)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]

    def record(self) -> KeyRecord:
        return KeyRecord(self.id, self.name, self.created_at, self.revoked_at)
