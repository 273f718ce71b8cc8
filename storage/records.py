"""What the store gives back and takes: frozen records of plain ids, numbers, JSON and times in UTC.

JSON values are the caller's own copy: changing one changes nothing in the store.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from storage.states import (
    EvaluationState,
    EventKind,
    JobRequest,
    JobState,
    Purpose,
    TrialKind,
    TrialState,
)

Json = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of a list. `next` is the cursor of the page after it; None on the last page."""

    items: tuple[T, ...]
    next: str | None = None


@dataclass(frozen=True)
class JobRecord:
    id: str
    state: JobState
    requested: JobRequest | None
    """What a user asked of a running job and its owner has yet to obey."""
    spec: Json
    context: Json
    """What is fixed once the job has started: site table, objectives' bounds, split."""
    progress: Json
    """What changes while it runs: front, hypervolume, counts."""
    idempotency_key: str | None
    owner: str | None
    lease_until: datetime | None
    reason: str | None
    """Why it ended, in words for the user."""
    created_at: datetime
    started_at: datetime | None
    """When it was first claimed."""
    ended_at: datetime | None


@dataclass(frozen=True)
class NewTrial:
    """A trial to add."""

    kind: TrialKind
    key: str
    """Hash of plan and training settings: two trials that train the same model have the same key."""
    configuration: Json
    plan: Json
    point: Json
    strategy: str
    reason: str
    name: str | None = None
    """A baseline's name."""
    attributes: Json = field(default_factory=dict)
    """What the sampler that proposed it wants back."""


@dataclass(frozen=True)
class TrialRecord:
    job_id: str
    number: int
    kind: TrialKind
    name: str | None
    key: str
    state: TrialState
    configuration: Json
    plan: Json
    point: Json
    strategy: str
    reason: str
    attributes: Json
    summary: Json
    """Metric name -> value, as last set."""
    failure: Json | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True)
class ArtifactReference:
    """A file of an evaluation in the artifact store."""

    name: str
    digest: str
    size: int
    """Bytes."""


@dataclass(frozen=True)
class EvaluationRecord:
    id: str
    job_id: str
    trial_number: int
    purpose: Purpose
    fidelity: float
    stop_step: int
    seed: int
    state: EvaluationState
    attempt: int
    """How often it was leased; 0 before the first time."""
    owner: str | None
    lease_until: datetime | None
    measurement: Json | None
    failure: Json | None
    """`reason`, `message` and `attempt` of the last failure; kept when it was retried and then completed."""
    artifacts: tuple[ArtifactReference, ...]
    created_at: datetime
    started_at: datetime | None
    """When its present attempt began."""
    ended_at: datetime | None

    def artifact(self, name: str) -> ArtifactReference | None:
        """The file of that name, where it has one."""
        return next((each for each in self.artifacts if each.name == name), None)


@dataclass(frozen=True)
class EventRecord:
    id: int
    """Ascending in the order of the changes of a job; never given twice."""
    job_id: str
    kind: EventKind
    payload: Json
    created_at: datetime


@dataclass(frozen=True)
class KeyRecord:
    """An API key, without its secret."""

    id: str
    name: str
    created_at: datetime
    revoked_at: datetime | None
