"""What a user asks of a job, how jobs end, and lists of them, on every engine."""

from __future__ import annotations

import pytest
from brought_job import OWNER, bring_to

from storage.errors import (
    IllegalTransition,
    InvalidQuery,
    LeaseLost,
    NotFound,
)
from storage.records import EvaluationRecord, JobRecord
from storage.store import Store


@pytest.mark.parametrize(
    ("state", "action", "state_then", "requested"),
    [
        ("queued", "cancel", "cancelled", None),
        ("queued", "pause", "paused", None),
        ("queued", "resume", "queued", None),
        ("running", "cancel", "running", "cancel"),
        ("running", "pause", "running", "pause"),
        ("running", "resume", "running", None),
        ("paused", "cancel", "cancelled", None),
        ("paused", "pause", "paused", None),
        ("paused", "resume", "queued", None),
        ("cancelled", "cancel", "cancelled", None),
    ],
)
def test_requests_that_are_allowed(store: Store, state, action, state_then, requested) -> None:
    job = bring_to(store, state)
    before = store.last_event_id(job.id)
    answered = store.request(job.id, action)
    assert (answered.state, answered.requested) == (state_then, requested)
    assert store.request(job.id, action) == answered  # asking again changes nothing
    changes = [(event.payload["state"], event.payload["requested"]) for event in store.events(job.id, after=before)]
    assert changes == ([] if (state, None) == (state_then, requested) else [(state_then, requested)])


@pytest.mark.parametrize(
    ("state", "action"),
    [
        ("completed", "cancel"),
        ("completed", "pause"),
        ("completed", "resume"),
        ("failed", "cancel"),
        ("failed", "pause"),
        ("failed", "resume"),
        ("cancelled", "pause"),
        ("cancelled", "resume"),
    ],
)
def test_requests_that_are_refused(store: Store, state, action) -> None:
    job = bring_to(store, state)
    with pytest.raises(IllegalTransition, match=state):
        store.request(job.id, action)
    assert store.job(job.id) == job


def test_a_cancel_overrides_a_pause_and_nothing_overrides_a_cancel(store: Store) -> None:
    job = bring_to(store, "running")
    store.request(job.id, "pause")
    with pytest.raises(IllegalTransition, match="being paused"):
        store.request(job.id, "resume")
    store.request(job.id, "cancel")
    for action in ("pause", "resume"):
        with pytest.raises(IllegalTransition, match="being cancelled"):
            store.request(job.id, action)
    assert store.heartbeat_job(job.id, OWNER, 60).requested == "cancel"
    assert store.end_job(job.id, OWNER, "paused").state == "cancelled"


def test_a_pause_that_a_dead_owner_never_took_is_lifted_by_a_resume(store: Store, clock) -> None:
    job = bring_to(store, "running")
    store.request(job.id, "pause")
    clock.advance(61)
    resumed = store.request(job.id, "resume")
    assert (resumed.state, resumed.requested) == ("running", None)
    taken = store.claim_job("loop-2", 60, job.id)
    assert taken is not None
    assert taken.requested is None


def test_a_request_outlives_the_owner_it_was_made_to(store: Store, clock) -> None:
    job = bring_to(store, "running")
    store.request(job.id, "cancel")
    clock.advance(61)
    taken = store.claim_job("loop-2", 60)
    assert taken is not None
    assert taken.requested == "cancel"


def test_updates_merge_keys_and_carry_events(store: Store, job: JobRecord) -> None:
    store.update_job(job.id, OWNER, context={"bounds": [0, 1]}, progress={"trials": 1, "hypervolume": 0.1})
    store.update_job(job.id, OWNER, progress={"hypervolume": 0.2}, events=[("front", {"hypervolume": 0.2})])
    found = store.job(job.id)
    assert found.context == {"bounds": [0, 1]}
    assert found.progress == {"trials": 1, "hypervolume": 0.2}
    assert [(event.kind, event.payload) for event in store.events(job.id)][-1] == ("front", {"hypervolume": 0.2})


@pytest.mark.parametrize(
    ("end", "evaluations_then", "trials_then"),
    [
        ("completed", "cancelled", "cancelled"),
        ("failed", "cancelled", "cancelled"),
        ("cancelled", "cancelled", "cancelled"),
        ("paused", "preempted", "waiting"),
    ],
)
def test_the_end_of_a_job_leaves_nothing_open(
    store: Store, job: JobRecord, evaluation: EvaluationRecord, new_trial, end, evaluations_then, trials_then
) -> None:
    store.lease_evaluation(evaluation.id, OWNER, 60)
    store.set_trial(job.id, OWNER, 0, "running")
    store.add_trials(job.id, OWNER, [new_trial(), new_trial()])
    store.add_evaluation(job.id, OWNER, 1, purpose="rung", fidelity=0.1, stop_step=4, seed=0)
    store.set_trial(job.id, OWNER, 2, "completed", summary={"accuracy": 0.5})
    ended = store.end_job(job.id, OWNER, end, "the reason")
    assert (ended.state, ended.reason, ended.owner, ended.requested) == (end, "the reason", None, None)
    assert (ended.ended_at is None) == (end == "paused")
    assert [found.state for found in store.evaluations(job.id)] == [evaluations_then] * 2
    assert [trial.state for trial in store.all_trials(job.id)] == [trials_then, trials_then, "completed"]
    assert store.events(job.id)[-1].payload == {"state": end, "requested": None, "reason": "the reason"}


def test_a_resumed_job_finds_its_evaluations_queued(store: Store, job: JobRecord, evaluation: EvaluationRecord) -> None:
    store.lease_evaluation(evaluation.id, OWNER, 60)
    store.end_job(job.id, OWNER, "paused")
    store.request(job.id, "resume")
    (found,) = store.evaluations(job.id)
    assert (found.state, found.attempt, found.ended_at) == ("queued", 1, None)
    store.claim_job("loop-2", 60)
    assert store.lease_evaluation(evaluation.id, "loop-2", 60).attempt == 2


def test_a_paused_job_that_is_cancelled_leaves_nothing_open(
    store: Store, job: JobRecord, evaluation: EvaluationRecord
) -> None:
    store.end_job(job.id, OWNER, "paused")
    store.request(job.id, "cancel")
    assert store.evaluation(evaluation.id).state == "cancelled"
    assert store.trial(job.id, 0).state == "cancelled"


def test_a_released_job_is_queued_with_its_evaluations(
    store: Store, job: JobRecord, evaluation: EvaluationRecord
) -> None:
    store.lease_evaluation(evaluation.id, OWNER, 60)
    assert store.release_job(job.id, OWNER).state == "queued"
    found = store.evaluation(evaluation.id)
    assert (found.state, found.attempt, found.owner) == ("queued", 1, None)
    claimed = store.claim_job("loop-2", 60)
    assert claimed is not None
    assert claimed.id == job.id


@pytest.mark.parametrize(("action", "then"), [("cancel", "cancelled"), ("pause", "paused")])
def test_a_request_takes_effect_when_the_job_is_released(store: Store, job: JobRecord, action, then) -> None:
    store.request(job.id, action)
    assert store.release_job(job.id, OWNER).state == then


@pytest.mark.parametrize("state", ["queued", "paused", "completed", "cancelled", "failed"])
def test_a_job_that_does_not_run_has_no_owner(store: Store, state) -> None:
    job = bring_to(store, state)
    with pytest.raises(LeaseLost):
        store.heartbeat_job(job.id, OWNER, 60)
    with pytest.raises(LeaseLost):
        store.end_job(job.id, OWNER, "completed")


@pytest.mark.parametrize("state", ["completed", "cancelled", "failed", "paused"])
def test_deletion_takes_everything_of_the_job_and_nothing_else(store: Store, new_trial, state) -> None:
    kept = bring_to(store, "completed")
    job, _ = store.create_job({}, idempotency_key="once")
    store.claim_job(OWNER, 60)
    store.add_trials(job.id, OWNER, [new_trial()])
    evaluation = store.add_evaluation(job.id, OWNER, 0, purpose="rung", fidelity=1, stop_step=4, seed=0)
    store.lease_evaluation(evaluation.id, OWNER, 60)
    store.record_progress(evaluation.id, 1, [{"step": 1}])
    store.finish_evaluation(evaluation.id, 1, {"metrics": {}}, [("adapter", "d" * 64, 10)])
    store.end_job(job.id, OWNER, state)
    store.delete_job(job.id)
    assert [found.id for found in store.jobs().items] == [kept.id]
    assert store.evaluations(job.id) == []
    assert store.artifact_digests() == frozenset()
    assert store.last_event_id(job.id) == 0
    assert store.events(kept.id)
    with pytest.raises(NotFound):
        store.curve(evaluation.id)
    assert store.create_job({"other": 1}, idempotency_key="once")[1]


@pytest.mark.parametrize("state", ["queued", "running"])
def test_an_active_job_is_not_deleted(store: Store, state) -> None:
    job = bring_to(store, state)
    with pytest.raises(IllegalTransition, match="cancel it"):
        store.delete_job(job.id)
    assert store.job(job.id) == job


def test_jobs_are_paged_newest_first_and_new_ones_shift_nothing(store: Store) -> None:
    ids = [store.create_job({})[0].id for _ in range(7)]
    first = store.jobs(limit=3)
    store.create_job({})
    second = store.jobs(limit=3, after=first.next)
    third = store.jobs(limit=3, after=second.next)
    assert [job.id for page in (first, second, third) for job in page.items] == ids[::-1]
    assert third.next is None


def test_jobs_are_filtered_by_state(store: Store) -> None:
    ended = bring_to(store, "completed")
    store.create_job({})
    assert [job.id for job in store.jobs(state="completed").items] == [ended.id]
    assert store.jobs(state="failed").items == ()


@pytest.mark.parametrize(
    "cursor", ["", "x", "!!!!", "WyJqb2JzIl0", "WyJqb2JzIiwgMWUzMDhd", "W10", "bnVsbA", "é", "[" * 99999]
)
def test_a_broken_cursor_is_refused(store: Store, cursor: str) -> None:
    with pytest.raises(InvalidQuery, match="after"):
        store.jobs(after=cursor)


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_a_page_has_a_sensible_size(store: Store, limit: int) -> None:
    with pytest.raises(InvalidQuery, match="limit"):
        store.jobs(limit=limit)
