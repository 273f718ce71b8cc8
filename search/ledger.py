"""The one translator between the search's objects and the store's records.

A ledger mirrors one job: it reads the job once, and every change goes to the store first and into the mirror after. The
loop that owns the job is its only writer, so mirror and store agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from evaluator.evaluate import Measurement, Progress
from search.samplers.forecast import Standing
from search.samplers.sampler import UNSELECTED, History, Observation, PastTrial, Proposal
from space.configuration import Configuration
from space.encode import Point
from space.plan import Plan
from storage.artifacts import Artifact
from storage.records import EvaluationRecord, JobRecord, NewTrial, TrialRecord
from storage.states import EventKind, JobEnd, Purpose, TrialState
from storage.store import Store

LADDER = "ladder"
"""Attribute of a trial: why it last ran on, or why it was dropped."""
ADAPTER = "adapter"
"""Artifact of an evaluation: the folder that peft saved of what it trained, packed."""
ENDED: frozenset[TrialState] = frozenset({"completed", "pruned", "failed", "cancelled"})


@dataclass
class Trial:
    """One trial with its evaluations."""

    record: TrialRecord
    evaluations: dict[str, EvaluationRecord] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.plan = Plan.model_validate(self.record.plan)
        self.configuration = Configuration.model_validate(self.record.configuration)
        self._parsed: dict[str, Measurement] = {}

    @property
    def number(self) -> int:
        return self.record.number

    @property
    def unselected(self) -> bool:
        """Another job chose it, and none of its runs here had a say."""
        return bool(self.record.attributes.get(UNSELECTED))

    @property
    def ended(self) -> bool:
        return self.record.state in ENDED

    @property
    def active(self) -> bool:
        """An evaluation of it is still to end."""
        return any(record.state in ("queued", "running", "preempted") for record in self.evaluations.values())

    @property
    def reaches_full(self) -> bool:
        """An evaluation of it is, or will be, the full run."""
        return any(record.fidelity == 1.0 for record in self.evaluations.values())

    def runs_to(self, stop_step: int) -> bool:
        """An evaluation of it up to this step is running."""
        return any(record.state == "running" and record.stop_step == stop_step for record in self.evaluations.values())

    def measured_to(self, stop_step: int, *purposes: Purpose) -> bool:
        return any(record.stop_step == stop_step for record, _ in self.measured(*purposes))

    def measured(self, *purposes: Purpose) -> list[tuple[EvaluationRecord, Measurement]]:
        """Completed evaluations of these purposes (all when none is given), shortest first."""
        done = [
            (record, self._measurement(record))
            for record in self.evaluations.values()
            if record.state == "completed" and (not purposes or record.purpose in purposes)
        ]
        return sorted(done, key=lambda pair: (pair[0].stop_step, pair[0].seed))

    def _measurement(self, record: EvaluationRecord) -> Measurement:
        """A completed evaluation's never changes, so it is parsed once: the loop asks for it at every event."""
        if record.id not in self._parsed:
            self._parsed[record.id] = Measurement.model_validate(record.measurement)
        return self._parsed[record.id]

    def evaluation(self, purpose: Purpose, stop_step: int, seed: int) -> EvaluationRecord | None:
        return next(
            (
                record
                for record in self.evaluations.values()
                if (record.purpose, record.stop_step, record.seed) == (purpose, stop_step, seed)
            ),
            None,
        )


def read_trials(store: Store, job_id: str) -> dict[int, Trial]:
    """A job's trials as they are stored, by number; reading them takes no lease."""
    trials = {record.number: Trial(record) for record in store.all_trials(job_id)}
    for evaluation in store.evaluations(job_id):
        if evaluation.trial_number in trials:  # else it was added between the two looks
            trials[evaluation.trial_number].evaluations[evaluation.id] = evaluation
    return trials


def history_of(trials: Iterable[Trial]) -> History:
    """What a sampler sees of these trials: the sampled ones, and beside them the baselines that lie in the space."""
    seen = list(trials)
    search = [trial for trial in seen if trial.record.kind == "search"]
    baselines = [trial for trial in seen if trial.record.kind == "baseline" and trial.record.point]
    return History(tuple(map(_past, search)), tuple(map(_past, baselines)))


def _past(trial: Trial) -> PastTrial:
    observations = tuple(
        Observation(record.fidelity, record.seed, measurement.metrics) for record, measurement in trial.measured()
    )
    state = trial.record.state
    return PastTrial(
        number=trial.number,
        point=trial.record.point,
        configuration=trial.configuration,
        state="failed" if state in ("failed", "cancelled") else "completed" if observations else "running",
        observations=observations,
        attributes={name: value for name, value in trial.record.attributes.items() if name != LADDER},
    )


class Ledger:
    """One job, as its owner keeps it.

    Raises:
        storage.errors.LeaseLost: from every write, once another owner has taken the job.
    """

    def __init__(self, store: Store, job: JobRecord, owner: str, lease_seconds: float) -> None:
        self._store = store
        self._owner = owner
        self._lease_seconds = lease_seconds
        self.job = job
        self.trials: dict[int, Trial] = {}
        self.version = 0
        """Changes of trials and evaluations, so that what is read from all of them can be kept until the next."""
        self._measured_on_rungs = (-1, 0)
        store.release_evaluations(job.id, owner)
        self.trials.update(read_trials(store, job.id))

    # What a sampler sees

    def history(self) -> History:
        """All trials, as a sampler sees them."""
        return history_of(self.trials.values())

    @property
    def measured_on_rungs(self) -> int:
        """Evaluations of sampled trials on rungs that are completed."""
        if self._measured_on_rungs[0] != self.version:
            count = sum(len(trial.measured("rung")) for trial in self.of_kind("search"))
            self._measured_on_rungs = self.version, count
        return self._measured_on_rungs[1]

    def standing(self) -> Standing:
        """Where the sampled trials stand on the ladder."""
        open_trials = [trial for trial in self.of_kind("search") if not trial.ended]
        finishing = [trial.number for trial in open_trials if trial.active and trial.reaches_full]
        waiting = [trial.number for trial in open_trials if not trial.active]
        return Standing(frozenset(waiting), frozenset(finishing))

    def of_kind(self, kind: str) -> list[Trial]:
        return [trial for trial in self.trials.values() if trial.record.kind == kind]

    # Changes

    def add_proposals(self, proposals: Sequence[Proposal], plans: Sequence[Plan]) -> None:
        self._add(
            [
                NewTrial(
                    kind="search",
                    key=plan.key,
                    configuration=proposal.configuration.model_dump(mode="json"),
                    plan=plan.model_dump(mode="json"),
                    point=dict(proposal.point),
                    strategy=proposal.strategy,
                    reason=proposal.reason,
                    attributes=dict(proposal.attributes),
                )
                for proposal, plan in zip(proposals, plans, strict=True)
            ]
        )

    def add_baseline(self, name: str, candidates: Sequence[tuple[Configuration, Plan, Point]], reason: str) -> None:
        """`candidates`: with each one's point, an empty one where it is not in the space."""
        self._add(
            [
                NewTrial(
                    kind="baseline",
                    name=name,
                    key=plan.key,
                    configuration=configuration.model_dump(mode="json"),
                    plan=plan.model_dump(mode="json"),
                    point=point,
                    strategy="baseline",
                    reason=reason,
                )
                for configuration, plan, point in candidates
            ]
        )

    def _add(self, trials: Sequence[NewTrial]) -> None:
        for record in self._store.add_trials(self.job.id, self._owner, trials):
            self.trials[record.number] = Trial(record)
            self.version += 1

    def set_trial(
        self,
        trial: Trial,
        state: TrialState,
        summary: Mapping[str, float] | None = None,
        failure: Mapping[str, Any] | None = None,
        ladder: str | None = None,
    ) -> None:
        """`ladder`: why it runs on or leaves the ladder, in words."""
        trial.record = self._store.set_trial(
            self.job.id,
            self._owner,
            trial.number,
            state,
            summary=None if summary is None else dict(summary),
            failure=None if failure is None else dict(failure),
            attributes=None if ladder is None else {**trial.record.attributes, LADDER: ladder},
        )
        self.version += 1

    def start(self, trial: Trial, purpose: Purpose, fidelity: float, stop_step: int, seed: int) -> EvaluationRecord:
        """Add the evaluation (or find it) and lease it."""
        record = self._store.add_evaluation(
            self.job.id,
            self._owner,
            trial.number,
            purpose=purpose,
            fidelity=fidelity,
            stop_step=stop_step,
            seed=seed,
        )
        record = self._store.lease_evaluation(record.id, self._owner, self._lease_seconds)
        if trial.record.state == "waiting":
            self.set_trial(trial, "running")
        return self._mirror(record)

    def progress(self, record: EvaluationRecord, points: Sequence[Progress]) -> None:
        self._store.record_progress(record.id, record.attempt, [point.model_dump(mode="json") for point in points])

    def finish(
        self, record: EvaluationRecord, measurement: Measurement, artifacts: Mapping[str, Artifact]
    ) -> EvaluationRecord:
        references = [(name, artifact.digest, artifact.size) for name, artifact in artifacts.items()]
        content = measurement.model_dump(mode="json")
        return self._mirror(self._store.finish_evaluation(record.id, record.attempt, content, references))

    def fail(self, record: EvaluationRecord, reason: str, message: str, retry: bool) -> EvaluationRecord:
        return self._mirror(self._store.fail_evaluation(record.id, record.attempt, reason, message, retry))

    def heartbeat(self) -> JobRecord:
        """Keep the job's and its running evaluations' leases; the record says what a user has requested."""
        self.job = self._store.heartbeat_job(self.job.id, self._owner, self._lease_seconds)
        running = [
            record.id
            for trial in self.trials.values()
            for record in trial.evaluations.values()
            if record.state == "running"
        ]
        if running:
            self._store.heartbeat_evaluations(self._owner, running, self._lease_seconds)
        return self.job

    def update(self, progress: Mapping[str, Any], events: Sequence[tuple[EventKind, dict[str, Any]]] = ()) -> None:
        self.job = self._store.update_job(self.job.id, self._owner, progress=dict(progress), events=events)

    def end(self, state: JobEnd, reason: str | None) -> JobRecord:
        self.job = self._store.end_job(self.job.id, self._owner, state, reason)
        return self.job

    def release(self) -> JobRecord:
        """Hand the job back, so that another owner goes on with it at once."""
        self.job = self._store.release_job(self.job.id, self._owner)
        return self.job

    def _mirror(self, record: EvaluationRecord) -> EvaluationRecord:
        self.trials[record.trial_number].evaluations[record.id] = record
        self.version += 1
        return record
