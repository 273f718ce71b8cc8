"""What every `Pool` promises of evaluations that fail, hang or take too much, and of their logs."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest
from pool_requests import MIB, OpenPool, drain, ends, finished, only_end, request, until, wait_for_end

from evaluator.pool.pool import Failed, Finished, Progressed, Stopped

pytestmark = pytest.mark.timeout(120)


def test_one_that_reaches_no_step_is_killed_when_patience_ends(open_pool: OpenPool) -> None:
    pool = open_pool(stop_patience=0.0)
    pool.submit(request("a", "hang-at 2"))
    until(pool, "a", Progressed)
    pool.stop("a")
    assert only_end(drain(pool)) == Stopped("a")
    finished(pool, "b")


@pytest.mark.parametrize(
    ("misbehaviour", "reason", "message"),
    [
        ("raise no luck", "error", "RuntimeError: no luck"),
        ("exit", "error", "SystemExit: 3"),
        ("fail the loss is not a number", "nan", "the loss is not a number"),
        ("refuse name a column", "invalid", "task.label: name a column"),
        ("fill-disk", "out-of-disk", "No space left on device"),
        ("run-out-of-memory", "out-of-memory", "MemoryError"),
    ],
)
def test_a_failure_has_its_reason_and_leaves_the_worker_usable(
    open_pool: OpenPool, misbehaviour: str, reason: str, message: str
) -> None:
    pool = open_pool()
    worker = finished(pool, "before")["pid"]
    pool.submit(request("a", misbehaviour))
    end = only_end(drain(pool))
    assert isinstance(end, Failed)
    assert end.reason == reason
    assert message in end.message
    assert finished(pool, "after")["pid"] == worker


def test_a_failure_leaves_its_traceback_in_the_log(open_pool: OpenPool) -> None:
    pool = open_pool()
    pool.submit(request("a", "raise no luck"))
    drain(pool)
    assert "Traceback" in pool.logs("a")


def test_a_worker_that_dies_fails_its_evaluation_with_its_last_words(open_pool: OpenPool) -> None:
    pool = open_pool()
    pool.submit(request("a", "die"))
    pool.submit(request("b"))
    first, second = ends(drain(pool))
    assert isinstance(first, Failed)
    assert first.reason == "worker-died"
    assert "SIGKILL" in first.message
    assert "last words" in first.message
    assert isinstance(second, Finished)


def test_a_worker_killed_while_it_works_is_replaced(open_pool: OpenPool) -> None:
    pool = open_pool()
    worker = finished(pool, "before")["pid"]
    pool.submit(request("a", "hang-at 2"))
    until(pool, "a", Progressed)
    os.kill(worker, signal.SIGKILL)
    end = only_end(drain(pool))
    assert isinstance(end, Failed) and end.reason == "worker-died"
    assert finished(pool, "after")["pid"] != worker


def test_a_worker_killed_while_idle_costs_at_most_one_evaluation(open_pool: OpenPool) -> None:
    pool = open_pool()
    worker = finished(pool, "before")["pid"]
    os.kill(worker, signal.SIGKILL)
    wait_for_end(worker)
    pool.submit(request("a"))
    end = only_end(drain(pool))
    assert isinstance(end, Finished) or (isinstance(end, Failed) and end.reason == "worker-died")
    assert finished(pool, "after")["pid"] != worker


def test_workers_that_cannot_start_fail_every_evaluation_with_the_cause(open_pool: OpenPool) -> None:
    pool = open_pool(2, evaluator="no_such_module:Evaluator")
    for name in "abc":
        pool.submit(request(name))
    failures = ends(drain(pool))
    assert sorted(event.evaluation for event in failures) == ["a", "b", "c"]
    for failure in failures:
        assert isinstance(failure, Failed) and failure.reason == "worker-died"
        assert "no_such_module" in failure.message
    pool.submit(request("d"))
    assert isinstance(only_end(drain(pool)), Failed)


def test_a_time_limit_ends_an_evaluation_that_hangs(open_pool: OpenPool) -> None:
    pool = open_pool(time_limit=0.5)
    pool.submit(request("a", "hang"))
    end = only_end(drain(pool))
    assert isinstance(end, Failed)
    assert end.reason == "time-limit"
    assert "0.5 s" in end.message
    finished(pool, "b")


def test_a_memory_limit_ends_an_evaluation_that_takes_more(open_pool: OpenPool) -> None:
    pool = open_pool(memory_limit=200 * MIB)
    pool.submit(request("a", "allocate 50", "hang-at 6", steps=6))
    end = only_end(drain(pool))
    assert isinstance(end, Failed)
    assert end.reason == "memory-limit"
    assert "200 MiB" in end.message
    finished(pool, "b")


def test_memory_below_the_limit_is_left_alone(open_pool: OpenPool) -> None:
    pool = open_pool(memory_limit=1024 * MIB)
    pool.submit(request("a", "allocate 10"))
    assert isinstance(only_end(drain(pool)), Finished)


def test_what_is_printed_goes_to_the_log_and_not_into_the_events(open_pool: OpenPool) -> None:
    pool = open_pool()
    pool.submit(request("a", "print", steps=1))
    assert isinstance(only_end(drain(pool)), Finished)
    log = pool.logs("a")
    for line in ("forged", "to standard error", "from C", "raw bytes"):
        assert line in log


def test_each_evaluation_has_its_own_log(open_pool: OpenPool) -> None:
    pool = open_pool()
    pool.submit(request("a", "raise one"))
    pool.submit(request("job/1:b", "raise two"))
    drain(pool)
    assert "one" in pool.logs("a") and "two" not in pool.logs("a")
    assert "two" in pool.logs("job/1:b") and "one" not in pool.logs("job/1:b")
    assert pool.logs("unknown") == ""


def test_a_huge_log_is_read_from_its_end(open_pool: OpenPool) -> None:
    pool = open_pool()
    pool.submit(request("a", "chatter 100", steps=1))
    assert isinstance(only_end(drain(pool)), Finished)
    log = pool.logs("a")
    assert log.endswith("end of chatter")
    assert len(log) < MIB


def test_a_log_folder_that_was_removed_is_made_again(open_pool: OpenPool, tmp_path: Path) -> None:
    """Somebody tidies up while a job runs; both a warm worker and a new one go on."""
    pool = open_pool()
    worker = finished(pool, "a")["pid"]
    shutil.rmtree(tmp_path / "logs-0")
    assert finished(pool, "b")["pid"] == worker
    shutil.rmtree(tmp_path / "logs-0", ignore_errors=True)
    os.kill(worker, signal.SIGKILL)
    wait_for_end(worker)
    pool.submit(request("c"))
    drain(pool)
    assert finished(pool, "d")["pid"] != worker
