"""The worker process: `python -m evaluator.worker --evaluator module:Class`.

It loads an evaluator (for a pool) or an examiner (for the inspector) once and keeps it warm, takes commands as JSON
lines on standard input, does them one at a time on the main thread and answers with events (`evaluator.messages`). A
second thread reads the commands, so that a stop arrives while an evaluation runs, and so that the worker ends with its
children the moment its owner is gone.

What evaluators and their libraries print goes to the log: the two pipes are moved away from standard input and output
before anything else is loaded.
"""

from __future__ import annotations

import argparse
import errno
import faulthandler
import importlib
import os
import queue
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from evaluator.environment import WORKER
from evaluator.evaluate import EvaluationFailed, EvaluationStopped, Evaluator, FailureReason
from evaluator.inspection import Examiner
from evaluator.messages import (
    Command,
    Evaluate,
    EvaluationFailure,
    EvaluationProgress,
    EvaluationResult,
    EvaluationStop,
    Event,
    Inspect,
    InspectionAnswer,
    Ready,
    Refusal,
    Score,
    ScoreAnswer,
    Stop,
    read_command,
    to_line,
)
from evaluator.pool.process_tree import end_own_tree
from space.errors import FieldError


class Owner:
    """The process at the other end of the pipes: its commands come in, events go out."""

    def __init__(self) -> None:
        commands, events = _claim_pipes()
        self._commands: BinaryIO = os.fdopen(commands, "rb")
        self._events: BinaryIO = os.fdopen(events, "wb")
        self._sending = threading.Lock()
        self._stops: dict[str, threading.Event] = {}
        self.work: queue.SimpleQueue[Evaluate | Inspect | Score] = queue.SimpleQueue()
        threading.Thread(target=self._read, name="commands", daemon=True).start()

    def send(self, event: Event) -> None:
        with self._sending:
            self._events.write(to_line(event))
            self._events.flush()

    def stop_of(self, evaluation: str) -> threading.Event:
        """Set once the owner wants `evaluation` to end."""
        return self._stops[evaluation]

    def forget(self, evaluation: str) -> None:
        self._stops.pop(evaluation, None)

    def _read(self) -> None:
        try:
            for line in self._commands:
                self._take(read_command(line))
        except Exception:
            traceback.print_exc()
        # The pipe closed: the owner is gone, or wants us gone.
        end_own_tree()

    def _take(self, command: Command) -> None:
        match command:
            case Stop(evaluation=evaluation):
                if (stop := self._stops.get(evaluation)) is not None:
                    stop.set()
            case Evaluate(request=request):
                self._stops[request.evaluation] = threading.Event()
                self.work.put(command)
            case _:
                self.work.put(command)


def serve(owner: Owner, evaluator: Evaluator | None, examiner: Examiner | None) -> None:
    """Do the owner's commands one after the other; ends with the process."""
    owner.send(Ready())
    while True:
        match owner.work.get():
            case Evaluate() as command:
                if evaluator is None:
                    raise SystemExit("an evaluation was sent to a worker that was started without --evaluator")
                event = _evaluate(owner, evaluator, command)
                owner.forget(command.request.evaluation)
                owner.send(event)
            case (Inspect() | Score()) as call:
                if examiner is None:
                    raise SystemExit("an inspection was sent to a worker that was started without --examiner")
                owner.send(_examine(examiner, call))


def _evaluate(owner: Owner, evaluator: Evaluator, command: Evaluate) -> Event:
    request, evaluation = command.request, command.request.evaluation
    try:
        with printing_to(command.log):
            try:
                measurement = evaluator.evaluate(
                    request,
                    lambda progress: owner.send(EvaluationProgress(evaluation=evaluation, progress=progress)),
                    owner.stop_of(evaluation).is_set,
                )
            except (EvaluationStopped, EvaluationFailed):
                raise
            except (Exception, SystemExit):
                traceback.print_exc()
                raise
    except EvaluationStopped:
        return EvaluationStop(evaluation=evaluation)
    except EvaluationFailed as failure:
        return EvaluationFailure(evaluation=evaluation, reason=failure.reason, message=failure.message)
    except (Exception, SystemExit) as error:
        return EvaluationFailure(evaluation=evaluation, reason=_reason(error), message=_describe(error))
    return EvaluationResult(evaluation=evaluation, measurement=measurement)


def _examine(examiner: Examiner, call: Inspect | Score) -> Event:
    try:
        if isinstance(call, Inspect):
            return InspectionAnswer(call=call.call, inspection=examiner.inspect(call.model, call.task))
        scores = examiner.score(call.model, call.task, call.training, call.split_file, call.seed, call.batches)
        return ScoreAnswer(call=call.call, scores=scores)
    except FieldError as error:
        return Refusal(call=call.call, field=error.field, message=error.message)
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        return Refusal(call=call.call, field=None, message=_describe(error))


def _reason(error: BaseException) -> FailureReason:
    if isinstance(error, FieldError):
        return "invalid"
    # torch.OutOfMemoryError, by its name: the worker does not load torch, its evaluator does.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "out-of-memory"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "out-of-disk"
    return "error"


def _describe(error: BaseException) -> str:
    return str(error) if isinstance(error, FieldError) else f"{type(error).__name__}: {error}"


@contextmanager
def printing_to(log: str) -> Iterator[None]:
    """Append what this process and its children print, from C code as well, to `log`."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(2)
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    target = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.dup2(target, 1)
        os.dup2(target, 2)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(kept, 1)
        os.dup2(kept, 2)
        os.close(target)
        os.close(kept)


def _claim_pipes() -> tuple[int, int]:
    """Move the pipes off standard input and output, out of the reach of prints and of child processes."""
    commands, events = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)

    def release() -> None:
        os.close(commands)
        os.close(events)

    os.register_at_fork(after_in_child=release)
    return commands, events


def _load(name: str | None) -> Any:
    """An instance of the class that "module:Class" names."""
    if name is None:
        return None
    module, _, attribute = name.partition(":")
    loaded = getattr(importlib.import_module(module), attribute)()
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(1)
    return loaded


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m evaluator.worker", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--evaluator", metavar="MODULE:CLASS", help="runs evaluations")
    parser.add_argument("--examiner", metavar="MODULE:CLASS", help="inspects models and tasks")
    arguments = parser.parse_args()
    os.environ.update(WORKER)
    faulthandler.enable()
    owner = Owner()
    try:
        serve(owner, _load(arguments.evaluator), _load(arguments.examiner))
    except BaseException:
        traceback.print_exc()
        # Not an ordinary exit: that would wait for the thread that reads commands.
        os._exit(1)


if __name__ == "__main__":
    main()
