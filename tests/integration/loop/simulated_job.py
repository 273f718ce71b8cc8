"""A whole job in simulated time: the loop, agenda, ladder and store as they are, evaluations a formula."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.synthetic_peft import encoder_table
from evaluator.evaluate import EvaluationRequest, Measurement
from evaluator.pool.replay import ReplayPool
from evaluator.tabular import Replayed
from search.baselines import baselines
from search.job import JobSpec
from search.ledger import Ledger
from search.loop import Loop
from search.objectives import Objectives
from search.samplers import create
from search.samplers.sampler import History, Proposal, Sampler
from space.load import load_space
from space.plan import Plan
from storage.artifacts import ArtifactStore
from storage.open import open_store
from storage.records import EventRecord, JobRecord

LEASE = 3600.0
TABLE = encoder_table(depth=2, hidden=16)
Formula = Callable[[EvaluationRequest], dict[str, float]]


class Killed(BaseException):
    """The owner ends in the middle of what it does; nothing is written after it."""


def drawn(plan: Plan, *what: object) -> float:
    """A number in [0, 1) that is the plan's own."""
    text = f"{plan.key} {' '.join(map(str, what))}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big") / 2**56


class MortalPool(ReplayPool):
    """A pool that its owner can no longer reach once it was killed."""

    killed = False

    def stop(self, evaluation: str) -> None:
        if self.killed:
            raise Killed
        super().stop(evaluation)


class Asked:
    """A sampler that says when it thinks: meanwhile no simulated time passes."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler
        self.idle = threading.Event()
        self.seen: list[History] = []

    def ask(self, history: History, n: int) -> list[Proposal]:
        self.idle.clear()
        self.seen.append(history)
        try:
            return self._sampler.ask(history, n)
        finally:
            self.idle.set()


@dataclass
class SimulatedJob:
    """`metrics` is what an evaluation measures on validation, `test` on the test split. A step takes a second."""

    folder: Path
    spec: JobSpec
    metrics: Formula
    test: Formula = lambda request: {"accuracy": 0.5}
    requests: list[EvaluationRequest] = field(default_factory=list)
    seen: list[History] = field(default_factory=list)
    """What the sampler was shown."""
    owners: int = 0

    def __post_init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.store = open_store(f"sqlite:///{self.folder / 'paretune.db'}", now=lambda: self.now)
        self.space = load_space(self.spec.space, TABLE)
        self.objectives = Objectives.of(self.spec, TABLE, (0.0, 1e5), [0.5, 0.3, 0.2])
        job, _ = self.store.create_job(
            self.spec.model_dump(mode="json"), {"objectives": self.objectives.model_dump(mode="json")}
        )
        self.id = job.id

    def run(self, evaluations: int | None = None) -> JobRecord:
        """Own the job to its end, or until so many evaluations were begun by this owner: then it is killed."""
        self.owners += 1
        owner = f"owner {self.owners}"
        self.now += timedelta(seconds=2 * LEASE)  # what an owner before held has run out
        job = self.store.claim_job(owner, LEASE)
        assert job is not None
        begun = 0

        def answer(request: EvaluationRequest, begin: int) -> Replayed:
            nonlocal begun
            if begun == evaluations:
                pool.killed = True
                raise Killed
            begun += 1
            self.requests.append(request)
            measurement = Measurement(
                step=request.stop_step,
                metrics={"trainable_parameters": float(request.plan.trainable_parameters), **self.metrics(request)},
                test_metrics=self.test(request) if request.test else {},
                total_seconds=float(request.stop_step - begin),
            )
            return Replayed(float(request.stop_step - begin), measurement)

        asked = Asked(create(self.spec.sampler.name, self.space, self.objectives, self.spec.sampler.seed, None))
        pool = MortalPool(self.spec.workers, answer)
        ledger = Ledger(self.store, job, owner, LEASE)
        loop = Loop(
            spec=self.spec,
            space=self.space,
            objectives=self.objectives,
            sampler=asked,
            baselines=baselines(TABLE, 1e12)[0] if self.spec.baselines else (),
            ledger=ledger,
            pool=pool,
            artifacts=ArtifactStore(self.folder / "artifacts"),
            folder=self.folder,
            clock=pool.clock,
        )

        def thinking(timeout: float) -> bool:
            asking = loop.sampling.asking
            if asking:
                asked.idle.wait(timeout)
            return asking

        pool.thinking = thinking
        try:
            return loop.run()
        finally:
            self.seen += asked.seen

    def events(self, kind: str) -> list[EventRecord]:
        return [event for event in self.store.events(self.id, limit=1000) if event.kind == kind]

    def ran(self) -> set[tuple[str, str, int, int]]:
        """Key of the plan, purpose, last step and seed of each completed evaluation."""
        keys = {trial.number: trial.key for trial in self.store.all_trials(self.id)}
        return {
            (keys[record.trial_number], record.purpose, record.stop_step, record.seed)
            for record in self.store.evaluations(self.id)
            if record.state == "completed"
        }


def spec_of(**fields: Any) -> JobSpec:
    return JobSpec.model_validate(
        {
            "model": {"path": "model"},
            "task": {"data": {"path": "rows.jsonl"}, "max_length": 8},
            "space": {"methods": ["lora", "serial-adapter"], "layers": "bits"},
            "budget": {"trials": 10, "steps": 90},
            "fidelity": {"rungs": [0.1, 0.3, 1.0]},
            "sampler": {"name": "random"},
            "finalists": {"count": 2, "seeds": 2},
            "baselines": False,
            **fields,
        }
    )
