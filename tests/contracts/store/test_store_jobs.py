"""Jobs: submission, idempotency, claims, requests, ends, deletion, pages."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from brought_job import OWNER, bring_to

from storage.errors import (
    IdempotencyConflict,
    InvalidQuery,
    LeaseLost,
    NotFound,
)
from storage.records import EvaluationRecord, JobRecord, NewTrial
from storage.store import Store


def test_a_new_job_is_queued(store: Store) -> None:
    job, created = store.create_job({"name": "topics", "steps": [1, 2.5, None, True]}, {"table": {"depth": 6}})
    assert created
    assert (job.state, job.requested, job.owner) == ("queued", None, None)
    assert job.spec == {"name": "topics", "steps": [1, 2.5, None, True]}
    assert job.context == {"table": {"depth": 6}}
    assert store.job(job.id) == job


def test_a_record_is_a_copy(store: Store) -> None:
    spec = {"sizes": [1, 2]}
    job, _ = store.create_job(spec)
    spec["sizes"].append(3)
    job.spec["sizes"].append(4)
    assert store.job(job.id).spec == {"sizes": [1, 2]}


def test_keys_keep_their_order_and_odd_characters_survive(store: Store) -> None:
    spec = {"z": 1, "a": "nul \x00, lone \ud800, wide \U0001f642"}
    job, _ = store.create_job(spec)
    stored = store.job(job.id).spec
    assert list(stored) == ["z", "a"]
    assert stored == spec


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), {1: "x"}, object(), {"deep": [float("-inf")]}])
def test_what_is_not_finite_json_is_refused_by_name(store: Store, bad: object) -> None:
    with pytest.raises(ValueError, match=r"spec\.value"):
        store.create_job({"value": bad})
    assert store.jobs().items == ()


@pytest.mark.parametrize("job_id", ["", "nothere", "0" * 16, "nul\x00", "lone \ud800", "x" * 5000])
def test_an_unknown_job_is_not_found(store: Store, job_id: str) -> None:
    for call in (
        lambda: store.job(job_id),
        lambda: store.request(job_id, "cancel"),
        lambda: store.delete_job(job_id),
        lambda: store.heartbeat_job(job_id, OWNER, 60),
        lambda: store.all_trials(job_id),
        lambda: store.trials(job_id),
        lambda: store.trial(job_id, 0),
        lambda: store.events(job_id),
        lambda: store.update_job(job_id, OWNER, events=[("front", {})]),
        lambda: store.evaluation(job_id),
        lambda: store.revoke_key(job_id),
    ):
        with pytest.raises(NotFound):
            call()


def test_the_same_idempotency_key_and_spec_give_the_same_job(store: Store) -> None:
    first, created = store.create_job({"a": 1, "b": 2}, idempotency_key="once")
    again, created_again = store.create_job({"b": 2, "a": 1}, idempotency_key="once")
    assert (created, created_again) == (True, False)
    assert again == first
    assert len(store.events(first.id)) == 1


def test_the_same_idempotency_key_with_another_spec_is_refused(store: Store) -> None:
    job, _ = store.create_job({"a": 1}, idempotency_key="once")
    with pytest.raises(IdempotencyConflict, match="another spec"):
        store.create_job({"a": 2}, idempotency_key="once")
    assert [found.id for found in store.jobs().items] == [job.id]


def test_jobs_without_a_key_are_never_the_same(store: Store) -> None:
    assert store.create_job({})[0].id != store.create_job({})[0].id


@pytest.mark.parametrize("key", ["", "x" * 256, "nul\x00", "ä"])
def test_an_idempotency_key_that_no_header_holds_is_refused(store: Store, key: str) -> None:
    with pytest.raises(InvalidQuery, match="idempotency_key"):
        store.create_job({}, idempotency_key=key)


def test_two_submissions_at_once_of_one_key_make_one_job(store: Store) -> None:
    together = Barrier(8)

    def submit(_: int) -> tuple[JobRecord, bool]:
        together.wait()
        return store.create_job({"a": 1}, idempotency_key="once")

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(submit, range(8)))
    assert sum(created for _, created in answers) == 1
    assert len({job.id for job, _ in answers}) == 1


def test_claims_go_to_the_oldest_queued_job(store: Store) -> None:
    ids = [store.create_job({})[0].id for _ in range(3)]
    claimed = [store.claim_job(f"loop-{n}", 60) for n in range(4)]
    assert [job and job.id for job in claimed] == [*ids, None]
    assert all(job is None or job.state == "running" for job in claimed)


def test_a_running_job_can_be_claimed_once_its_lease_ran_out(store: Store, clock) -> None:
    job = bring_to(store, "running")
    clock.advance(59)
    assert store.claim_job("loop-2", 60) is None
    clock.advance(1)
    taken = store.claim_job("loop-2", 60)
    assert taken is not None
    assert (taken.id, taken.owner, taken.started_at) == (job.id, "loop-2", job.started_at)


def test_queued_jobs_go_before_abandoned_ones(store: Store, clock) -> None:
    abandoned = bring_to(store, "running")
    clock.advance(61)
    queued, _ = store.create_job({})
    order = [store.claim_job("loop-2", 60), store.claim_job("loop-3", 60)]
    assert [job and job.id for job in order] == [queued.id, abandoned.id]


def test_a_heartbeat_extends_the_lease(store: Store, clock) -> None:
    job = bring_to(store, "running")
    clock.advance(59)
    store.heartbeat_job(job.id, OWNER, 60)
    clock.advance(59)
    assert store.claim_job("loop-2", 60) is None


def test_an_owner_whose_lease_ran_out_keeps_the_job_until_another_claims_it(store: Store, clock) -> None:
    job = bring_to(store, "running")
    clock.advance(600)
    assert store.heartbeat_job(job.id, OWNER, 60).owner == OWNER
    assert store.claim_job("loop-2", 60) is None


def test_who_lost_the_lease_can_write_nothing(
    store: Store,
    clock,
    job: JobRecord,
    evaluation: EvaluationRecord,
    new_trial: Callable[..., NewTrial],
) -> None:
    clock.advance(61)
    store.claim_job("loop-2", 60)
    before = (store.job(job.id), store.all_trials(job.id), store.evaluations(job.id), store.last_event_id(job.id))
    for write in (
        lambda: store.heartbeat_job(job.id, OWNER, 60),
        lambda: store.update_job(job.id, OWNER, progress={"x": 1}),
        lambda: store.end_job(job.id, OWNER, "completed"),
        lambda: store.release_job(job.id, OWNER),
        lambda: store.add_trials(job.id, OWNER, [new_trial()]),
        lambda: store.set_trial(job.id, OWNER, 0, "running"),
        lambda: store.add_evaluation(job.id, OWNER, 0, purpose="rung", fidelity=1, stop_step=9, seed=0),
        lambda: store.lease_evaluation(evaluation.id, OWNER, 60),
        lambda: store.release_evaluations(job.id, OWNER),
    ):
        with pytest.raises(LeaseLost):
            write()
    assert before == (
        store.job(job.id),
        store.all_trials(job.id),
        store.evaluations(job.id),
        store.last_event_id(job.id),
    )
