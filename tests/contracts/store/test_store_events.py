"""Events: one for each change, in its transaction, ascending in the order of the changes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event as Flag

import pytest

from storage.errors import InvalidQuery, NotFound

OWNER = "loop-1"


def test_every_change_of_a_life_is_told_in_order(store, job, evaluation) -> None:
    store.set_trial(job.id, OWNER, 0, "running")
    store.lease_evaluation(evaluation.id, OWNER, 60)
    store.record_progress(evaluation.id, 1, [{"step": 1, "loss": 2.0}])
    store.finish_evaluation(evaluation.id, 1, {"metrics": {}})
    store.set_trial(job.id, OWNER, 0, "completed", summary={"accuracy": 0.5})
    store.update_job(job.id, OWNER, events=[("front", {"hypervolume": 0.3})])
    store.end_job(job.id, OWNER, "completed", "budget spent")
    told = [(event.kind, event.payload.get("state")) for event in store.events(job.id)]
    assert told == [
        ("state", "queued"),
        ("state", "running"),
        ("trial", "waiting"),
        ("evaluation", "queued"),
        ("trial", "running"),
        ("evaluation", "running"),
        ("evaluation", "running"),
        ("evaluation", "completed"),
        ("trial", "completed"),
        ("front", None),
        ("state", "completed"),
    ]
    ids = [event.id for event in store.events(job.id)]
    assert ids == sorted(set(ids))
    assert store.last_event_id(job.id) == ids[-1]


def test_progress_carries_its_points(store, job, evaluation) -> None:
    store.lease_evaluation(evaluation.id, OWNER, 60)
    store.record_progress(evaluation.id, 1, [{"step": 1, "loss": 2.0}])
    payload = store.events(job.id)[-1].payload
    assert payload["points"] == [{"step": 1, "loss": 2.0}]
    assert (payload["id"], payload["trial"], payload["attempt"]) == (evaluation.id, 0, 1)


def test_events_are_read_from_where_one_left_off(store, job) -> None:
    for n in range(5):
        store.update_job(job.id, OWNER, events=[("front", {"n": n})])
    seen = store.events(job.id, limit=3)
    rest = store.events(job.id, after=seen[-1].id)
    assert [event.payload.get("n") for event in seen + rest] == [None, None, 0, 1, 2, 3, 4]
    assert store.events(job.id, after=store.last_event_id(job.id)) == []
    assert store.events(job.id, after=2**70) == []
    with pytest.raises(InvalidQuery):
        store.events(job.id, limit=0)


def test_each_job_has_its_own_events(store, job) -> None:
    other, _ = store.create_job({})
    store.claim_job(OWNER, 60, other.id)
    store.update_job(other.id, OWNER, events=[("front", {})])
    assert {event.job_id for event in store.events(job.id)} == {job.id}


def test_an_event_that_cannot_be_stored_leaves_nothing(store, job) -> None:
    before = store.last_event_id(job.id)
    with pytest.raises(ValueError, match=r"event\.hypervolume"):
        store.update_job(job.id, OWNER, progress={"x": 1}, events=[("front", {"hypervolume": float("inf")})])
    assert store.job(job.id).progress == {}
    assert store.last_event_id(job.id) == before


def test_ids_are_not_given_twice_after_a_deletion(store, job) -> None:
    store.end_job(job.id, OWNER, "cancelled")
    last = store.last_event_id(job.id)
    store.delete_job(job.id)
    following, _ = store.create_job({})
    assert store.events(following.id)[0].id > last


def test_a_reader_never_sees_an_older_event_appear(store, job) -> None:
    """Several writers add events while a reader follows: what it has seen is what is there in the end."""
    done = Flag()

    def write(writer):
        for n in range(15):
            store.update_job(job.id, OWNER, events=[("front", {"writer": writer, "n": n})])

    def follow():
        seen = []
        while True:
            ended = done.is_set()
            found = store.events(job.id, after=seen[-1].id if seen else 0, limit=4)
            seen += found
            if ended and not found:
                return seen

    with ThreadPoolExecutor(5) as threads:
        reader = threads.submit(follow)
        for finished in [threads.submit(write, writer) for writer in range(4)]:
            finished.result()
        done.set()
        seen = reader.result()
    assert seen == store.events(job.id, limit=1000)
    assert len(seen) == 2 + 4 * 15


def test_no_events_of_a_deleted_job(store, job) -> None:
    store.end_job(job.id, OWNER, "cancelled")
    store.delete_job(job.id)
    with pytest.raises(NotFound):
        store.events(job.id)
