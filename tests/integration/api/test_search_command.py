"""`paretune search` without a server: Ctrl-C pauses it, and it goes on where it stood."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import pytest
import yaml

from api.events import follow
from api.jobfile import read_job
from api.settings import Settings
from api.wiring import make_services
from search.job import JobSpec
from storage.open import open_store
from storage.store import Store

PATIENCE = 120.0


def hear_interrupts() -> None:
    """A shell without job control starts background processes deaf to Ctrl-C, and their children inherit it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def run(folder: Path, *arguments: str, command: str = "search") -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PARETUNE_")}
    return subprocess.Popen(
        [sys.executable, "-m", "api.cli", command, "--data-dir", str(folder / "kept"), "--workers", "1", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_interrupts,
    )


def wait_for_a_result(store: Store, job_id: str) -> None:
    async def read() -> None:
        async for event in follow(store, job_id, 0, 0.1):
            if event.event == "evaluation" and json.loads(str(event.data))["state"] == "completed":
                return

    anyio.run(read)


@pytest.fixture
def job_file(tmp_path: Path, tiny_models: dict[str, Path]) -> Path:
    rows = [
        {"text": f"{text} {index}", "label": label}
        for index in range(20)
        for text, label in (("the bank cut its forecast", "business"), ("the striker scored", "sport"))
    ]
    (tmp_path / "news.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "model").symlink_to(tiny_models["bert"])
    job = {
        "model": {"path": "model"},
        "task": {"data": {"path": "news.jsonl"}, "max_length": 16},
        "space": {"methods": ["lora"], "rank": [1, 2, 4, 8]},
        "budget": {"trials": 8, "steps": 4},
        "fidelity": {"rungs": [1.0]},
        "sampler": {"name": "random"},
        "finalists": {"count": 0},
        "baselines": False,
    }
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump(job))
    return path


def test_ctrl_c_pauses_and_resume_goes_on(tmp_path: Path, job_file: Path) -> None:
    with run(tmp_path, str(job_file)) as process:
        assert process.stderr is not None
        job_id = process.stderr.readline().split()[1].rstrip(":")
        store = open_store(f"sqlite:///{tmp_path / 'kept' / 'paretune.db'}")
        wait_for_a_result(store, job_id)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, errors
    assert f"paretune search --resume {job_id}" in errors
    assert store.job(job_id).state == "paused"
    before = {trial.number: trial.key for trial in store.all_trials(job_id)}
    assert len(before) < 8

    with run(tmp_path, "--resume", job_id, "--json") as process:
        output, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    assert json.loads(output)["state"] == "completed"
    after = {trial.number: trial.key for trial in store.all_trials(job_id)}
    assert sorted(after) == list(range(8))
    assert before.items() <= after.items()
    store.close()


def test_a_search_on_images(tmp_path: Path, tiny_models: dict[str, Path], tiny_pictures: Path) -> None:
    job = {
        "model": {"path": str(tiny_models["vit"])},
        "task": {"type": "image-classification", "data": {"path": str(tiny_pictures)}, "image": "image"},
        "space": {
            "methods": ["vpt", "lora"],
            "rank": [1, 2],
            "tokens": [1, 2],
            "options": {"vpt": {"depth": ["deep", "shallow"]}},
            "sparsity": [0.5],
            "allocator": ["sensitivity"],
        },
        "budget": {"trials": 4, "steps": 4},
        "fidelity": {"rungs": [0.5, 1.0]},
        "sampler": {"name": "random"},
        "finalists": {"count": 1},
        "baselines": False,
    }
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(job))
    with run(tmp_path, str(tmp_path / "job.yaml"), "--json") as process:
        output, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    found = json.loads(output)
    assert found["state"] == "completed", errors
    store = open_store(f"sqlite:///{tmp_path / 'kept' / 'paretune.db'}")
    trials = store.all_trials(found["id"])
    assert len(trials) == 4
    assert all(trial.state != "failed" for trial in trials)
    store.close()


def test_a_dead_owner_s_job_goes_on_here_once_its_lease_ran_out(tmp_path: Path, job_file: Path) -> None:
    settings = Settings(data_dir=tmp_path / "kept", workers=1)
    services = make_services(settings, trusted=True)
    try:
        job, _ = services.submit(JobSpec.model_validate(read_job(job_file)))
        store = services.store
        assert store.claim_job("killed", 600.0, job.id) is not None
        with run(tmp_path, "--resume", job.id, "--json") as process:
            assert process.stderr is not None
            while "another process" not in (line := process.stderr.readline()):
                assert line, "it never said that it waits"
            store.heartbeat_job(job.id, "killed", 0.001)
            output, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, errors
        assert json.loads(output)["state"] == "completed"
    finally:
        services.close()


def test_an_earlier_front_is_carried_to_another_task(tmp_path: Path, job_file: Path) -> None:
    source = {**yaml.safe_load(job_file.read_text()), "budget": {"trials": 3, "steps": 4}}
    job_file.write_text(yaml.safe_dump(source))
    with run(tmp_path, str(job_file), "--json") as process:
        earlier = json.loads(process.communicate(timeout=PATIENCE)[0])
    assert earlier["state"] == "completed"
    rows = [{"text": f"{text} {index}", "label": text[0]} for index in range(20) for text in ("rain", "voters", "film")]
    (tmp_path / "other.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    target = {**source, "name": "other", "task": {"data": {"path": "other.jsonl"}, "max_length": 16}}
    file = tmp_path / "target.yaml"
    file.write_text(yaml.safe_dump(target))
    with run(tmp_path, earlier["id"], str(file), "--points", "2", "--json", command="transfer") as process:
        answer = json.loads(process.communicate(timeout=PATIENCE)[0])
    assert process.returncode == 0
    found = answer["transfer"]
    assert [each["job"] for each in found["sources"]] == [earlier["id"]]
    there = {point["trial"]: point["objectives"] for point in earlier["front"]["points"]}
    assert 1 <= len(found["points"]) <= 2
    for point in found["points"]:
        assert point["there"] == there[point["source_trial"]]
        assert point["seeds"] == 2
        assert "accuracy" in point["test"]
