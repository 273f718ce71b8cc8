"""Jobs on disks, artifacts and stores that cannot be written for a while."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from loop_setting import Setting, wait_until

from evaluator.evaluate import Progress
from evaluator.pool.local import LocalPool
from evaluator.pool.pool import PoolEvent, Progressed
from search.ledger import Ledger
from storage.errors import StoreUnavailable
from storage.records import EvaluationRecord
from storage.store import Store


def test_an_idle_loop_process_removes_what_deleted_jobs_left(setting: Setting) -> None:
    adapter = setting.artifacts.path(setting.artifacts.put_bytes(b"adapter").digest)
    os.utime(adapter, (0, 0))
    ending = threading.Event()
    with setting.service(workers=1) as service:
        serving = threading.Thread(target=service.serve, args=(ending,))
        serving.start()
        try:
            wait_until(lambda: not adapter.exists())
        finally:
            ending.set()
            serving.join()


def test_a_disk_that_is_nearly_full_pauses_the_job_before_anything_is_lost(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = setting.submit(baselines=False)
    with monkeypatch.context() as patch:
        patch.setattr("search.loop.RESERVED_BYTES", 1 << 62)
        paused = setting.run(job)
    assert paused.state == "paused"
    assert str(setting.job_folder(job)) in str(paused.reason)
    assert "free space there, then resume" in str(paused.reason)
    setting.store.request(job.id, "resume")
    assert setting.run(job).state == "completed"


def test_an_evaluation_that_meets_a_full_disk_costs_no_trial(setting: Setting) -> None:
    job = setting.submit(baselines=False)
    full = setting.job_folder(job) / "disk-is-full"
    full.touch()
    paused = setting.run(job)
    assert paused.state == "paused"
    assert "is full" in str(paused.reason)
    assert not {trial.state for trial in setting.store.all_trials(job.id)} & {"failed", "cancelled"}
    full.unlink()
    setting.store.request(job.id, "resume")
    assert setting.run(job).state == "completed"
    assert {trial.state for trial in setting.store.all_trials(job.id)} <= {"completed", "pruned"}
    done = setting.completed(job)
    assert len(done) == len(set(done))


def test_artifacts_that_cannot_be_written_pause_the_job(setting: Setting) -> None:
    job = setting.submit(baselines=False)
    folder = setting.artifacts.folder
    folder.rmdir()
    folder.touch()  # a file where the folder should be
    paused = setting.run(job)
    assert (paused.state, str(folder) in str(paused.reason)) == ("paused", True)
    folder.unlink()
    folder.mkdir()
    setting.store.request(job.id, "resume")
    assert setting.run(job).state == "completed"
    done = setting.completed(job)
    assert len(done) == len(set(done))


def test_a_store_that_cannot_be_written_for_a_while_is_waited_for(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a full disk: what was found meanwhile is found again, and the same process goes on."""
    job = setting.submit(baselines=False)
    monkeypatch.setattr("search.service.STORE_SECONDS", 0.01)
    write, refused, written = type(setting.store)._write, 0, 0

    @contextmanager
    def full_for_a_while(store: Store) -> Iterator[Any]:
        nonlocal refused, written
        if written >= 30 and refused < 50:
            refused += 1
            raise StoreUnavailable("database or disk is full: free space")
        written += 1
        with write(store) as session:
            yield session

    monkeypatch.setattr(type(setting.store), "_write", full_for_a_while)
    ending = threading.Event()
    with setting.service() as service:
        serving = threading.Thread(target=service.serve, args=(ending,))
        serving.start()
        try:
            wait_until(lambda: setting.store.job(job.id).state == "completed")
        finally:
            ending.set()
            serving.join()
    assert refused == 50
    done = setting.completed(job)
    assert len(done) == len(set(done))
    assert {trial.state for trial in setting.store.all_trials(job.id)} <= {"completed", "pruned"}


def test_progress_that_cannot_be_written_costs_no_result(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pool tells of an end once: a result that comes with a progress that is refused is recorded all the same."""
    job = setting.submit(baselines=False)
    poll, write, held, refused = LocalPool.poll, Ledger.progress, [], []

    def with_the_end(pool: LocalPool, timeout: float) -> list[PoolEvent]:
        held.extend(poll(pool, timeout))
        if all(isinstance(event, Progressed) for event in held):
            return []
        told = [*held]
        held.clear()
        return told

    def refused_once(ledger: Ledger, record: EvaluationRecord, points: Sequence[Progress]) -> None:
        if not refused:
            refused.append(record.id)
            raise StoreUnavailable("away for a moment")
        write(ledger, record, points)

    monkeypatch.setattr(LocalPool, "poll", with_the_end)
    monkeypatch.setattr(Ledger, "progress", refused_once)
    assert setting.run(job, workers=1).state == "queued", "the next owner's"
    (record,) = [each for each in setting.store.evaluations(job.id) if each.id in refused]
    assert (record.state, record.attempt) == ("completed", 1)
