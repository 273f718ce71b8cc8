"""A job in any of its states."""

from __future__ import annotations

from storage.records import JobRecord
from storage.states import JobState
from storage.store import Store

OWNER = "loop-1"


def bring_to(store: Store, state: JobState) -> JobRecord:
    """A job in that state."""
    job, _ = store.create_job({"name": "topics"})
    if state == "queued":
        return job
    store.claim_job(OWNER, 60)
    if state == "running":
        return store.job(job.id)
    return store.end_job(job.id, OWNER, state)
