"""What every `Pool` promises of evaluations that go well."""

from __future__ import annotations

import math

import pytest
from pool_requests import MIB, OpenPool, drain, ends, finished, only_end, request, until

from evaluator.pool.pool import Finished, Progressed, Stopped

pytestmark = pytest.mark.timeout(120)


def test_progress_comes_in_order_and_one_end_comes_last(open_pool: OpenPool) -> None:
    pool = open_pool()
    pool.submit(request("a", steps=20))
    assert pool.running() == {"a"}
    *progress, end = drain(pool)
    assert [event.progress.step for event in progress if isinstance(event, Progressed)] == list(range(1, 21))
    assert isinstance(end, Finished)
    assert end.measurement.step == 20
    assert [point.loss for point in end.measurement.curve] == [
        event.progress.loss for event in progress if isinstance(event, Progressed)
    ]
    assert pool.running() == frozenset()
    assert pool.poll(0) == []


def test_numbers_arrive_as_they_were(open_pool: OpenPool) -> None:
    pool = open_pool()
    pool.submit(request("a", "lose"))
    end = only_end(drain(pool))
    assert isinstance(end, Finished)
    assert all(math.isnan(point.loss) for point in end.measurement.curve)

    pool.submit(request("b", seed=1))
    pool.submit(request("c", seed=1))
    first, second = ends(drain(pool))
    assert isinstance(first, Finished) and isinstance(second, Finished)
    assert first.measurement.metrics == second.measurement.metrics


def test_workers_stay_warm_and_use_one_thread(open_pool: OpenPool) -> None:
    pool = open_pool()
    one, two = finished(pool, "a"), finished(pool, "b")
    assert (one["evaluations"], two["evaluations"]) == (1, 2)
    assert one["pid"] == two["pid"]
    assert one["threads"] == "1"


def test_more_than_fit_wait_their_turn(open_pool: OpenPool) -> None:
    pool = open_pool(2)
    names = [f"e{i}" for i in range(7)]
    for name in names:
        pool.submit(request(name))
    assert pool.running() == set(names)
    assert sorted(event.evaluation for event in ends(drain(pool))) == names


def test_as_many_as_its_size_run_at_once(open_pool: OpenPool) -> None:
    pool = open_pool(2)
    assert pool.size == 2
    pool.submit(request("a", "hang-at 2"))
    pool.submit(request("b", "hang-at 2"))
    seen = {event.evaluation for event in until(pool, "a", Progressed)}
    if "b" not in seen:
        until(pool, "b", Progressed)
    assert pool.running() == {"a", "b"}


def test_an_id_that_runs_or_waits_is_refused_and_an_ended_one_is_not(open_pool: OpenPool) -> None:
    pool = open_pool()
    pool.submit(request("a"))
    pool.submit(request("b"))
    for evaluation in "ab":
        with pytest.raises(ValueError, match="already running"):
            pool.submit(request(evaluation))
    assert [event.evaluation for event in ends(drain(pool))] == ["a", "b"]
    finished(pool, "a")


def test_a_large_request_arrives(open_pool: OpenPool) -> None:
    pool = open_pool()
    pool.submit(request("a", "x" * MIB))
    assert isinstance(only_end(drain(pool)), Finished)


def test_a_stop_takes_effect_between_two_steps(open_pool: OpenPool) -> None:
    pool = open_pool()
    worker = finished(pool, "before")["pid"]
    pool.submit(request("a", steps=10**9))
    until(pool, "a", Progressed)
    pool.stop("a")
    pool.stop("a")
    assert only_end(drain(pool)) == Stopped("a")
    assert finished(pool, "after")["pid"] == worker


def test_an_id_that_was_stopped_can_run_again(open_pool: OpenPool) -> None:
    pool = open_pool()
    pool.submit(request("a", steps=10**9))
    until(pool, "a", Progressed)
    pool.stop("a")
    drain(pool)
    pool.stop("a")
    finished(pool, "a")


def test_one_that_waits_or_has_not_started_stops_at_once(open_pool: OpenPool) -> None:
    pool = open_pool()
    pool.submit(request("a", steps=10**9))
    pool.submit(request("b"))
    pool.stop("b")
    until(pool, "b", Stopped)
    assert pool.running() == {"a"}
    pool.stop("a")
    assert only_end(drain(pool)) == Stopped("a")


def test_stopping_what_is_unknown_or_over_does_nothing(open_pool: OpenPool) -> None:
    pool = open_pool()
    pool.stop("never")
    finished(pool, "a")
    pool.stop("a")
    assert pool.poll(0) == []


def test_two_pools_know_nothing_of_each_other(open_pool: OpenPool) -> None:
    one, two = open_pool(), open_pool()
    one.submit(request("a", "hang-at 2"))
    two.submit(request("a"))
    assert isinstance(only_end(drain(two)), Finished)
    until(one, "a", Progressed)
    two.close()
    assert one.running() == {"a"}
    one.stop("a")
    one.close()
    assert only_end(one.poll(0)) == Stopped("a")
