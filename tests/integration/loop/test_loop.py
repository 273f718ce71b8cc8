"""Whole jobs through the loop, the local pool and the store, on evaluations whose result is a formula."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from evaluator.examine import TaskExaminer
from evaluator.pool.local import LocalPool
from search.job import JobSpec
from search.ledger import Ledger, Trial
from search.objectives import Objectives
from search.pareto import hypervolume, non_dominated
from search.service import Service, owner_name
from search.submission import prepare
from storage.artifacts import ArtifactStore
from storage.errors import StoreUnavailable
from storage.open import open_store
from storage.records import JobRecord
from storage.states import TrialState
from storage.store import Store

HERE = Path(__file__).parent
RUNGS = (2, 6, 18)


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


@pytest.fixture
def setting(tmp_path: Path, tiny_models: dict[str, Path], tiny_data: Path) -> Iterator[Setting]:
    made = Setting(tmp_path, tiny_models["bert"], tiny_data)
    yield made
    made.store.close()


def wait_until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    """Wait for a condition that another process brings about."""
    tick = threading.Event()
    deadline = datetime.now(UTC) + timedelta(seconds=seconds)
    while not condition():
        assert datetime.now(UTC) < deadline, "the condition never came about"
        tick.wait(0.02)


def test_a_job_runs_to_a_front_that_its_evaluations_bear_out(setting: Setting) -> None:
    job = setting.run(setting.submit())
    assert (job.state, job.reason) == ("completed", "all 6 trials are sampled")
    trials = setting.store.all_trials(job.id)
    assert sum(trial.kind == "search" for trial in trials) == 6
    assert {trial.state for trial in trials} <= {"completed", "pruned"}

    done = setting.completed(job)
    assert len(done) == len(set(done))
    objectives = Objectives.model_validate(job.context["objectives"])
    front = job.progress["front"]
    points = {point["trial"]: point for point in front["points"]}
    rows = np.array([objectives.minimised(point["objectives"]) for point in points.values()])
    expected = {number for number, kept in zip(points, non_dominated(rows), strict=True) if kept}
    assert {number for number, point in points.items() if point["on_front"]} == expected
    assert front["hypervolume"] == pytest.approx(hypervolume(rows, objectives.reference))
    assert front["knee"] in expected
    for point in points.values():
        full = [
            record
            for record in setting.store.evaluations(job.id, point["trial"])
            if record.stop_step == 18 and record.state == "completed"
        ]
        fresh = [record for record in full if record.purpose != "rung"] or full
        mean = np.mean([record.measurement["metrics"]["accuracy"] for record in fresh])  # type: ignore[index]
        assert point["objectives"]["accuracy"] == pytest.approx(float(mean))
        assert point["fresh"] == (fresh != full or point["kind"] == "baseline")
        (trial,) = [each for each in trials if each.number == point["trial"]]
        assert trial.summary["accuracy"] == pytest.approx(float(mean))


def test_what_objectives_and_constraints_name_is_asked_for_and_nothing_else(setting: Setting, tmp_path: Path) -> None:
    text = tmp_path / "general.txt"
    text.write_text("\n".join(f"the river rose after {days} days" for days in range(20)))
    job = setting.submit(
        task={"data": {"path": str(setting.data)}, "max_length": 16, "general_text": str(text)},
        objectives=[{"metric": "quality"}, {"metric": "forgetting"}],
        constraints=[{"metric": "calibration_error", "max": 0.99}],
        budget={"trials": 2, "steps": 18},
        finalists={"count": 1, "seeds": 1},
    )
    job = setting.run(job)
    assert job.state == "completed"
    found = [set((record.measurement or {})["metrics"]) for record in setting.store.evaluations(job.id)]
    assert all({"forgetting", "calibration_error"} <= metrics for metrics in found)
    assert not any({"memorisation_gap", "merged_latency"} & metrics for metrics in found)
    assert all("forgetting" in point["objectives"] for point in job.progress["front"]["points"])


def test_rungs_continue_from_checkpoints_that_go_when_the_job_ends(setting: Setting) -> None:
    job = setting.run(setting.submit())
    folder = setting.job_folder(job)
    for number, purpose, step, _ in setting.completed(job):
        if purpose == "rung" and step > RUNGS[0]:
            below = RUNGS[RUNGS.index(step) - 1]
            assert (number, "rung", below, 0) in setting.completed(job)
    assert not (folder / "checkpoints").exists()
    assert not any((folder / "adapters").iterdir())


def test_finalists_and_baselines_have_fresh_seeds_test_metrics_and_a_kept_adapter(setting: Setting) -> None:
    job = setting.run(setting.submit())
    again = [
        record for record in setting.store.evaluations(job.id) if record.purpose != "rung" and record.fidelity == 1
    ]
    assert {record.seed for record in again} == {1, 2}
    assert {record.purpose for record in again} == {"finalist", "baseline"}
    for record in again:
        assert record.measurement is not None
        assert record.measurement["test_metrics"]
        (adapter,) = record.artifacts
        assert setting.artifacts.path(adapter.digest).stat().st_size == adapter.size


def test_a_baseline_trains_in_full_with_its_best_learning_rate_only(setting: Setting) -> None:
    job = setting.run(setting.submit())
    by_name: dict[str, list[tuple[float, str]]] = {}
    for trial in setting.store.all_trials(job.id):
        if trial.kind == "baseline" and trial.name != "head-only":
            first = setting.store.evaluations(job.id, trial.number)[0]
            assert first.measurement is not None
            by_name.setdefault(str(trial.name), []).append((first.measurement["metrics"]["loss"], trial.state))
    assert set(by_name) == {"lora-r8-query-value", "serial-adapter", "lora-r8-all-linear", "full-fine-tuning"}
    for candidates in by_name.values():
        assert [state for _, state in sorted(candidates)] == ["completed", "pruned", "pruned"]


def test_a_failed_evaluation_is_data_and_the_job_goes_on(setting: Setting) -> None:
    job = setting.submit(space={"methods": ["lora", "dora"], "rank": [1, 2, 4]}, budget={"trials": 8, "steps": 18})
    (setting.job_folder(job) / "fail-dora").touch()
    job = setting.run(job)
    assert job.state == "completed"
    search = [trial for trial in setting.store.all_trials(job.id) if trial.kind == "search"]
    failed = [trial for trial in search if trial.state == "failed"]
    assert failed
    assert {trial.plan["entries"][0]["method"] for trial in failed} == {"dora"}
    assert {trial.failure["reason"] for trial in failed if trial.failure} == {"nan"}
    assert all(len(setting.store.evaluations(job.id, trial.number)) == 1 for trial in failed)


def test_runs_that_fail_side_by_side_cost_their_trial_only(setting: Setting) -> None:
    """The head alone trains two seeds at once; the first to fail must not end the other, nor the job."""
    job = setting.submit()
    (setting.job_folder(job) / "fail-reported").touch()
    job = setting.run(job)
    assert job.state == "completed"
    trials = setting.store.all_trials(job.id)
    head = next(trial for trial in trials if trial.name == "head-only")
    assert (head.state, head.failure) == (
        "failed",
        {"reason": "memory-limit", "message": "it takes more memory than a worker may use"},
    )
    assert [run.state for run in setting.store.evaluations(job.id, head.number)] == ["failed", "failed"]
    search = [trial for trial in trials if trial.kind == "search"]
    assert "failed" not in {trial.state for trial in search}
    assert any(run.state == "failed" for trial in search for run in setting.store.evaluations(job.id, trial.number))


def test_one_rung_chooses_learning_rates_by_runs_that_no_point_shows(setting: Setting) -> None:
    job = setting.run(setting.submit(fidelity={"rungs": [1.0]}))
    shown = [point for point in job.progress["front"]["points"] if point["kind"] == "baseline"]
    names = [point["name"] for point in shown]
    assert sorted(names) == sorted(job.progress["baselines"])
    assert {point["seeds"] for point in shown} == {2}
    chosen_by = [each for each in setting.store.evaluations(job.id) if each.purpose == "rung"]
    assert all(each.measurement is not None and not each.measurement["test_metrics"] for each in chosen_by)


def test_a_trial_whose_owner_ended_between_two_changes_is_settled_by_the_next(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = setting.submit(baselines=False)
    set_trial, refused = Ledger.set_trial, 0

    def killed_once(ledger: Ledger, trial: Trial, state: TrialState, **changes: Any) -> None:
        nonlocal refused
        if changes.get("summary") and not refused:
            refused += 1
            raise StoreUnavailable("away for a moment")
        set_trial(ledger, trial, state, **changes)

    monkeypatch.setattr(Ledger, "set_trial", killed_once)
    setting.run(job)
    assert refused == 1
    monkeypatch.undo()
    job = setting.run(job)
    assert job.state == "completed"
    assert all(trial.summary for trial in setting.store.all_trials(job.id))


def test_what_is_timed_is_measured_alone(setting: Setting) -> None:
    job = setting.run(setting.submit(objectives=[{"metric": "quality"}, {"metric": "step_seconds"}]))
    assert job.state == "completed"
    beside = (setting.job_folder(job) / "beside.txt").read_text().split()
    assert len(beside) > 6
    assert set(beside) == {"0"}


def test_baselines_are_those_of_the_first_start(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    job = setting.submit()
    (setting.job_folder(job) / "hold").touch()
    with setting.service() as service:
        claimed = setting.store.claim_job(service.owner, 30)
        assert claimed is not None
        service.run(claimed, lambda: "leave" if "baselines" in setting.store.job(job.id).progress else None)
    (setting.job_folder(job) / "hold").unlink()
    monkeypatch.setattr("search.baselines.FULL_FINE_TUNING_BYTES", 1 << 60)
    job = setting.run(job)
    assert "full-fine-tuning" in job.progress["baselines"]
    assert "full-fine-tuning" in {point["name"] for point in job.progress["front"]["points"]}


def test_a_dead_worker_costs_an_attempt_and_nothing_else(setting: Setting) -> None:
    job = setting.submit(baselines=False)
    hold = setting.job_folder(job) / "hold"
    hold.touch()
    with setting.service(workers=1) as service:
        claimed = setting.store.claim_job(service.owner, 30)
        assert claimed is not None
        runner = threading.Thread(target=service.run, args=(claimed, lambda: None))
        runner.start()
        journal = setting.job_folder(job) / "journal.txt"
        wait_until(journal.exists)
        for child in psutil.Process().children():
            if "analytic_evaluator:AnalyticEvaluator" in child.cmdline():
                child.kill()
        hold.unlink()
        runner.join()
    assert setting.store.job(job.id).state == "completed"
    first = setting.store.evaluations(job.id)[0]
    assert (first.state, first.attempt) == ("completed", 2)
    assert first.failure is not None
    assert first.failure["reason"] == "worker-died"


def test_pause_and_resume_lose_nothing(setting: Setting) -> None:
    job = setting.submit()
    (setting.job_folder(job) / "hold").touch()
    with setting.service() as service:
        claimed = setting.store.claim_job(service.owner, 30)
        assert claimed is not None
        runner = threading.Thread(target=service.run, args=(claimed, lambda: None))
        runner.start()
        wait_until(lambda: any(each.state == "running" for each in setting.store.evaluations(job.id)))
        setting.store.request(job.id, "pause")
        runner.join()
    paused = setting.store.job(job.id)
    assert paused.state == "paused"
    assert "running" not in {each.state for each in setting.store.evaluations(job.id)}
    (setting.job_folder(job) / "hold").unlink()
    setting.store.request(job.id, "resume")
    job = setting.run(job)
    assert job.state == "completed"
    assert len([trial for trial in setting.store.all_trials(job.id) if trial.kind == "search"]) == 6
    assert "cancelled" not in {trial.state for trial in setting.store.all_trials(job.id)}


def test_cancel_ends_what_runs_and_keeps_what_is_known(setting: Setting) -> None:
    job = setting.submit()
    (setting.job_folder(job) / "hold").touch()
    with setting.service() as service:
        claimed = setting.store.claim_job(service.owner, 30)
        assert claimed is not None
        runner = threading.Thread(target=service.run, args=(claimed, lambda: None))
        runner.start()
        wait_until(lambda: any(each.state == "running" for each in setting.store.evaluations(job.id)))
        setting.store.request(job.id, "cancel")
        runner.join()
    assert setting.store.job(job.id).state == "cancelled"
    assert {"queued", "running"}.isdisjoint(each.state for each in setting.store.evaluations(job.id))
    assert not (setting.job_folder(job) / "checkpoints").exists()


def test_minutes_end_a_job_whose_evaluations_do_not(setting: Setting) -> None:
    job = setting.submit(budget={"trials": 6, "steps": 18, "minutes": 0.02})
    (setting.job_folder(job) / "hold").touch()
    job = setting.run(job)
    assert job.state == "completed"
    assert "0.02 minutes" in str(job.reason)
    assert {trial.state for trial in setting.store.all_trials(job.id)} == {"cancelled"}


def test_a_job_whose_data_is_gone_fails_with_the_reason(setting: Setting, tmp_path: Path) -> None:
    copy = tmp_path / "copy.csv"
    copy.write_bytes(setting.data.read_bytes())
    setting.data = copy
    job = setting.submit()
    copy.unlink()
    checkpoints = setting.job_folder(job) / "checkpoints"
    checkpoints.mkdir()
    job = setting.run(job)
    assert job.state == "failed"
    assert "task.data.path" in str(job.reason)
    assert not checkpoints.exists()


def test_a_job_whose_data_changed_since_its_submission_fails_with_the_reason(setting: Setting, tmp_path: Path) -> None:
    copy = tmp_path / "copy.csv"
    copy.write_bytes(setting.data.read_bytes())
    setting.data = copy
    job = setting.submit()
    first, *rows = copy.read_text().splitlines()
    copy.write_text("\n".join([first, *reversed(rows)]) + "\n")
    job = setting.run(job)
    assert job.state == "failed"
    assert "task.data.path" in str(job.reason)
    assert "submit" in str(job.reason)


def test_an_idle_loop_process_removes_what_deleted_jobs_left(setting: Setting) -> None:
    adapter = setting.artifacts.path(setting.artifacts.put_bytes(b"adapter").digest)
    os.utime(adapter, (0, 0))
    ending = threading.Event()
    with setting.service(workers=1) as service:
        serving = threading.Thread(target=service.serve, args=(ending,))
        serving.start()
        try:
            wait_until(lambda: not adapter.exists())
        finally:
            ending.set()
            serving.join()


@pytest.mark.parametrize("after", [1, 5, 12])
def test_a_killed_loop_goes_on_with_nothing_lost_or_counted_twice(setting: Setting, after: int) -> None:
    job = setting.submit()
    command = [sys.executable, str(HERE / "serve_jobs.py"), str(setting.folder), "2"]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[2])}
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        wait_until(lambda: len(setting.completed(job)) >= after)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    before = {record.id: record for record in setting.store.evaluations(job.id) if record.state == "completed"}
    assert len(before) >= after
    # the dead owner's lease is still good; to the store's next clock it has run out
    setting.store.close()
    setting.store = open_store(
        f"sqlite:///{setting.folder / 'paretune.db'}", now=lambda: datetime.now(UTC) + timedelta(hours=1)
    )
    job = setting.run(job)
    assert job.state == "completed"
    after_all = {record.id: record for record in setting.store.evaluations(job.id)}
    for identifier, record in before.items():
        assert after_all[identifier] == record
    done = setting.completed(job)
    assert len(done) == len(set(done))
    runs = Counter(line.split()[0] for line in (setting.job_folder(job) / "journal.txt").read_text().splitlines())
    assert all(runs[identifier] == record.attempt for identifier, record in before.items())
    assert len([trial for trial in setting.store.all_trials(job.id) if trial.kind == "search"]) == 6


def test_a_disk_that_is_nearly_full_pauses_the_job_before_anything_is_lost(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = setting.submit(baselines=False)
    with monkeypatch.context() as patch:
        patch.setattr("search.loop.RESERVED_BYTES", 1 << 62)
        paused = setting.run(job)
    assert paused.state == "paused"
    assert str(setting.job_folder(job)) in str(paused.reason)
    assert "free space there, then resume" in str(paused.reason)
    setting.store.request(job.id, "resume")
    assert setting.run(job).state == "completed"


def test_an_evaluation_that_meets_a_full_disk_costs_no_trial(setting: Setting) -> None:
    job = setting.submit(baselines=False)
    full = setting.job_folder(job) / "disk-is-full"
    full.touch()
    paused = setting.run(job)
    assert paused.state == "paused"
    assert "is full" in str(paused.reason)
    assert not {trial.state for trial in setting.store.all_trials(job.id)} & {"failed", "cancelled"}
    full.unlink()
    setting.store.request(job.id, "resume")
    assert setting.run(job).state == "completed"
    assert {trial.state for trial in setting.store.all_trials(job.id)} <= {"completed", "pruned"}
    done = setting.completed(job)
    assert len(done) == len(set(done))


def test_artifacts_that_cannot_be_written_pause_the_job(setting: Setting) -> None:
    job = setting.submit(baselines=False)
    folder = setting.artifacts.folder
    folder.rmdir()
    folder.touch()  # a file where the folder should be
    paused = setting.run(job)
    assert (paused.state, str(folder) in str(paused.reason)) == ("paused", True)
    folder.unlink()
    folder.mkdir()
    setting.store.request(job.id, "resume")
    assert setting.run(job).state == "completed"
    done = setting.completed(job)
    assert len(done) == len(set(done))


def test_a_store_that_cannot_be_written_for_a_while_is_waited_for(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a full disk: what was found meanwhile is found again, and the same process goes on."""
    job = setting.submit(baselines=False)
    monkeypatch.setattr("search.service.STORE_SECONDS", 0.01)
    write, refused, written = type(setting.store)._write, 0, 0

    @contextmanager
    def full_for_a_while(store: Store) -> Iterator[Any]:
        nonlocal refused, written
        if written >= 30 and refused < 50:
            refused += 1
            raise StoreUnavailable("database or disk is full: free space")
        written += 1
        with write(store) as session:
            yield session

    monkeypatch.setattr(type(setting.store), "_write", full_for_a_while)
    ending = threading.Event()
    with setting.service() as service:
        serving = threading.Thread(target=service.serve, args=(ending,))
        serving.start()
        try:
            wait_until(lambda: setting.store.job(job.id).state == "completed")
        finally:
            ending.set()
            serving.join()
    assert refused == 50
    done = setting.completed(job)
    assert len(done) == len(set(done))
    assert {trial.state for trial in setting.store.all_trials(job.id)} <= {"completed", "pruned"}


class EndlessScorer:
    """Scores until nobody waits for it any more."""

    def __init__(self) -> None:
        self.asked, self.left = threading.Event(), threading.Event()

    def score(self, *arguments: Any) -> Any:
        abandoned = arguments[-1]
        self.asked.set()
        wait_until(abandoned)
        self.left.set()
        raise RuntimeError("left")


@pytest.mark.parametrize(
    ("how", "state"), [("cancel", "cancelled"), ("pause", "paused"), ("Ctrl-C", "paused"), ("leave", "queued")]
)
def test_a_job_ends_while_its_sites_are_scored(setting: Setting, how: str, state: str) -> None:
    space = {"methods": ["lora"], "rank": [1, 2], "sparsity": [0.5], "allocator": ["sensitivity"]}
    job = setting.submit(space=space, baselines=False)
    scorer, stopping = EndlessScorer(), threading.Event()
    ending = "leave" if how == "leave" else "pause"
    with setting.service(workers=1) as service:
        claimed = setting.store.claim_job(service.owner, 30)
        assert claimed is not None
        runner = threading.Thread(
            target=replace(service, scorer=scorer).run, args=(claimed, lambda: ending if stopping.is_set() else None)
        )
        runner.start()
        assert scorer.asked.wait(120)
        if how in ("cancel", "pause"):
            setting.store.request(job.id, how)  # type: ignore[arg-type]
        else:
            stopping.set()
        runner.join()
        assert scorer.left.wait(120)
    assert setting.store.job(job.id).state == state


def test_an_earlier_front_is_trained_in_full_on_another_task(setting: Setting) -> None:
    lora = {"preset": "lora"}
    earlier = setting.run(setting.submit(space=lora, budget={"trials": 8, "steps": 18}, baselines=False))
    job = setting.submit(
        space=lora,
        budget={"trials": 3, "steps": 24},
        transfer={"jobs": [earlier.id], "only": True},
    )
    setting.store.delete_job(earlier.id)
    ended = setting.run(job)
    assert ended.state == "completed"
    trials = [trial for trial in setting.store.all_trials(job.id) if trial.kind == "search"]
    assert 0 < len(trials) <= 3
    wanted = {(trial.number, "rung", 24, seed) for trial in trials for seed in (1, 2)}
    assert {
        each for each in setting.completed(job) if each[1] == "rung" and each[0] in {t.number for t in trials}
    } == wanted
    points = {point["trial"]: point for point in ended.progress["front"]["points"]}
    for trial in trials:
        assert trial.strategy == f"transfer: front of {earlier.id}"
        assert points[trial.number]["seeds"] == 2
        assert "accuracy" in points[trial.number]["test"]
    (source,) = ended.progress["transfer"]
    assert source["job"] == earlier.id
    if len(trials) < 3:
        assert ended.reason == "the sources' fronts hold no further configuration"


def test_a_killed_transfer_goes_on_with_the_points_that_are_left(setting: Setting) -> None:
    earlier = setting.run(setting.submit(budget={"trials": 6, "steps": 18}, baselines=False))
    job = setting.submit(transfer={"jobs": [earlier.id], "warm_start": 2}, baselines=False)
    with setting.service() as service:
        claimed = setting.store.claim_job(service.owner, 30)
        assert claimed is not None
        left = service.run(claimed, lambda: "leave" if setting.store.all_trials(job.id) else None)
        assert left.state == "queued"
    begun = setting.store.all_trials(job.id)
    ended = setting.run(job)
    trials = setting.store.all_trials(job.id)
    assert [trials[each.number].key for each in begun] == [each.key for each in begun]
    assert [trial.strategy.startswith("transfer") for trial in trials] == [True, True, *[False] * 4]
    assert ended.progress["transfer"][0]["verdicts"][0]["trials"] == 6
