"""Requests to a pool of light evaluators, and waiting for what it says of them."""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from evaluator.evaluate import EvaluationRequest
from evaluator.pool.pool import Failed, Finished, Pool, PoolEvent, Progressed, Stopped
from evaluator.task import DataSpec, ModelSpec, TaskSpec
from space.plan import Plan

MIB = 1024 * 1024
PATIENCE = 60
"""Seconds after which a test that waits has failed."""

OpenPool = Callable[..., Pool]


def request(evaluation: str, *misbehaviour: str, steps: int = 3, seed: int = 0) -> EvaluationRequest:
    return EvaluationRequest(
        evaluation=evaluation,
        model=ModelSpec(path="model"),
        task=TaskSpec(data=DataSpec(path="data.csv")),
        split_file="split.json",
        plan=Plan(notes=misbehaviour),
        full_steps=steps,
        stop_step=steps,
        seed=seed,
    )


def until(pool: Pool, evaluation: str, kind: type[PoolEvent]) -> list[PoolEvent]:
    """The pool's events up to the first of this kind about this evaluation, and those polled with it."""
    events: list[PoolEvent] = []
    while not any(event.evaluation == evaluation and isinstance(event, kind) for event in events):
        polled = pool.poll(PATIENCE)
        assert polled, f"no {kind.__name__} of {evaluation}: {events[-3:]}"
        events += polled
    return events


def drain(pool: Pool) -> list[PoolEvent]:
    """All events until nothing runs."""
    events: list[PoolEvent] = []
    while pool.running():
        polled = pool.poll(PATIENCE)
        assert polled, f"still running: {pool.running()}"
        events += polled
    return events


def ends(events: list[PoolEvent]) -> list[Finished | Failed | Stopped]:
    return [event for event in events if not isinstance(event, Progressed)]


def only_end(events: list[PoolEvent]) -> Finished | Failed | Stopped:
    (end,) = ends(events)
    return end


def finished(pool: Pool, evaluation: str) -> dict[str, Any]:
    """Run a harmless evaluation; what its worker says of itself."""
    pool.submit(request(evaluation))
    end = only_end(drain(pool))
    assert isinstance(end, Finished), end
    return end.measurement.provenance


def wait_for_end(pid: int) -> None:
    """Until the process has ended, whether or not its parent has noticed."""
    with suppress(ProcessLookupError):
        watched = os.pidfd_open(pid)
        try:
            assert select.select([watched], [], [], PATIENCE)[0], f"process {pid} still runs"
        finally:
            os.close(watched)
