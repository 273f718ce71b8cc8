"""The loop's process: take jobs one after another, run each, go on with what another process left."""

from __future__ import annotations

import logging
import math
import os
import socket
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Protocol, TypeVar

import psutil

from evaluator.data.split import make_split
from evaluator.pool.pool import Pool
from evaluator.task import ModelSpec, TaskSpec, Training
from search.baselines import Baseline, baselines
from search.ledger import Ledger
from search.loop import FREE_AND_RESUME, Ending, Loop, NoSpace
from search.samplers import create
from search.submission import Prepared, restore
from search.tidy import ENDED, drop_checkpoints, tidy
from space.errors import FieldError
from space.scores import ScoreTable
from storage.artifacts import NO_SPACE, ArtifactStore
from storage.errors import ArtifactError, LeaseLost, StoreUnavailable
from storage.records import JobRecord
from storage.states import JobAction, JobEnd
from storage.store import Store

log = logging.getLogger(__name__)

LEASE_SECONDS = 20.0
"""How long a killed loop's job waits for another; heartbeats come three times as often."""
IDLE_SECONDS = 0.5
STORE_SECONDS = 2.0
"""Between two tries to write to a store that could not be written."""
SCORING_BATCHES = 8
"""Batches that sites are scored on."""
LOOK_SECONDS = 0.5
"""Between two looks, while a job is prepared, whether it is to end."""

TIDY_SECONDS = 3600.0
"""Between two tidyings of a process that has no job."""

T = TypeVar("T")


def owner_name() -> str:
    """A name that no other process has or will have."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


class Scorer(Protocol):
    """What scores sites: `evaluator.inspector.Inspector`."""

    def score(
        self,
        model: ModelSpec,
        task: TaskSpec,
        training: Training,
        split_file: str,
        seed: int,
        batches: int,
        abandoned: Callable[[], bool],
    ) -> ScoreTable:
        """Raises whatever it likes once `abandoned` says that nobody waits for the scores any more."""
        ...


class _ToEnd(Exception):
    """The job is to end before its loop has begun."""

    def __init__(self, how: JobAction | Ending) -> None:
        super().__init__(how)
        self.how = how


@dataclass(frozen=True)
class Service:
    """What running jobs takes."""

    store: Store
    artifacts: ArtifactStore
    pool: Pool
    scorer: Scorer
    data_dir: Path
    owner: str

    def serve(self, ending: threading.Event) -> None:
        """Run jobs until `ending` is set; the job at hand is handed back to the queue. A store that cannot be written
        (a full disk, a database that is away) is waited for.
        """
        next_tidying = monotonic()
        while not ending.is_set():
            try:
                job = self.store.claim_job(self.owner, LEASE_SECONDS)
                if job is None and monotonic() >= next_tidying:
                    next_tidying = monotonic() + TIDY_SECONDS
                    self.tidy()
            except StoreUnavailable as error:
                log.error("no job can be taken: %s", error)
                ending.wait(STORE_SECONDS)
                continue
            if job is None:
                ending.wait(IDLE_SECONDS)
                continue
            self.run(job, lambda: "leave" if ending.is_set() else None)

    def tidy(self) -> None:
        """Remove files that no job needs any more; see `search.tidy`."""
        try:
            removed = tidy(self.store, self.artifacts, self.data_dir / "jobs")
        except (OSError, ArtifactError, StoreUnavailable) as error:
            log.warning("files of deleted jobs could not be removed: %s", error)
        else:
            if removed:
                log.info("removed %d artifacts of deleted jobs", len(removed))

    def run(self, job: JobRecord, asked_to_end: Callable[[], Ending | None]) -> JobRecord:
        """Run one claimed job to its end; a job that cannot run fails with the reason, and the process lives on. A job
        that has ended keeps no checkpoints.

        A full disk pauses the job with the reason. When it is the store that cannot be written, the job goes on by
        itself once it can be.
        """
        left = self._run(job, asked_to_end)
        if left.state in ENDED:
            drop_checkpoints(self.data_dir / "jobs" / job.id)
        return left

    def _run(self, job: JobRecord, asked_to_end: Callable[[], Ending | None]) -> JobRecord:
        heart = _Heart(self.store, job.id, self.owner)
        heart.start()
        try:
            return self._loop(job, asked_to_end).run()
        except _ToEnd as asked:
            return self._end_early(job, asked, asked_to_end)
        except LeaseLost:
            log.warning("job %s was taken over by another process", job.id)
            return self.store.job(job.id)
        except StoreUnavailable as error:
            log.error("job %s waits for its store: %s", job.id, error)
            return self._written(job, lambda: self.store.release_job(job.id, self.owner), asked_to_end)
        except (NoSpace, ArtifactError) as error:
            log.error("job %s is paused: %s", job.id, error)
            return self._end(job, "paused", str(error), asked_to_end)
        except FieldError as error:
            return self._end(job, "failed", str(error), asked_to_end)
        except Exception as error:
            if isinstance(error, OSError) and error.errno in NO_SPACE:
                log.error("job %s is paused: %s", job.id, error)
                return self._end(job, "paused", f"{error}; {FREE_AND_RESUME}", asked_to_end)
            log.exception("job %s failed", job.id)
            return self._end(job, "failed", f"{type(error).__name__}: {error}", asked_to_end)
        finally:
            heart.stop()

    def _end_early(self, job: JobRecord, asked: _ToEnd, asked_to_end: Callable[[], Ending | None]) -> JobRecord:
        match asked.how:
            case "cancel":
                return self._end(job, "cancelled", "cancelled by the user", asked_to_end)
            case "pause":
                return self._end(job, "paused", "paused by the user", asked_to_end)
            case _:
                return self._written(job, lambda: self.store.release_job(job.id, self.owner), asked_to_end)

    def _end(self, job: JobRecord, state: JobEnd, reason: str, asked_to_end: Callable[[], Ending | None]) -> JobRecord:
        return self._written(job, lambda: self.store.end_job(job.id, self.owner, state, reason), asked_to_end)

    def _written(
        self, job: JobRecord, write: Callable[[], JobRecord], asked_to_end: Callable[[], Ending | None]
    ) -> JobRecord:
        """The job as `write` leaves it, tried until the store can be written; as it was when this process is to end
        first: its next owner then finds it by the lease that ran out."""
        wait = threading.Event()
        told = ""
        while True:
            try:
                return write()
            except LeaseLost:
                return self.store.job(job.id)
            except StoreUnavailable as error:
                if asked_to_end() is not None:
                    return job
                if str(error) != told:
                    told = str(error)
                    log.error("job %s cannot be written; trying every %g s: %s", job.id, STORE_SECONDS, error)
                wait.wait(STORE_SECONDS)

    def _loop(self, job: JobRecord, asked_to_end: Callable[[], Ending | None]) -> Loop:
        prepared = restore(job.spec, job.context)
        spec = prepared.spec
        folder = self.data_dir / "jobs" / job.id
        folder.mkdir(parents=True, exist_ok=True)
        split_file = folder / "split.json"
        if not split_file.exists():
            split = self._awaited(job, asked_to_end, lambda _: make_split(spec.task))
            if split.content_hash != prepared.inspection.content_hash:
                raise FieldError("task.data.path", "the file changed since the job was submitted; submit it again")
            split.save(split_file)
        space = prepared.space
        if space.needs_scores:
            space = space.with_scores(self._scores(job, prepared, split_file, asked_to_end))
        transfer = prepared.transfer(space)
        return Loop(
            spec=spec,
            space=space,
            objectives=prepared.objectives,
            sampler=create(
                spec.sampler.name,
                space,
                prepared.objectives,
                spec.sampler.seed,
                spec.budget.trials,
                spec.sampler.surrogate,
                transfer,
            ),
            transfer=transfer,
            baselines=self._baselines(job, prepared),
            ledger=Ledger(self.store, job, self.owner, LEASE_SECONDS),
            pool=self.pool,
            artifacts=self.artifacts,
            folder=folder,
            asked_to_end=asked_to_end,
        )

    def _awaited(
        self, job: JobRecord, asked_to_end: Callable[[], Ending | None], work: Callable[[Callable[[], bool]], T]
    ) -> T:
        """What `work` gives. It runs in a thread of its own, which is left behind when the job is to end before it is
        done; `work` gets a function that says so.

        Raises:
            _ToEnd: the job is to end.
        """
        abandoned = threading.Event()
        result: Future[T] = Future()

        def run() -> None:
            try:
                result.set_result(work(abandoned.is_set))
            except BaseException as error:
                result.set_exception(error)

        threading.Thread(target=run, name="preparing", daemon=True).start()
        while True:
            how = self.store.job(job.id).requested or asked_to_end()
            if how is not None:
                abandoned.set()
                raise _ToEnd(how)
            if wait([result], LOOK_SECONDS).done:
                return result.result()

    def _baselines(self, job: JobRecord, prepared: Prepared) -> list[Baseline]:
        """Chosen once, by the memory that is free when the job first runs, and kept with it."""
        spec = prepared.spec
        if not spec.baselines:
            return []
        stored = job.progress.get("baselines")
        if stored is not None:
            return [each for each in baselines(prepared.table, math.inf)[0] if each.name in stored]
        free = psutil.virtual_memory().available // max(1, min(spec.workers, self.pool.size))
        chosen, left_out = baselines(prepared.table, free)
        progress = {"baselines": [each.name for each in chosen], "baselines_left_out": left_out}
        self.store.update_job(job.id, self.owner, progress=progress)
        return chosen

    def _scores(
        self, job: JobRecord, prepared: Prepared, split_file: Path, asked_to_end: Callable[[], Ending | None]
    ) -> ScoreTable:
        """The job's score table, computed once and kept with it."""
        stored = job.context.get("scores")
        if stored is not None:
            return ScoreTable.model_validate(stored)
        spec = prepared.spec
        scores = self._awaited(
            job,
            asked_to_end,
            lambda abandoned: self.scorer.score(
                spec.model, spec.task, spec.training, str(split_file), spec.sampler.seed, SCORING_BATCHES, abandoned
            ),
        )
        self.store.update_job(job.id, self.owner, context={"scores": scores.model_dump(mode="json")})
        return scores


class _Heart(threading.Thread):
    """Keeps a job's lease while its loop prepares, asks or waits on a disk; the loop itself keeps the evaluations'."""

    def __init__(self, store: Store, job_id: str, owner: str) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self._store = store
        self._job_id = job_id
        self._owner = owner
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.wait(LEASE_SECONDS / 3):
            try:
                self._store.heartbeat_job(self._job_id, self._owner, LEASE_SECONDS)
            except LeaseLost:
                return
            except StoreUnavailable as error:
                log.warning("the lease of job %s could not be extended: %s", self._job_id, error)

    def stop(self) -> None:
        self._stopped.set()
        self.join()
