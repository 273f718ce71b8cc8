"""The local pool: worker processes on this machine, kept warm between evaluations.

Each worker is a process group of its own and does one evaluation at a time on one thread. Time limit, memory limit and
the patience with a stop end the whole group; the worker is then started anew. Workers end at once when this process
does, however it ends.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from evaluator.evaluate import EvaluationRequest
from evaluator.messages import (
    Evaluate,
    EvaluationFailure,
    EvaluationProgress,
    EvaluationResult,
    EvaluationStop,
    Event,
    Ready,
    Stop,
)
from evaluator.pool.devices import cuda_devices, device_of
from evaluator.pool.log import log_of, tail, trim
from evaluator.pool.pool import Failed, Finished, PoolEvent, Progressed, Stopped
from evaluator.pool.process import WorkerProcess

FINE_TUNING = "evaluator.finetune:FineTuneEvaluator"
WATCH_SECONDS = 0.5
"""How often limits are looked at: a limit may be passed by what happens in this time."""
STARTUP_SECONDS = 300.0
"""A worker that has not loaded its libraries by then is taken for stuck."""
STOP_PATIENCE = 60.0
"""Seconds that a stopped evaluation has to end between two steps before its worker is killed."""
MESSAGE_LINES = 15
MIB = 1024 * 1024


@dataclass
class _Run:
    """An evaluation that a worker is at."""

    evaluation: str
    started: float
    end: PoolEvent | None = None
    """How it ends if it does not end by itself, once that is decided."""
    stop_by: float | None = None


@dataclass
class _Slot:
    """A place for one worker."""

    index: int
    worker: WorkerProcess | None = None
    state: Literal["empty", "starting", "ready", "dying"] = "empty"
    run: _Run | None = None


class LocalPool:
    """The `Pool` of this machine.

    Args:
        size: evaluations that run at once, one process each.
        log_folder: a file for each evaluation and each worker; created if missing.
        memory_limit: bytes that a worker with its children may hold; None for no limit.
        time_limit: seconds that an evaluation may take once a worker has it; None for no limit.
        stop_patience: see `STOP_PATIENCE`.
        evaluator: "module:Class" of the evaluator, importable by the workers.
        environment: variables set for the workers beside this process's own.
    """

    def __init__(
        self,
        size: int,
        log_folder: Path,
        memory_limit: int | None = None,
        time_limit: float | None = None,
        *,
        stop_patience: float = STOP_PATIENCE,
        evaluator: str = FINE_TUNING,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        if size < 1:
            raise ValueError(f"a pool needs at least one worker, not {size}")
        self.size = size
        self._log_folder = log_folder.resolve()
        self._log_folder.mkdir(parents=True, exist_ok=True)
        self._memory_limit, self._time_limit, self._stop_patience = memory_limit, time_limit, stop_patience
        self._evaluator = evaluator
        self._environment = {**os.environ, **(environment or {})}
        self._devices = cuda_devices(self._environment) if size > 1 else ()
        self._lock = threading.RLock()
        self._slots = [_Slot(index) for index in range(size)]
        self._waiting: deque[EvaluationRequest] = deque()
        self._events: queue.SimpleQueue[PoolEvent] = queue.SimpleQueue()
        self._running: set[str] = set()
        self._closing = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="pool-limits", daemon=True)
        self._watcher.start()
        with self._lock:
            self._start(size)

    # What the owner calls

    def submit(self, request: EvaluationRequest) -> None:
        with self._lock:
            if self._closing.is_set():
                raise RuntimeError("the pool is closed")
            if request.evaluation in self._running:
                raise ValueError(f"evaluation {request.evaluation!r} is already running")
            self._running.add(request.evaluation)
            self._waiting.append(request)
            self._dispatch()

    def running(self) -> frozenset[str]:
        with self._lock:
            return frozenset(self._running)

    def poll(self, timeout: float) -> list[PoolEvent]:
        events: list[PoolEvent] = []
        with suppress(queue.Empty):
            events.append(self._events.get(timeout=max(0.0, timeout)))
            while True:
                events.append(self._events.get_nowait())
        with self._lock:
            self._running.difference_update(event.evaluation for event in events if not isinstance(event, Progressed))
        return events

    def stop(self, evaluation: str) -> None:
        with self._lock:
            for request in self._waiting:
                if request.evaluation == evaluation:
                    self._waiting.remove(request)
                    self._events.put(Stopped(evaluation))
                    return
            for slot in self._slots:
                if slot.run is not None and slot.run.evaluation == evaluation and slot.run.stop_by is None:
                    assert slot.worker is not None
                    slot.run.stop_by = time.monotonic() + self._stop_patience
                    slot.worker.send(Stop(evaluation=evaluation))

    def logs(self, evaluation: str) -> str:
        return tail(log_of(self._log_folder, evaluation))

    def close(self) -> None:
        with self._lock:
            self._closing.set()
            while self._waiting:
                self._events.put(Stopped(self._waiting.popleft().evaluation))
            workers = [slot.worker for slot in self._slots if slot.worker is not None]
            for slot in self._slots:
                if slot.run is not None:
                    slot.run.end = slot.run.end or Stopped(slot.run.evaluation)
        for worker in workers:
            worker.kill()
        for worker in workers:
            worker.join()
        self._watcher.join()

    # Workers; the caller holds the lock

    def _start(self, most: int) -> None:
        """Start workers in empty slots, at most so many."""
        for slot in [slot for slot in self._slots if slot.state == "empty"][: max(0, most)]:
            try:
                slot.worker = WorkerProcess(
                    ["--evaluator", self._evaluator],
                    self._log_folder / f"worker-{slot.index}.log",
                    self._environment | device_of(slot.index, self._devices),
                    partial(self._take, slot),
                    partial(self._bury, slot),
                )
            except OSError as error:
                self._fail_abandoned(f"no worker could be started: {error}")
                return
            slot.state = "starting"
            slot.worker.watch()

    def _dispatch(self) -> None:
        """Give waiting evaluations to ready workers, and start workers for those that then still wait."""
        for slot in self._slots:
            if self._waiting and slot.state == "ready" and slot.run is None:
                assert slot.worker is not None
                request = self._waiting.popleft()
                slot.run = _Run(request.evaluation, time.monotonic())
                slot.worker.send(Evaluate(request=request, log=str(log_of(self._log_folder, request.evaluation))))
        self._start(len(self._waiting) - sum(slot.state == "starting" for slot in self._slots))

    def _fail_abandoned(self, message: str) -> None:
        """With no worker left that could come to them, the waiting evaluations end; a later one tries anew."""
        if all(slot.state == "empty" for slot in self._slots):
            while self._waiting:
                self._events.put(Failed(self._waiting.popleft().evaluation, "worker-died", message))

    # What the workers' threads and the watcher call

    def _take(self, slot: _Slot, worker: WorkerProcess, event: Event) -> None:
        with self._lock:
            if slot.worker is not worker:
                return
            match event:
                case Ready():
                    slot.state = "ready"
                    self._dispatch()
                case EvaluationProgress(evaluation=evaluation, progress=progress):
                    self._events.put(Progressed(evaluation, progress))
                case EvaluationResult(evaluation=evaluation, measurement=measurement):
                    self._end(slot, Finished(evaluation, measurement))
                case EvaluationFailure(evaluation=evaluation, reason=reason, message=message):
                    self._end(slot, Failed(evaluation, reason, message))
                case EvaluationStop(evaluation=evaluation):
                    self._end(slot, Stopped(evaluation))

    def _end(self, slot: _Slot, end: PoolEvent) -> None:
        slot.run = None
        self._events.put(end)
        self._dispatch()

    def _bury(self, slot: _Slot, worker: WorkerProcess, cause: str) -> None:
        """A worker has ended, and its evaluation with it; another takes its place."""
        with self._lock:
            run, started = slot.run, slot.state != "starting"
            slot.worker, slot.state, slot.run = None, "empty", None
            if run is not None:
                story = _story(cause, self.logs(run.evaluation))
                self._events.put(run.end or Failed(run.evaluation, "worker-died", story))
            if not started:
                # Not started again here: one that cannot start would be started for ever.
                self._fail_abandoned(_story(cause, tail(worker.log)))
            elif not self._closing.is_set():
                self._start(0 if run is None else 1)
                self._dispatch()

    def _watch(self) -> None:
        while not self._closing.wait(WATCH_SECONDS):
            for slot in self._slots:
                with self._lock:
                    worker, run = slot.worker, slot.run
                if worker is None:
                    continue
                used = worker.memory() if run is not None and self._memory_limit is not None else 0
                with self._lock:
                    passed = slot.worker is worker and slot.run is run and self._past_limit(slot, used)
                    if passed:
                        slot.state = "dying"
                if passed:
                    worker.kill()
                trim(worker.log if run is None else log_of(self._log_folder, run.evaluation))

    def _past_limit(self, slot: _Slot, used: int) -> bool:
        """Whether a slot's worker is to be killed; its run then knows how it ends. `used` is its memory in bytes."""
        now, run = time.monotonic(), slot.run
        if run is None:
            return slot.state == "starting" and slot.worker is not None and now > slot.worker.started + STARTUP_SECONDS
        if run.stop_by is not None and now > run.stop_by:
            run.end = Stopped(run.evaluation)
        elif self._time_limit is not None and now > run.started + self._time_limit:
            message = f"took longer than the limit of {self._time_limit:g} s; take fewer steps, or raise the limit."
            run.end = Failed(run.evaluation, "time-limit", message)
        elif self._memory_limit is not None and used > self._memory_limit:
            message = (
                f"held {used // MIB} MiB, above the limit of {self._memory_limit // MIB} MiB; "
                "lower the batch size or max_length, or raise the limit."
            )
            run.end = Failed(run.evaluation, "memory-limit", message)
        return run.end is not None


def _story(cause: str, log: str) -> str:
    """What a failure says about a dead worker: why it ended, and the end of its log."""
    return "\n".join([f"the worker process died: {cause}.", *log.splitlines()[-MESSAGE_LINES:]])
