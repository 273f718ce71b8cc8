"""Jobs that end before their trials do, by a user or by a death, and what the next owner makes of them."""

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

import psutil
import pytest
from loop_setting import Setting, wait_until

from search.ledger import Ledger, Trial
from search.loop import Ending
from search.service import Service
from storage.errors import StoreUnavailable
from storage.open import open_store
from storage.records import JobRecord
from storage.states import JobRequest, TrialState

HERE = Path(__file__).parent


@contextmanager
def running(
    setting: Setting, service: Service, asked_to_end: Callable[[], Ending | None] = lambda: None
) -> Iterator[None]:
    """The setting's job runs in a thread of its own; on leaving, its end is waited for."""
    claimed = setting.store.claim_job(service.owner, 30)
    assert claimed is not None
    runner = threading.Thread(target=service.run, args=(claimed, asked_to_end))
    runner.start()
    yield
    runner.join()


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
    with setting.service(workers=1) as service, running(setting, service):
        journal = setting.job_folder(job) / "journal.txt"
        wait_until(journal.exists)
        for child in psutil.Process().children():
            if "analytic_evaluator:AnalyticEvaluator" in child.cmdline():
                child.kill()
        hold.unlink()
    assert setting.store.job(job.id).state == "completed"
    first = setting.store.evaluations(job.id)[0]
    assert (first.state, first.attempt) == ("completed", 2)
    assert first.failure is not None
    assert first.failure["reason"] == "worker-died"


def asked_while_running(setting: Setting, request: JobRequest) -> JobRecord:
    """A job that was asked for `request` while an evaluation of it ran, as its owner then left it."""
    job = setting.submit()
    (setting.job_folder(job) / "hold").touch()
    with setting.service() as service, running(setting, service):
        wait_until(lambda: any(each.state == "running" for each in setting.store.evaluations(job.id)))
        setting.store.request(job.id, request)
    return setting.store.job(job.id)


def test_pause_and_resume_lose_nothing(setting: Setting) -> None:
    job = asked_while_running(setting, "pause")
    assert job.state == "paused"
    assert "running" not in {each.state for each in setting.store.evaluations(job.id)}
    (setting.job_folder(job) / "hold").unlink()
    setting.store.request(job.id, "resume")
    job = setting.run(job)
    assert job.state == "completed"
    assert len([trial for trial in setting.store.all_trials(job.id) if trial.kind == "search"]) == 6
    assert "cancelled" not in {trial.state for trial in setting.store.all_trials(job.id)}


def test_cancel_ends_what_runs_and_keeps_what_is_known(setting: Setting) -> None:
    job = asked_while_running(setting, "cancel")
    assert job.state == "cancelled"
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
        with running(setting, replace(service, scorer=scorer), lambda: ending if stopping.is_set() else None):
            assert scorer.asked.wait(120)
            if how in ("cancel", "pause"):
                setting.store.request(job.id, how)  # type: ignore[arg-type]
            else:
                stopping.set()
        assert scorer.left.wait(120)
    assert setting.store.job(job.id).state == state
