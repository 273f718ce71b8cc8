"""A job as an Optuna study: read back by Optuna alone, it has the job's trials and its front."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import optuna
import optuna_dashboard
import pytest
from optuna.study import StudyDirection
from optuna.trial import TrialState

from api.services import Services
from evaluator.evaluate import Measurement, Progress
from search.front import build_front
from search.front_report import report
from search.ledger import Ledger
from search.samplers import create
from search.submission import restore
from space.configuration import Configuration
from space.resolve import resolve
from storage.store import Store

Invoke = Callable[..., Any]
OWNER, LEASE = "tests", 600.0


@pytest.fixture
def spec(spec: dict[str, Any]) -> dict[str, Any]:
    """A conditional space, with a limit that some trials break."""
    space = {"methods": ["lora", "serial-adapter"], "size": {"lora": [1, 2, 4]}, "layers": "bits"}
    constraints = [{"metric": "adapter_bytes", "max": 3000}]
    return {**spec, "space": space, "constraints": constraints, "budget": {"trials": 8, "steps": 10}}


@pytest.fixture
def running(services: Services, submitted: str) -> str:
    """A job in the middle of its search: trials at full length, one that left the ladder, one failed, one running, one
    waiting, and a baseline."""
    store = services.store
    job = store.claim_job(OWNER, LEASE)
    assert job is not None
    prepared = restore(job.spec, job.context)
    ledger = Ledger(store, job, OWNER, LEASE)
    for number in range(8):
        proposals = create("sobol", prepared.space, prepared.objectives, 0).ask(ledger.history(), 1)
        ledger.add_proposals(proposals, [prepared.space.plan(each.point) for each in proposals])
        trial = ledger.trials[number]
        if number == 7:
            break
        rungs = (0.5, 1.0) if number < 4 else (0.5,)
        for fidelity in rungs:
            record = ledger.start(trial, "rung", fidelity, round(10 * fidelity), 0)
            if number == 5:
                ledger.fail(record, "nan", "the loss is not a number", False)
            elif number != 6:
                ledger.finish(record, measured(trial.plan.trainable_parameters, fidelity), {})
        if number == 5:
            ledger.set_trial(trial, "failed", failure={"reason": "nan", "message": "the loss is not a number"})
        elif number < 5:
            summary = {**measured(trial.plan.trainable_parameters, rungs[-1]).metrics, "fidelity": rungs[-1]}
            ledger.set_trial(trial, "completed" if number < 4 else "pruned", summary=summary)
    head = Configuration()
    ledger.add_baseline("head-only", [(head, resolve(head, prepared.table), {})], "hand-made")
    baseline = ledger.trials[8]
    ledger.finish(ledger.start(baseline, "baseline", 1.0, 10, 40), measured(0, 1.0), {})
    ledger.set_trial(baseline, "completed", summary=measured(0, 1.0).metrics)
    front = report(build_front(list(ledger.trials.values()), prepared.objectives, 10), seed=0)
    ledger.update(progress={"phase": "searching", "front": {**front, "history": []}, "sampled": 8})
    return job.id


def measured(parameters: int, fidelity: float) -> Measurement:
    """More parameters are better, up to a point, and cost bytes."""
    values = {
        "accuracy": 0.5 + 0.3 * fidelity * parameters / (parameters + 300) - 1e-5 * parameters,
        "loss": 1 - 0.5 * fidelity,
        "trainable_parameters": float(parameters),
        "adapter_bytes": 4.0 * parameters,
    }
    curve = (Progress(step=round(10 * fidelity), loss=0.7, validation={"accuracy": values["accuracy"]}),)
    return Measurement(step=round(10 * fidelity), metrics=values, curve=curve)


def exported(invoke: Invoke, job: str, path: Path) -> optuna.Study:
    said = invoke("export", job, "--format", "optuna", "--output", str(path)).stdout
    assert f"sqlite:///{path}" in said.replace("\n", "")
    return optuna.load_study(study_name=None, storage=f"sqlite:///{path}")


def test_the_study_is_the_job(invoke: Invoke, running: str, store: Store, tmp_path: Path) -> None:
    study = exported(invoke, running, tmp_path / "study.db")
    assert study.directions == [StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE]
    assert study.metric_names == ["accuracy", "trainable_parameters"]
    assert study.study_name == f"topics ({running})"
    assert study.user_attrs["paretune_job"] == running
    states = ["COMPLETE", "COMPLETE", "COMPLETE", "COMPLETE", "PRUNED", "FAIL", "RUNNING", "WAITING", "COMPLETE"]
    assert [trial.state for trial in study.trials] == [TrialState[name] for name in states]
    for trial, record in zip(study.trials, store.all_trials(running), strict=True):
        assert trial.number == record.number
        assert trial.params == record.point
        assert trial.user_attrs["plan_key"] == record.key
        assert trial.user_attrs["strategy"] == record.strategy
        assert trial.user_attrs.get("rung") == record.summary.get("fidelity")
        if record.ended_at is not None:
            ended = datetime.fromtimestamp(record.ended_at.timestamp())
            assert trial.datetime_complete == ended
    full, left, failed = study.trials[0], study.trials[4], study.trials[5]
    assert full.values == pytest.approx([full.user_attrs["measured"][name] for name in study.metric_names])
    assert "of 2 layers" in full.user_attrs["configuration"] or "all" in full.user_attrs["configuration"]
    assert full.user_attrs["curve"][0]["step"] == 10
    assert left.user_attrs["measured"]["fidelity"] == 0.5
    assert failed.user_attrs["failure"]["reason"] == "nan"
    assert study.trials[8].user_attrs["baseline"] == "head-only"
    assert not any(trial.intermediate_values for trial in study.trials)


def test_the_pareto_front_is_the_jobs_own(invoke: Invoke, running: str, tmp_path: Path) -> None:
    """Trials beyond the limit are told to Optuna as infeasible, and so is where the limit is."""
    study = exported(invoke, running, tmp_path / "study.db")
    front = json.loads(invoke("front", running, "--json").stdout)
    best = sorted(trial.number for trial in study.best_trials)
    assert best == sorted(point["trial"] for point in front["points"])
    assert len(best) >= 2
    done = [trial for trial in study.trials if trial.state == TrialState.COMPLETE]
    assert study.user_attrs["constraints"] == ["adapter_bytes <= 3000"]
    for trial in done:
        assert list(trial.constraints.values()) == [trial.user_attrs["measured"]["adapter_bytes"] - 3000]
    assert any(trial.constraints["0"] > 0 for trial in done)
    assert study.user_attrs["knee"] == front["knee"]


def test_optuna_dashboard_opens_it(invoke: Invoke, running: str, tmp_path: Path) -> None:
    """What its own server answers: every trial as the study has it. Its list of best trials looks at no constraint; its
    plot of the front does, by the trials' own."""
    study = exported(invoke, running, tmp_path / "study.db")
    dashboard = optuna_dashboard.wsgi(f"sqlite:///{tmp_path / 'study.db'}")

    def answer(path: str) -> Any:
        request: dict[str, Any] = {"PATH_INFO": path}
        setup_testing_defaults(request)
        return json.loads(b"".join(dashboard(request, lambda *_: None)))

    (listed,) = answer("/api/studies")["study_summaries"]
    assert listed["study_name"] == study.study_name
    shown = answer(f"/api/studies/{listed['study_id']}")
    assert shown["objective_names"] == study.metric_names
    assert [trial["state"].upper() for trial in shown["trials"]] == [trial.state.name for trial in study.trials]
    assert [trial.get("values") for trial in shown["trials"]] == [trial.values for trial in study.trials]
    assert [trial["constraints"] for trial in shown["trials"]] == [
        list(trial.constraints.values()) for trial in study.trials
    ]
    assert {trial["number"] for trial in shown["best_trials"]} >= {trial.number for trial in study.best_trials}


def test_a_job_with_one_objective_keeps_its_curve(
    invoke: Invoke, spec: dict[str, Any], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    spec["objectives"] = [{"metric": "accuracy"}]
    running = request.getfixturevalue("running")
    study = exported(invoke, running, tmp_path / "study.db")
    assert list(study.trials[0].intermediate_values) == [5, 10]
    assert study.best_trial.number in (0, 1, 2, 3, 8)


def test_exporting_again_replaces_the_copy(invoke: Invoke, running: str, tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    for _ in range(2):
        assert len(exported(invoke, running, path).trials) == 9
    assert len(optuna.get_all_study_summaries(f"sqlite:///{path}")) == 1


def test_nothing_else_is_overwritten(invoke: Invoke, running: str, tmp_path: Path, services: Services) -> None:
    """Neither a study that is not the job's, nor a file of something else, nor Paretune's own database."""
    path = tmp_path / "mine.db"
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    optuna.create_study(study_name=f"topics ({running})", storage=f"sqlite:///{path}")
    other = tmp_path / "notes.txt"
    other.write_text("not a database " * 100)
    cases = {
        str(path): "not of this job",
        str(other): "cannot be written as a study",
        str(services.settings.data_dir / "paretune.db"): "a database of something else",
        str(tmp_path / "no" / "study.db"): "cannot be written as a study",
        "postgres-typo://user:secret@host/db": "the URL cannot be written as a study",
        "nosuchbase://user:secret@host/db": "nosuchbase://user:***@host/db cannot be written as a study",
    }
    for output, message in cases.items():
        said = invoke("export", running, "--format", "optuna", "--output", output, code=1).stderr
        assert message in " ".join(said.split()), said
        assert "secret" not in said
    assert sqlite3.connect(services.settings.data_dir / "paretune.db").execute("select count(*) from jobs").fetchone()
    assert "--trial" in invoke("export", running, "--format", "optuna", "--trial", "0", code=1).stderr
