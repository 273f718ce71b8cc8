"""The loop process as the web process keeps it: started, watched, started again with back-off, ended with us."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from time import monotonic

from api.settings import Settings, child_environment
from evaluator.environment import REPEATABLE
from search.loop import ABANDON_SECONDS

log = logging.getLogger(__name__)

COMMAND = (sys.executable, "-m", "api.loop")
FIRST_DELAY = 1.0
LONGEST_DELAY = 60.0
HEALTHY_SECONDS = 60.0
"""A process that lived so long starts again after the first delay: its death is news, not a repetition."""
GRACE_SECONDS = ABANDON_SECONDS + 30.0
"""The loop stops evaluations between two steps, or abandons them, and then hands its job back."""
KILL_SECONDS = 10.0
"""What a process that did not end in its grace gets once it is terminated."""


class LoopProcess:
    """Keeps one child process alive from `start` to `stop`.

    The child reads its standard input only to learn that this process is gone: the system closes the pipe even when we
    are killed. It runs in a session of its own, so that Ctrl-C reaches this process alone, which then ends it in order.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        command: Sequence[str] = COMMAND,
        *,
        first_delay: float = FIRST_DELAY,
        grace: float = GRACE_SECONDS,
    ) -> None:
        self._environment = dict(environment)
        self._command = tuple(command)
        self._first_delay = first_delay
        self._grace = grace
        self._ending = threading.Event()
        self._changed = threading.Condition()
        self._process: subprocess.Popen[bytes] | None = None
        self._starts = 0
        self._thread = threading.Thread(target=self._keep, name="supervisor", daemon=True)

    @classmethod
    def of(cls, settings: Settings) -> LoopProcess:
        """The loop process of these settings; the suggestions' linear algebra gets one thread, as the workers do."""
        return cls({**REPEATABLE, **child_environment(settings)})

    def start(self) -> None:
        self._thread.start()

    def alive(self) -> bool:
        process = self._process
        return process is not None and process.poll() is None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def wait_for_start(self, count: int, timeout: float) -> bool:
        """Wait until the child has been started `count` times in all; False when it was not by then."""
        with self._changed:
            return self._changed.wait_for(lambda: self._starts >= count, timeout)

    def stop(self) -> None:
        """End the child: it is asked by closing its standard input, then terminated, then killed. Idempotent."""
        self._ending.set()
        with self._changed:
            process = self._process
        if process is not None:
            self._end(process)
        if self._thread.ident is not None:
            self._thread.join()

    def _keep(self) -> None:
        delay = self._first_delay
        while not self._ending.is_set():
            began = monotonic()
            process = self._spawn()
            code = process.wait()
            if process.stdin is not None:
                process.stdin.close()
            if self._ending.is_set():
                return
            delay = self._first_delay if monotonic() - began >= HEALTHY_SECONDS else delay
            log.error("the loop process ended with code %d; starting it again in %.0f s", code, delay)
            self._ending.wait(delay)
            delay = min(2 * delay, LONGEST_DELAY)

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self._changed:
            self._process = subprocess.Popen(  # noqa: S603 - this program's own command
                self._command, stdin=subprocess.PIPE, env=self._environment, start_new_session=True
            )
            self._starts += 1
            self._changed.notify_all()
            process = self._process
        if self._ending.is_set():  # `stop` may have looked before this process was there
            self._end(process)
        return process

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        if process.stdin is not None:
            process.stdin.close()
        for harder, seconds in ((process.terminate, self._grace), (process.kill, min(self._grace, KILL_SECONDS))):
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                harder()
        process.wait()
