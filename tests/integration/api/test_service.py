"""`paretune serve` as a user has it: web process, loop process and workers, a tiny real model and real files."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

PATIENCE = 120.0


@dataclass
class Service:
    """A running service."""

    process: subprocess.Popen[str]
    client: httpx.Client

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


def start(folder: Path, models: Path) -> Service:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PARETUNE_")}
    environment |= {
        "PARETUNE_DATA_DIR": str(folder / "kept"),
        "PARETUNE_ROOTS": f"{folder}{os.pathsep}{models}",
        "PARETUNE_PORT": "0",
        "PARETUNE_WORKERS": "1",
        "PARETUNE_EVENT_INTERVAL": "0.1",
    }
    with (folder / "service.log").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "api.cli", "serve"], env=environment, stdout=subprocess.PIPE, stderr=log, text=True
        )
    assert process.stdout is not None
    line = process.stdout.readline()
    address = re.search(r"http://127\.0\.0\.1:\d+", line)
    assert address, (folder / "service.log").read_text()
    transport = httpx.HTTPTransport(retries=5)
    client = httpx.Client(base_url=f"{address[0]}/api/v1", timeout=PATIENCE, transport=transport)
    return Service(process, client)


def end(service: Service) -> None:
    service.client.close()
    if service.process.poll() is None:
        service.process.terminate()
    service.process.wait(PATIENCE)
    if service.process.stdout is not None:
        service.process.stdout.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [
        {"text": text, "label": label}
        for index in range(30)
        for text, label in (
            (f"the bank cut its forecast {index}", "business"),
            (f"the striker scored goal {index}", "sport"),
        )
    ]
    (tmp_path / "news.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "broken.jsonl").write_text('{"text": "a", "label": "b"}\n{"text": \n')
    return tmp_path


@pytest.fixture
def spec(folder: Path, tiny_models: dict[str, Path]) -> dict[str, Any]:
    return {
        "model": {"path": str(tiny_models["bert"])},
        "task": {"data": {"path": str(folder / "news.jsonl")}, "max_length": 16},
        "space": {"methods": ["lora"], "rank": [1, 2]},
        "budget": {"trials": 2, "steps": 4},
        "fidelity": {"rungs": [0.5, 1.0]},
        "sampler": {"name": "random"},
        "finalists": {"count": 1, "seeds": 1},
        "baselines": False,
        "workers": 1,
    }


@pytest.fixture
def service(folder: Path, tiny_models: dict[str, Path]) -> Iterator[Service]:
    service = start(folder, tiny_models["bert"].parent)
    yield service
    end(service)


def follow(service: Service, job_id: str) -> list[tuple[str, dict[str, Any]]]:
    """Every event of the job, to its end."""
    events = []
    with service.client.stream("GET", f"/jobs/{job_id}/events") as stream:
        kind = ""
        for line in stream.iter_lines():
            name, _, value = line.partition(": ")
            if name == "event":
                kind = value
            elif name == "data":
                events.append((kind, json.loads(value)))
    return events


def program(process: psutil.Process) -> str:
    """Which of a service's programs a process is; empty when it ended meanwhile."""
    try:
        words = process.cmdline()
    except psutil.NoSuchProcess:
        return ""
    return "worker" if "--evaluator" in words else "loop" if "api.loop" in words else ""


def assert_each_once(service: Service, job_id: str, trials: int) -> None:
    """The job has all its trials, and every evaluation that it needed once."""
    numbers = [each["number"] for each in service.client.get(f"/jobs/{job_id}/trials").json()["items"]]
    assert numbers == list(range(trials))
    for number in numbers:
        runs = service.client.get(f"/jobs/{job_id}/trials/{number}").json()["evaluations"]
        assert {run["state"] for run in runs} == {"completed"}
        assert len({(run["purpose"], run["stop_step"], run["seed"]) for run in runs}) == len(runs)


def test_from_submission_to_recipe(service: Service, spec: dict[str, Any], folder: Path) -> None:
    client = service.client
    assert client.get("/health").json()["loop"] == "alive"

    broken = {**spec, "task": {**spec["task"], "data": {"path": str(folder / "broken.jsonl")}}}
    error = client.post("/jobs", json=broken)
    assert error.status_code == 422
    assert error.json()["errors"][0]["field"] == "task.data.path"
    assert "line 2" in error.json()["errors"][0]["message"]
    unlabelled = client.post("/jobs", json={**spec, "task": {**spec["task"], "label": "topic"}})
    assert [each["field"] for each in unlabelled.json()["errors"]] == ["task.label"]

    job = client.post("/jobs", json=spec).json()
    events = follow(service, job["id"])
    assert events[-1] == ("state", events[-1][1])
    assert events[-1][1]["state"] == "completed", events[-1]
    assert {kind for kind, _ in events} == {"state", "trial", "evaluation", "front"}

    found = client.get(f"/jobs/{job['id']}").json()
    assert found["progress"]["sampled"] == 2
    front = client.get(f"/jobs/{job['id']}/front").json()
    assert front["points"]
    assert front["knee"] is not None
    trial = client.get(f"/jobs/{job['id']}/trials/{front['knee']}").json()
    assert trial["evaluations"][0]["curve"]
    for format_name in ("paretune", "peft"):
        recipe = client.get(f"/jobs/{job['id']}/recipe", params={"format": format_name})
        assert recipe.status_code == 200, recipe.text
        assert recipe.content


def test_the_trained_adapter_is_what_was_measured(
    service: Service, spec: dict[str, Any], tiny_models: dict[str, Path], folder: Path
) -> None:
    """Taken away by the command line and loaded by plain transformers and peft, it gives the run's numbers again."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    longer = {"budget": {"trials": 2, "steps": 20}, "space": {**spec["space"], "learning_rate": [0.01, 0.03]}}
    job = service.client.post("/jobs", json={**spec, **longer}).json()["id"]
    assert follow(service, job)[-1][1]["state"] == "completed"
    trials = [each["number"] for each in service.client.get(f"/jobs/{job}/trials").json()["items"]]
    runs = {
        number: run
        for number in trials
        for run in service.client.get(f"/jobs/{job}/trials/{number}").json()["evaluations"]
        if run["adapter"]
    }
    ((number, run),) = runs.items()
    address = str(service.client.base_url).partition("/api")[0]
    where = ["--trial", str(number), "--output", str(folder / "adapter"), "--server", address]
    taken = subprocess.run(
        [sys.executable, "-m", "api.cli", "export", job, "--format", "adapter", *where], capture_output=True, text=True
    )
    assert taken.returncode == 0, taken.stderr
    assert f"trial {number}, seed {run['seed']}" in taken.stdout

    split = json.loads((folder / "kept" / "jobs" / job / "split.json").read_text())
    rows = [json.loads(line) for line in (folder / "news.jsonl").read_text().splitlines()]
    held = [rows[index] for index in split["validation"]]
    base = AutoModelForSequenceClassification.from_pretrained(tiny_models["bert"], num_labels=len(split["classes"]))
    model = PeftModel.from_pretrained(base, str(folder / "adapter")).eval()
    tokenizer = AutoTokenizer.from_pretrained(tiny_models["bert"])
    batch = tokenizer([row["text"] for row in held], truncation=True, max_length=16, padding=True, return_tensors="pt")
    wanted = torch.tensor([split["classes"].index(row["label"]) for row in held])
    with torch.no_grad():
        outputs = model(**batch).logits
    assert all(value.any() for name, value in model.named_parameters() if "lora_B" in name)  # zeros before training
    assert torch.nn.functional.cross_entropy(outputs, wanted).item() == pytest.approx(run["metrics"]["loss"], rel=1e-5)
    assert (outputs.argmax(1) == wanted).float().mean().item() == pytest.approx(run["metrics"]["accuracy"])


def test_nothing_outlives_a_killed_service_and_the_next_goes_on(
    service: Service, spec: dict[str, Any], folder: Path, tiny_models: dict[str, Path]
) -> None:
    job = service.client.post("/jobs", json={**spec, "budget": {"trials": 3, "steps": 30}}).json()
    with service.client.stream("GET", f"/jobs/{job['id']}/events") as stream:
        next(line for line in stream.iter_lines() if '"completed"' in line)
    family = service.family()
    service.process.send_signal(signal.SIGKILL)
    _, alive = psutil.wait_procs(family, timeout=PATIENCE)
    assert alive == []
    end(service)

    again = start(folder, tiny_models["bert"].parent)
    try:
        events = follow(again, job["id"])
        assert events[-1][1]["state"] == "completed", events[-1]
        assert_each_once(again, job["id"], 3)
    finally:
        end(again)


@pytest.mark.parametrize("victim", ["worker", "loop"])
def test_a_process_killed_in_the_middle_costs_no_trial(service: Service, spec: dict[str, Any], victim: str) -> None:
    job = service.client.post("/jobs", json={**spec, "budget": {"trials": 3, "steps": 200}}).json()
    with service.client.stream("GET", f"/jobs/{job['id']}/events") as stream:
        next(line for line in stream.iter_lines() if '"completed"' in line)
    (found,) = [each for each in service.family() if program(each) == victim]
    found.kill()
    events = follow(service, job["id"])
    assert events[-1][1]["state"] == "completed", events[-1]
    assert_each_once(service, job["id"], 3)
    assert service.client.get("/health").json()["loop"] == "alive"


def test_two_services_share_a_data_folder(
    service: Service, spec: dict[str, Any], folder: Path, tiny_models: dict[str, Path]
) -> None:
    other = start(folder, tiny_models["bert"].parent)
    try:
        submitted = [each.client.post("/jobs", json=spec).json()["id"] for each in (service, other)]
        for reader, job_id in zip((other, service), submitted, strict=True):
            assert follow(reader, job_id)[-1][1]["state"] == "completed"
            assert_each_once(reader, job_id, 2)
    finally:
        end(other)


def test_a_job_that_runs_is_not_deleted_and_goes_on(service: Service, spec: dict[str, Any]) -> None:
    job = service.client.post("/jobs", json=spec).json()
    refused = service.client.delete(f"/jobs/{job['id']}")
    assert refused.status_code == 409
    assert "cancel it" in refused.json()["detail"]
    assert follow(service, job["id"])[-1][1]["state"] == "completed"
    assert service.client.delete(f"/jobs/{job['id']}").status_code == 204
    assert service.client.get(f"/jobs/{job['id']}").status_code == 404


def test_cancel_ends_a_job_that_is_starting(service: Service, spec: dict[str, Any]) -> None:
    job = service.client.post("/jobs", json={**spec, "budget": {"trials": 50, "steps": 500}}).json()
    ended = threading.Event()
    states: list[str] = []

    def read() -> None:
        states.extend(payload["state"] for kind, payload in follow(service, job["id"]) if kind == "state")
        ended.set()

    reader = threading.Thread(target=read)
    reader.start()
    assert service.client.post(f"/jobs/{job['id']}/cancel").status_code == 200
    assert ended.wait(PATIENCE)
    reader.join()
    assert states[-1] == "cancelled"
