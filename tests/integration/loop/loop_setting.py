"""A job in a data folder of its own, on evaluations whose result is a formula, and waiting for another process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from evaluator.examine import TaskExaminer
from evaluator.pool.local import LocalPool
from search.job import JobSpec
from search.service import Service, owner_name
from search.submission import prepare
from storage.artifacts import ArtifactStore
from storage.open import open_store
from storage.records import JobRecord
from storage.store import Store

HERE = Path(__file__).parent


class Setting:
    """A data folder with a store, and a job in it."""

    def __init__(self, folder: Path, model: Path, data: Path) -> None:
        self.folder = folder
        self.model = model
        self.data = data
        self.store: Store = open_store(f"sqlite:///{folder / 'paretune.db'}")
        self.artifacts = ArtifactStore(folder / "artifacts")

    def submit(self, **fields: Any) -> JobRecord:
        spec = JobSpec.model_validate(
            {
                "model": {"path": str(self.model)},
                "task": {"data": {"path": str(self.data)}, "max_length": 16},
                "space": {"preset": "tiny"},
                "budget": {"trials": 6, "steps": 18},
                "finalists": {"count": 2, "seeds": 2},
                "sampler": {"name": "random"},
                **fields,
            }
        )
        prepared = prepare(spec, TaskExaminer(), self.store)
        job, _ = self.store.create_job(prepared.spec.model_dump(mode="json"), prepared.context())
        return job

    def job_folder(self, job: JobRecord) -> Path:
        folder = self.folder / "jobs" / job.id
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @contextmanager
    def service(self, workers: int = 2) -> Iterator[Service]:
        pool = LocalPool(
            workers,
            self.folder / "logs",
            evaluator="analytic_evaluator:AnalyticEvaluator",
            environment={"PYTHONPATH": f"{HERE}:{HERE.parents[2]}"},
        )
        try:
            yield Service(self.store, self.artifacts, pool, TaskExaminer(), self.folder, owner_name())
        finally:
            pool.close()

    def run(self, job: JobRecord, workers: int = 2) -> JobRecord:
        with self.service(workers) as service:
            claimed = self.store.claim_job(service.owner, 30)
            assert claimed is not None
            assert claimed.id == job.id
            return service.run(claimed, lambda: None)

    def completed(self, job: JobRecord) -> list[tuple[int, str, int, int]]:
        return [
            (record.trial_number, record.purpose, record.stop_step, record.seed)
            for record in self.store.evaluations(job.id)
            if record.state == "completed"
        ]


def wait_until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    """Wait for a condition that another process brings about."""
    tick = threading.Event()
    deadline = datetime.now(UTC) + timedelta(seconds=seconds)
    while not condition():
        assert datetime.now(UTC) < deadline, "the condition never came about"
        tick.wait(0.02)
