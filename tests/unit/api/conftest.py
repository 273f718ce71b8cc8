"""A service on a real store in a temporary folder. Only the inspector is replaced: the real one needs a tensor library
in a process of its own (`tests/integration/api` runs it)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

import api.wiring
from api.app import create_app
from api.cli import app
from api.services import Services
from api.settings import Settings
from evaluator.evaluate import Measurement
from evaluator.inspection import Inspection
from evaluator.task import ModelSpec, TaskSpec
from search.audit import Audit
from search.audit_report import audit_report
from search.front import build_front
from search.front_report import report
from search.ledger import Ledger
from search.samplers.sampler import Proposal
from search.submission import restore
from space.configuration import Component, Configuration
from space.errors import FieldError
from space.resolve import resolve
from space.sites import Site, SiteTable
from storage.artifacts import ArtifactStore
from storage.open import open_store
from storage.records import JobRecord
from storage.store import Store

OWNER = "tests"
LEASE = 600.0
HIDDEN, DEPTH = 16, 2


def _sites(layer: int) -> list[Site]:
    linear = {
        "attention.query": (HIDDEN, HIDDEN),
        "attention.key": (HIDDEN, HIDDEN),
        "attention.value": (HIDDEN, HIDDEN),
        "attention.output": (HIDDEN, HIDDEN),
        "mlp.up": (HIDDEN, 4 * HIDDEN),
        "mlp.down": (4 * HIDDEN, HIDDEN),
    }
    sites = [
        Site(layer=layer, role=role, kind="linear", in_size=size[0], out_size=size[1], module=f"layer.{layer}.{role}")
        for role, size in linear.items()
    ]
    return sites + [
        Site(layer=layer, role=role, kind="sublayer", in_size=HIDDEN, out_size=HIDDEN, module=f"layer.{layer}.{role}")
        for role in ("attention", "mlp")
    ]


TABLE = SiteTable(
    model_type="bert",
    form="encoder",
    hidden_size=HIDDEN,
    depth=DEPTH,
    heads=2,
    key_value_size=HIDDEN,
    max_positions=64,
    parameters=20_000,
    sites=tuple(site for layer in range(DEPTH) for site in _sites(layer)),
)
INSPECTION = Inspection(
    table=TABLE,
    classes=("news", "sport"),
    class_counts=(60, 40),
    content_hash="0" * 64,
    rows={"train": 70, "validation": 15, "test": 15},
    median_tokens=12,
    longest_tokens=30,
    cut_share=0.0,
    measured_texts=100,
)


@dataclass
class CannedInspector:
    """Answers every question with `INSPECTION`, or with `refusal` once that is set."""

    refusal: FieldError | None = None
    looked: list[str] = field(default_factory=list)

    def inspect(self, model: ModelSpec, task: TaskSpec) -> Inspection:
        self.looked.append(str(model.path))
        if self.refusal is not None:
            raise self.refusal
        return INSPECTION

    def start(self) -> None: ...

    def close(self) -> None: ...


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "model").mkdir()
    (tmp_path / "data.jsonl").write_text('{"text": "rain", "label": "news"}\n')
    return Settings(data_dir=tmp_path / "kept", roots=(tmp_path,), event_interval=0.01, server=None, api_key=None)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with its tables, to copy: making them takes longer than most tests."""
    path = tmp_path_factory.mktemp("database") / "paretune.db"
    open_store(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def store(settings: Settings, empty_database: Path) -> Iterator[Store]:
    settings.data_dir.mkdir()
    shutil.copy(empty_database, settings.data_dir / "paretune.db")
    store = open_store(settings.url)
    yield store
    store.close()


@pytest.fixture
def inspector() -> CannedInspector:
    return CannedInspector()


@pytest.fixture
def services(settings: Settings, store: Store, inspector: CannedInspector) -> Services:
    return Services(settings, store, ArtifactStore(settings.data_dir / "artifacts"), inspector)


@pytest.fixture
def client(settings: Settings, services: Services) -> Iterator[TestClient]:
    app = create_app(settings, services, dashboard=False)
    with TestClient(app, base_url="http://127.0.0.1:8321", raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def spec(tmp_path: Path) -> dict[str, Any]:
    """A job that can be submitted."""
    return {
        "name": "topics",
        "model": {"path": str(tmp_path / "model")},
        "task": {"data": {"path": str(tmp_path / "data.jsonl")}},
        "space": {"methods": ["lora"], "rank": [1, 2], "sites": {"lora": [["attention.query", "attention.value"]]}},
        "budget": {"trials": 4, "steps": 10},
    }


@pytest.fixture
def submitted(client: TestClient, spec: dict[str, Any]) -> str:
    """Id of a queued job."""
    response = client.post("/api/v1/jobs", json=spec)
    assert response.status_code == 201, response.text
    return str(response.json()["id"])


@pytest.fixture
def searched(services: Services, submitted: str) -> Callable[[], JobRecord]:
    """Runs the queued job as the loop does: two sampled trials at full length, one failed, one baseline."""

    def run() -> JobRecord:
        store = services.store
        job = store.claim_job(OWNER, LEASE)
        assert job is not None
        ledger = Ledger(store, job, OWNER, LEASE)
        objectives = restore(job.spec, job.context).objectives
        rates = (1e-3, 2e-3, 3e-3)
        configurations = [
            Configuration(components=(Component(method="lora", size=(rank,)),), learning_rate=rate)
            for rank, rate in zip((1, 2, 2), rates, strict=True)
        ]
        plans = [resolve(each, TABLE) for each in configurations]
        ledger.add_proposals(
            [Proposal({"method": "lora"}, each, "sobol", "fills the space") for each in configurations], plans
        )
        head = Configuration()
        ledger.add_baseline("head-only", [(head, resolve(head, TABLE), {})], "hand-made")
        for number, accuracy in ((0, 0.8), (1, 0.9), (3, 0.7)):
            trial = ledger.trials[number]
            record = ledger.start(trial, "baseline" if number == 3 else "rung", 1.0, 10, 0)
            values = {"accuracy": accuracy, "trainable_parameters": float(trial.plan.trainable_parameters)}
            measurement = Measurement(step=10, metrics=values, curve=())
            ledger.finish(record, measurement, {})
            ledger.set_trial(trial, "completed", summary=values)
        record = ledger.start(ledger.trials[2], "rung", 1.0, 10, 0)
        ledger.fail(record, "nan", "the loss is not a number", False)
        ledger.set_trial(ledger.trials[2], "failed", failure={"reason": "nan", "message": "the loss is not a number"})
        front = report(build_front(list(ledger.trials.values()), objectives, 10), seed=0)
        ledger.update(progress={"phase": "completed", "front": {**front, "history": [[1.5, 3, 0.4]]}, "sampled": 3})
        audit = Audit((3, 10), objectives, seed=0, share=1.0)
        ledger.update(progress={"audit": audit_report(audit, ledger.of_kind("search"), 3, ["the rung at 1% misled"])})
        folder = services.job_folder(job.id)
        folder.mkdir(parents=True)
        folder.joinpath("split.json").write_text("{}")
        return ledger.end("completed", "all trials are done")

    return run


@pytest.fixture
def invoke(settings: Settings, inspector: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Runs a command on the test's data folder."""
    for name in list(os.environ):
        if name.startswith("PARETUNE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PARETUNE_DATA_DIR", str(settings.data_dir))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(api.wiring, "make_inspector", lambda _: inspector)

    def run(*arguments: str, code: int = 0) -> Any:
        result = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert result.exit_code == code, result.output
        return result

    return run
