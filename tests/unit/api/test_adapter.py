"""A trained adapter, over HTTP and by the command line: whose it is, and what is said where there is none."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.client import Client, Refused
from api.services import Services
from evaluator.evaluate import Measurement
from search.front import build_front
from search.front_report import report
from search.ledger import ADAPTER, Ledger
from search.samplers.sampler import Proposal
from search.submission import restore
from space.configuration import Component, Configuration
from space.resolve import resolve
from storage.records import ArtifactReference
from storage.store import Store

Invoke = Callable[..., Any]
JOBS = "/api/v1/jobs"
LORA, WHOLE, OURS, SHORT = range(4)
"""The trials of `job`: the search's and a baseline that were trained again, one of a method of ours, and one that was
not trained again."""
RUNS = {1: {"accuracy": 0.8, "loss": 0.4}, 2: {"accuracy": 0.9, "loss": 0.6}, 3: {"accuracy": 0.9, "loss": 0.5}}
"""What the fresh seeds measured."""


@pytest.fixture
def job(services: Services, submitted: str, tmp_path: Path) -> str:
    store = services.store
    record = store.claim_job("tests", 600.0)
    assert record is not None
    prepared = restore(record.spec, record.context)
    ledger = Ledger(store, record, "tests", 600.0)
    configurations = [
        Configuration(components=(Component(method=name, size=(1,)),), learning_rate=1e-3) if name else Configuration()
        for name in ("lora", None, "serial-adapter", "lora")
    ]
    plans = [resolve(each, prepared.table) for each in configurations]
    entry = plans[LORA].entries[0].model_copy(update={"layer": -1, "role": "model", "method": "full-fine-tuning"})
    plans[WHOLE] = plans[WHOLE].model_copy(update={"entries": (entry,)})
    for configuration, plan in zip(configurations, plans, strict=True):
        ledger.add_proposals([Proposal({}, configuration, "sobol", "fills the space")], [plan])
    for number, seeds in ((LORA, (1, 2, 3)), (WHOLE, (1,)), (OURS, (1,)), (SHORT, ())):
        trial = ledger.trials[number]
        parameters = {
            "trainable_parameters": float(trial.plan.trainable_parameters),
            "calibration_error": 0.1,
        }
        run = ledger.start(trial, "rung", 1.0, 10, 0)
        ledger.finish(run, Measurement(step=10, metrics={"accuracy": 0.99, "loss": 0.1, **parameters}, curve=()), {})
        for seed in seeds:
            folder = tmp_path / f"trained-{number}-{seed}"
            folder.mkdir()
            (folder / "adapter_config.json").write_text(f"{number} {seed}")
            run = ledger.start(trial, "finalist", 1.0, 10, seed)
            measurement = Measurement(step=10, metrics={**RUNS[seed], **parameters}, curve=())
            ledger.finish(run, measurement, {ADAPTER: services.artifacts.put_folder(folder)})
        ledger.set_trial(trial, "completed")
    front = report(build_front(list(ledger.trials.values()), prepared.objectives, 10), seed=0)
    ledger.update(progress={"front": {**front, "history": []}})
    return record.id


def packed(content: bytes) -> str:
    """What the folder in a tar file says."""
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        assert archive.getnames() == ["adapter_config.json"]
        file = archive.extractfile("adapter_config.json")
        assert file is not None
        return file.read().decode()


def test_the_file_is_streamed_under_a_name_and_its_digest(client: TestClient, job: str) -> None:
    response = client.get(f"{JOBS}/{job}/adapter", params={"trial": LORA})
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/x-tar"
    assert response.headers["content-disposition"] == 'attachment; filename="topics-trial-0-seed-3-adapter.tar"'
    tag = response.headers["etag"]
    assert tag == f'"{hashlib.sha256(response.content).hexdigest()}"'
    shown = client.get(f"{JOBS}/{job}/trials/{LORA}").json()["evaluations"]
    kept = [each["adapter"] for each in shown if each["seed"] == 3]
    assert kept == [{"sha256": tag.strip('"'), "bytes": len(response.content)}]
    assert [each["adapter"] for each in shown if each["purpose"] == "rung"] == [None]
    again = client.get(f"{JOBS}/{job}/adapter", params={"trial": LORA}, headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    changed = client.get(f"{JOBS}/{job}/adapter", params={"trial": LORA}, headers={"If-None-Match": '"0"'})
    assert changed.content == response.content


def test_of_several_seeds_the_best_on_validation_is_given(client: TestClient, job: str) -> None:
    """Of two equal ones, the one of the lower loss."""
    response = client.get(f"{JOBS}/{job}/adapter", params={"trial": LORA})
    assert packed(response.content) == "0 3"
    assert response.headers["content-description"] == (
        "trial 0, seed 3: of seeds 1, 2 and 3 the best on validation (accuracy 0.9); trained for 10 steps, the "
        "search's full length and no longer. peft.PeftModel.from_pretrained(BASE, FOLDER) loads it with its task head, "
        "BASE having num_labels=2"
    )
    asked = client.get(f"{JOBS}/{job}/adapter", params={"trial": LORA, "seed": 1})
    assert packed(asked.content) == "0 1"
    assert "seed 1: as asked (accuracy 0.8)" in asked.headers["content-description"]


@pytest.mark.parametrize("objectives", [["trainable_parameters", "calibration_error"], ["loss", "accuracy"]])
def test_without_a_quality_the_loss_decides_and_of_several_the_first(
    client: TestClient, spec: dict[str, Any], request: pytest.FixtureRequest, objectives: list[str]
) -> None:
    spec["objectives"] = [{"metric": each} for each in objectives]
    job = request.getfixturevalue("job")
    response = client.get(f"{JOBS}/{job}/adapter", params={"trial": LORA})
    assert packed(response.content) == "0 1"
    assert "(loss 0.4)" in response.headers["content-description"]


def test_how_it_is_loaded_is_said(client: TestClient, job: str) -> None:
    ours, whole = (
        client.get(f"{JOBS}/{job}/adapter", params={"trial": each}).headers["content-description"]
        for each in (OURS, WHOLE)
    )
    assert "seed 1: the only one kept" in ours
    assert "After `import evaluator.methods` peft.PeftModel" in ours
    assert "a whole model: transformers' from_pretrained(FOLDER)" in whole


def test_the_knee_is_the_default(client: TestClient, job: str) -> None:
    knee = client.get(f"{JOBS}/{job}/front").json()["knee"]
    default = client.get(f"{JOBS}/{job}/adapter")
    assert f"trial-{knee}-seed" in default.headers["content-disposition"]
    assert default.content == client.get(f"{JOBS}/{job}/adapter", params={"pick": "knee"}).content
    assert default.content == client.get(f"{JOBS}/{job}/adapter", params={"trial": knee}).content


@pytest.mark.parametrize(
    ("query", "status", "field", "says"),
    [
        ({"trial": SHORT}, 422, "trial", "those that have one: 0, 1, 2; or export its recipe"),
        ({"pick": "best"}, 422, "pick", ""),
        ({"trial": LORA, "pick": "knee"}, 422, "pick", "not both"),
        ({"trial": LORA, "seed": 0}, 422, "seed", "give seeds 1, 2 or 3"),
        ({"trial": WHOLE, "seed": 2}, 422, "seed", "give seed 1"),
        ({"trial": 77}, 404, None, ""),
    ],
)
def test_an_adapter_that_there_is_not_says_what_to_do(
    client: TestClient, job: str, query: dict[str, Any], status: int, field: str | None, says: str
) -> None:
    response = client.get(f"{JOBS}/{job}/adapter", params=query)
    assert response.status_code == status
    errors = response.json()["errors"]
    assert [error["field"] for error in errors] == ([field] if field else [])
    assert all(says in error["message"] for error in errors)


def test_before_anything_is_reported_none_is_kept(client: TestClient, searched: Callable[[], Any]) -> None:
    response = client.get(f"{JOBS}/{searched().id}/adapter", params={"pick": "best:accuracy"})
    (error,) = response.json()["errors"]
    assert error["field"] == "pick"
    assert "no trial of this job has one yet" in error["message"]


def test_before_the_front_has_a_point_there_is_no_adapter(client: TestClient, submitted: str) -> None:
    assert client.get(f"{JOBS}/{submitted}/adapter").status_code == 409


def reference_of(services: Services, job: str) -> ArtifactReference:
    (run,) = [each for each in services.store.evaluations(job, WHOLE) if each.artifacts]
    return run.artifacts[0]


def test_a_file_on_another_machine_is_not_found(client: TestClient, services: Services, job: str) -> None:
    services.artifacts.path(reference_of(services, job).digest).unlink()
    response = client.get(f"{JOBS}/{job}/adapter", params={"trial": WHOLE})
    assert response.status_code == 404
    assert "ask where the search ran" in response.json()["detail"]


def test_who_has_no_key_gets_none(client: TestClient, store: Store, job: str) -> None:
    secret, _ = store.create_key("mine")
    assert client.get(f"{JOBS}/{job}/adapter", params={"trial": LORA}).status_code == 401
    headers = {"Authorization": f"Bearer {secret}"}
    assert client.get(f"{JOBS}/{job}/adapter", params={"trial": LORA}, headers=headers).status_code == 200


def contents(folder: Path) -> dict[str, str]:
    return {each.relative_to(folder).as_posix(): each.read_text() for each in folder.rglob("*") if each.is_file()}


def test_the_folder_is_written_where_it_is_wanted(
    invoke: Invoke, job: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new, empty, here = tmp_path / "a" / "b", tmp_path / "empty", tmp_path / "here"
    empty.mkdir()
    here.mkdir()
    monkeypatch.chdir(here)
    for folder in (new, empty):
        said = invoke("export", job, "--format", "adapter", "--trial", "0", "--output", str(folder)).stdout
        assert f"wrote {folder}" in said.replace("\n", "")
        assert "of seeds 1, 2 and 3 the best on validation" in said
        assert contents(folder) == {"adapter_config.json": "0 3"}
        assert list(folder.iterdir()) == [folder / "adapter_config.json"]
    invoke("export", job, "--format", "adapter", "--trial", "0", "--seed", "2")
    assert contents(here) == {"topics-trial-0-seed-2-adapter/adapter_config.json": "0 2"}
    assert [each.name for each in here.iterdir()] == ["topics-trial-0-seed-2-adapter"]
    assert (here / "topics-trial-0-seed-2-adapter").stat().st_mode == here.stat().st_mode


def test_a_folder_that_holds_something_stays_as_it_is(invoke: Invoke, job: str, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("mine")
    for output, says in (
        (mine, "holds other files"),
        (mine / "notes.txt", "is a file"),
        (mine / "notes.txt" / "x", ""),
    ):
        said = invoke("export", job, "--format", "adapter", "--trial", "0", "--output", str(output), code=1).stderr
        assert "--output: " in said
        assert says in " ".join(said.split())
    assert contents(tmp_path / "mine") == {"notes.txt": "mine"}


def test_what_fails_leaves_nothing(invoke: Invoke, services: Services, job: str, tmp_path: Path) -> None:
    """Refused by the service, damaged on its way, and no packed folder."""
    here, empty = tmp_path / "here", tmp_path / "here" / "empty"
    empty.mkdir(parents=True)

    def refused(trial: int) -> str:
        for output in (here / "new" / "adapter", empty):
            result = invoke(
                "export", job, "--format", "adapter", "--trial", str(trial), "--output", str(output), code=1
            )
            assert [*here.rglob("*")] == [empty]
        return " ".join(result.stderr.split())

    assert "trial: trial 3 has no trained adapter" in refused(SHORT)
    file = services.artifacts.path(reference_of(services, job).digest)
    whole = file.read_bytes()
    file.write_bytes(whole[:-700])
    assert "came damaged" in refused(WHOLE)


def test_only_an_adapter_has_a_seed(invoke: Invoke, job: str) -> None:
    assert "--seed: " in invoke("export", job, "--seed", "1", code=1).stderr


def test_a_running_service_gives_the_same(services: Services, client: TestClient, job: str, monkeypatch: Any) -> None:
    """The command line's client, towards a service at an address."""
    import httpx

    remote = services.settings.model_copy(update={"server": "http://127.0.0.1:8321"})

    def answer(request: httpx.Request) -> httpx.Response:
        found = client.request(request.method, request.url.raw_path.decode())
        return httpx.Response(found.status_code, headers=found.headers, content=found.content)

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", lambda _, request: answer(request))
    target = io.BytesIO()
    headers = Client(remote).download(f"/jobs/{job}/adapter", target, trial=LORA, seed=None)
    assert packed(target.getvalue()) == "0 3"
    assert headers["etag"] == f'"{hashlib.sha256(target.getvalue()).hexdigest()}"'
    with pytest.raises(Refused) as refused:
        Client(remote).download(f"/jobs/{job}/adapter", io.BytesIO(), trial=SHORT)
    assert [field for field, _ in refused.value.fields] == ["trial"]
