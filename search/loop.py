"""The loop of one job: ask, start, record, publish, stop. One owner a job.

Everything the loop decides is a function of the store's content, so a loop that was killed goes on where it stood: a
finished evaluation is never lost nor counted twice, an unfinished one is run again (or, above the lowest rung,
continued from the checkpoint below it). What runs next is the agenda's to say.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from evaluator.evaluate import RETRYABLE, EvaluationRequest, Progress
from evaluator.pool.pool import Failed, Finished, Pool, PoolEvent, Progressed, Stopped
from search.agenda import Agenda, Next
from search.audit_report import audit_report
from search.baselines import Baseline, point_in
from search.front import build_front
from search.job import JobSpec
from search.ladder import Ladder
from search.ledger import ADAPTER, Ledger, Trial
from search.metrics import METRICS
from search.objectives import Objectives
from search.progress import progress_of
from search.samplers.sampler import Sampler
from search.sampling import Sampling
from search.settlement import settle
from search.timekeeper import Timekeeper
from search.transfer.transfer import Transfer
from space.space import SearchSpace
from storage.artifacts import Artifact, ArtifactStore
from storage.errors import StaleAttempt, StoreError
from storage.records import EvaluationRecord, JobRecord

log = logging.getLogger(__name__)

FREE_AND_RESUME = "free space there, then resume the job"
RESERVED_BYTES = 64 << 20
"""Nothing is started with less free disk than this: what runs, and the store, must be able to write their ends."""
ATTEMPTS = 3
"""Runs of one evaluation, where another can help."""
POLL_SECONDS = 0.5
WAITING_POLL_SECONDS = 0.05
"""While nothing runs but the sampler: a proposal is to start at once."""
ABANDON_SECONDS = 90.0
"""Longer than a pool gives an evaluation to stop by itself before it ends the worker."""
Ending = Literal["pause", "leave"]
"""Why the loop is asked to end: "pause" leaves the job paused, "leave" to the next owner."""


class NoSpace(Exception):
    """The disk is full, or nearly; the message names the folder and the remedy."""


@dataclass
class Loop:
    """All that one job's loop holds. Call `run` once."""

    spec: JobSpec
    space: SearchSpace
    objectives: Objectives
    sampler: Sampler
    baselines: Sequence[Baseline]
    ledger: Ledger
    pool: Pool
    artifacts: ArtifactStore
    folder: Path
    """The job's own: split, checkpoints, adapters on their way to the artifacts."""
    asked_to_end: Callable[[], Ending | None] = lambda: None
    clock: Callable[[], float] = time.monotonic
    transfer: Transfer | None = None
    """Earlier jobs that this one learns from."""
    _running: dict[str, EvaluationRecord] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.full_steps = self.spec.budget.steps
        self.slots = min(self.spec.workers, self.pool.size)
        self.time = Timekeeper(self.spec, self.ledger, self.slots, self.clock)
        self.sampling = Sampling(self.sampler, self.space, self.ledger, self.objectives, self.spec.sampler.seed)
        self._history: list[list[float]] = list(self.ledger.job.progress.get("front", {}).get("history", []))
        """Of the front: elapsed seconds, completed evaluations, hypervolume."""
        self.agenda = Agenda(
            spec=self.spec,
            objectives=self.objectives,
            ladder=Ladder(self.spec.fidelity.steps(self.full_steps), self.objectives),
            baselines=self.baselines,
            ledger=self.ledger,
            sampling=self.sampling,
            time=self.time,
        )
        named = {*self.objectives.names, *(each.metric for each in self.objectives.constraints)}
        self._timed = any(METRICS[name].timing for name in named)
        self._measure = tuple(sorted(name for name in named if METRICS[name].on_request))
        self._deaths: Counter[str] = Counter()
        """Workers that died with an evaluation."""
        self._last_beat = self.clock()

    # The loop

    def run(self) -> JobRecord:
        """Run the job to its end, or until asked to end; returns the job as left in the store.

        Raises:
            storage.errors.LeaseLost: another owner has taken the job.
        """
        self._add_baselines()
        for trial in self.ledger.trials.values():
            if not trial.ended:  # an owner that was killed may have left it between two changes
                self._settle(trial)
        with self.sampling:
            try:
                return self._run()
            finally:
                self._abandon_pool()

    def _run(self) -> JobRecord:
        self._publish("searching")
        while True:
            job = self._beat()
            ending = self.asked_to_end()
            if job.requested == "cancel":
                return self._leave("cancelled", "cancelled by the user")
            if job.requested == "pause" or ending == "pause":
                return self._leave("paused", "paused by the user")
            if ending == "leave":
                self._abandon_pool()
                self._publish("waiting for its next owner")
                return self.ledger.release()
            if self.time.is_up:
                self._abandon_pool()
                return self._complete(f"all {self.spec.budget.minutes:g} minutes are used")
            self.sampling.collect()
            self._fill()
            self._ask()
            if not self._running and not self.sampling.asking and self.agenda.next() is None:
                return self._complete(self.agenda.reason())
            self._record_all(self.pool.poll(POLL_SECONDS if self._running else WAITING_POLL_SECONDS))

    def _beat(self) -> JobRecord:
        now = self.clock()
        if now - self._last_beat >= 1.0:
            self._last_beat = now
            return self.ledger.heartbeat()
        return self.ledger.job

    def _add_baselines(self) -> None:
        present = {trial.record.name for trial in self.ledger.of_kind("baseline")}
        for baseline in self.baselines:
            if baseline.name not in present:
                candidates = [(*each, point_in(self.space, each[0])) for each in baseline.candidates]
                self.ledger.add_baseline(baseline.name, candidates, f"hand-made baseline: {baseline.title}")

    def _ask(self) -> None:
        wanted = self.agenda.proposals_wanted(self.slots - len(self._running))
        if wanted or (self.agenda.awaits_forecasts and not self.sampling.asking):
            self.sampling.ask(wanted)

    # Starting and recording

    def _fill(self) -> None:
        for trial, reason in self.agenda.dropped():
            self.ledger.set_trial(trial, "pruned", ladder=f"dropped: {reason}")
            self._drop_checkpoints(trial)
        while len(self._running) < self.slots and not self._runs_alone(self._running.values()):
            chosen = self.agenda.next()
            if chosen is None or (self._running and self._runs_alone([chosen])):
                return
            if chosen.purpose == "finalist":
                self._leave_ladder()
            self._start(chosen)

    def _runs_alone(self, runs: Iterable[Next | EvaluationRecord]) -> bool:
        """Where timings decide, what is reported is measured with nothing beside it."""
        return self._timed and any(run.purpose != "rung" for run in runs)

    def _end_trial(self, trial: Trial) -> None:
        if trial.measured_to(self.full_steps):
            self.ledger.set_trial(trial, "completed")
        else:
            self.ledger.set_trial(trial, "pruned", ladder=f"dropped: {self.agenda.ladder.why_left(trial)}")

    def _leave_ladder(self) -> None:
        for trial in self.ledger.of_kind("search"):
            if not trial.ended:
                self._end_trial(trial)
                self._drop_checkpoints(trial)

    def _start(self, chosen: Next) -> None:
        free = shutil.disk_usage(self.folder).free
        if free < RESERVED_BYTES:
            raise NoSpace(f"only {free >> 20} MiB are free on the disk of {self.folder}; {FREE_AND_RESUME}")
        record = self.ledger.start(
            chosen.trial, chosen.purpose, chosen.stop_step / self.full_steps, chosen.stop_step, chosen.seed
        )
        if chosen.reason:
            self.ledger.set_trial(chosen.trial, chosen.trial.record.state, ladder=f"runs on: {chosen.reason}")
        self._running[record.id] = record
        request = self._request(chosen, record)
        for target in (request.checkpoint_to, request.adapter_to):
            if target is not None:  # an attempt whose result was lost may have left its files
                shutil.rmtree(target, ignore_errors=True)
        self.pool.submit(request)

    def _request(self, chosen: Next, record: EvaluationRecord) -> EvaluationRequest:
        climbing = chosen.purpose == "rung" and chosen.trial.record.kind == "search"
        below = [step for step in self.agenda.ladder.steps if step < chosen.stop_step]
        resume = self._checkpoint(chosen.trial, below[-1]) if climbing and below else None
        full = chosen.stop_step == self.full_steps
        reported = chosen.purpose != "rung" or self.spec.sources_only
        return EvaluationRequest(
            evaluation=record.id,
            model=self.spec.model,
            task=self.spec.task,
            training=self.spec.training,
            split_file=str(self.folder / "split.json"),
            plan=chosen.trial.plan,
            full_steps=self.full_steps,
            stop_step=chosen.stop_step,
            seed=chosen.seed,
            resume_from=str(resume) if resume is not None and resume.exists() else None,
            checkpoint_to=str(self._checkpoint(chosen.trial, chosen.stop_step)) if climbing and not full else None,
            adapter_to=str(self.folder / "adapters" / record.id) if reported else None,
            test=reported,
            measure=self._measure,
        )

    def _checkpoint(self, trial: Trial, step: int) -> Path:
        return self.folder / "checkpoints" / str(trial.number) / str(step)

    def _drop_checkpoints(self, trial: Trial) -> None:
        shutil.rmtree(self.folder / "checkpoints" / str(trial.number), ignore_errors=True)

    def _record_all(self, events: Sequence[PoolEvent]) -> None:
        """Write what the pool reported; an evaluation's progress in one go, before its end."""
        progress: dict[str, list[Progress]] = {}
        for event in events:
            if isinstance(event, Progressed):
                progress.setdefault(event.evaluation, []).append(event.progress)
        ends = [event for event in events if not isinstance(event, Progressed) and event.evaluation in self._running]
        writes: list[Callable[[], object]] = [
            partial(self.ledger.progress, self._running[evaluation], points)
            for evaluation, points in progress.items()
            if evaluation in self._running
        ]
        writes += [partial(self._end_evaluation, event) for event in ends]
        broken: Exception | None = None
        for write in writes:
            try:
                write()
            except StaleAttempt as error:
                log.warning("a result is dropped: %s", error)
            except (StoreError, NoSpace, OSError) as error:
                # The others' are recorded first, where they can be: the pool tells of an end once.
                broken = broken or error
        if broken is not None:
            raise broken
        if ends:
            self._publish()

    def _end_evaluation(self, event: Finished | Failed | Stopped) -> None:
        record = self._running.pop(event.evaluation)
        match event:
            case Finished(measurement=measurement):
                self.ledger.finish(record, measurement, self._kept(record))
            case Failed(reason="out-of-disk" as reason, message=message):
                # Not the configuration's fault, and every other one would meet the same.
                self.ledger.fail(record, reason, message, retry=True)
                raise NoSpace(f"the disk of {self.folder} is full ({message}); {FREE_AND_RESUME}")
            case Failed(reason=reason, message=message):
                self._deaths[record.id] += 1
                self.ledger.fail(record, reason, message, reason in RETRYABLE and self._deaths[record.id] < ATTEMPTS)
            case Stopped():
                self.ledger.fail(record, "stopped", "its worker was asked to stop", retry=True)
        self._settle(self.ledger.trials[record.trial_number])

    def _kept(self, record: EvaluationRecord) -> dict[str, Artifact]:
        adapter = self.folder / "adapters" / record.id
        if not adapter.exists():
            return {}
        kept = {ADAPTER: self.artifacts.put_folder(adapter)}
        shutil.rmtree(adapter)
        return kept

    def _settle(self, trial: Trial) -> None:
        now = settle(trial, self.objectives, self.full_steps, self.agenda.fresh_seeds)
        if now.state == trial.record.state and now.summary is None:
            return
        self.ledger.set_trial(trial, now.state, summary=now.summary, failure=now.failure)
        if trial.ended:
            self._drop_checkpoints(trial)

    def _publish(self, phase: str | None = None) -> None:
        """Tell the store, and so the user, how far the job is."""
        front = build_front(list(self.ledger.trials.values()), self.objectives, self.full_steps)
        completed = sum(
            record.state == "completed"
            for trial in self.ledger.trials.values()
            for record in trial.evaluations.values()
        )
        if front.points and (not self._history or self._history[-1][1] != completed):
            self._history.append([round(self.time.seconds, 2), completed, front.hypervolume])
        before = self.ledger.job.progress.get("front", {}).get("order")
        progress = {
            "phase": phase or self._phase(),
            "elapsed_seconds": round(self.time.seconds, 3),
            "suggestion_seconds": self.sampling.seconds,
            "audit": self._audit(),
            **progress_of(self.spec, self.ledger, front, self._history),
            **({} if self.transfer is None else {"transfer": self.transfer.report(self.ledger.history())}),
        }
        order = progress["front"]["order"]
        announced = {"trials": order, "hypervolume": front.hypervolume}
        self.ledger.update(events=[("front", announced)] if order != before else [], progress=progress)

    def _audit(self) -> dict[str, Any]:
        agenda = self.agenda
        words = [rise["words"] for rise in agenda.rises]
        return audit_report(agenda.audit, self.ledger.of_kind("search"), agenda.lowest, words)

    def _phase(self) -> str:
        if self.agenda.finalists_begun:
            return "re-running the finalists with fresh seeds"
        return "searching" if self.agenda.can_sample() else "training what can still enter the front"

    # Endings

    def _complete(self, reason: str) -> JobRecord:
        for trial in self.ledger.trials.values():
            if not trial.ended and trial.measured():
                self._end_trial(trial)
            elif not trial.ended:
                self.ledger.set_trial(trial, "cancelled")
        self._publish("completed")
        shutil.rmtree(self.folder / "checkpoints", ignore_errors=True)
        return self.ledger.end("completed", reason)

    def _leave(self, state: Literal["cancelled", "paused"], reason: str) -> JobRecord:
        self._abandon_pool()
        self._publish(state)
        if state == "cancelled":
            shutil.rmtree(self.folder / "checkpoints", ignore_errors=True)
        return self.ledger.end(state, reason)

    def _abandon_pool(self) -> None:
        """Stop what runs and wait until the pool says so; results that still come are recorded, if they can be.

        The pool must be left without this job's evaluations even when the store cannot be written: they run again.
        """
        for evaluation in self._running:
            self.pool.stop(evaluation)
        deadline = self.clock() + ABANDON_SECONDS
        while self._running and self.clock() < deadline:
            events = self.pool.poll(POLL_SECONDS)
            try:
                self._record_all(events)
            except (StoreError, NoSpace, OSError) as error:
                log.warning("a result of job %s could not be recorded: %s", self.ledger.job.id, error)
                for event in events:
                    if not isinstance(event, Progressed):
                        self._running.pop(event.evaluation, None)
