"""Counts by state, and finding one job by its key or taking it by its id."""

from __future__ import annotations

from storage.records import EvaluationRecord, JobRecord
from storage.store import Store


def test_states_without_any_are_counted_too(store: Store) -> None:
    assert set(store.count_jobs().values()) == {0}
    assert set(store.count_evaluations().values()) == {0}


def test_jobs_and_evaluations_are_counted_by_state(store: Store, job: JobRecord, evaluation: EvaluationRecord) -> None:
    store.create_job({"name": "other"})
    assert store.count_jobs() | {"running": 1, "queued": 1} == store.count_jobs()
    assert store.count_evaluations()["queued"] == 1


def test_a_job_is_found_by_its_key(store: Store) -> None:
    made, _ = store.create_job({"name": "topics"}, idempotency_key="mine")
    assert store.job_of_key("mine") == made
    assert store.job_of_key("other") is None


def test_one_job_can_be_claimed_by_its_id(store: Store) -> None:
    first, _ = store.create_job({"name": "first"})
    second, _ = store.create_job({"name": "second"})
    claimed = store.claim_job("loop-1", 60, second.id)
    assert claimed is not None
    assert claimed.id == second.id
    assert store.claim_job("loop-2", 60, second.id) is None
    assert store.job(first.id).state == "queued"
