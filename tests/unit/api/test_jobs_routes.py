"""Jobs over HTTP: submission as a whole, idempotency, lists, requests."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.services import Services
from space.errors import FieldError
from storage.errors import ArtifactError
from storage.records import JobRecord
from storage.store import Store

JOBS = "/api/v1/jobs"


def test_a_submission_is_queued_with_defaults_and_context(
    client: TestClient, store: Store, spec: dict[str, Any]
) -> None:
    response = client.post(JOBS, json=spec)
    job = response.json()
    assert response.status_code == 201
    assert response.headers["location"] == f"{JOBS}/{job['id']}"
    assert (job["state"], job["name"]) == ("queued", "topics")
    assert job["spec"]["sampler"] == {"name": "bayes", "surrogate": "gp", "seed": 0}
    context = store.job(job["id"]).context
    assert context["parameter_range"][0] > 0
    assert [each["metric"] for each in context["objectives"]["objectives"]] == ["accuracy", "trainable_parameters"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"model": None}, "model"),
        ({"colour": "red"}, "colour"),
        ({"task": {"data": {"path": "x"}, "labels": "l"}}, "task.labels"),
        ({"budget": {"trials": 0}}, "budget.trials"),
        ({"budget": {"minutes": -1}}, "budget.minutes"),
        ({"budget": {"steps": 10**12}}, "budget.steps"),
        ({"objectives": [{"metric": "beauty"}]}, "objectives.0.metric"),
        ({"objectives": [{"metric": "r2"}]}, "objectives.0.metric"),
        ({"fidelity": {"rungs": [0.5]}}, "fidelity.rungs"),
        ({"space": {"methods": ["lorra"]}}, "space.methods.0"),
        ({"space": {"colour": 1}}, "space.colour"),
        ({"constraints": [{"metric": "trainable_parameters", "max": 1}]}, "constraints"),
        ({"workers": 0}, "workers"),
        ({"training": {"gradient_clip": float("inf")}}, "training.gradient_clip"),
        ({"constraints": [{"metric": "loss", "max": float("nan")}]}, "constraints.0.max"),
        ({"space": {"methods": ["lo\ud800ra"]}}, "space.methods.0"),
        ({"name": "\ud800"}, "name"),
    ],
)
def test_a_bad_field_is_named_and_nothing_is_kept(
    client: TestClient, store: Store, spec: dict[str, Any], change: dict[str, Any], field: str
) -> None:
    # Python writes NaN, infinities and lone surrogates, which strict JSON does not have but parsers take.
    body = json.dumps({**spec, **change})
    response = client.post(JOBS, content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 422, response.text
    assert field in [error["field"] for error in response.json()["errors"]]
    assert store.jobs().items == ()


def test_an_error_of_the_inspector_keeps_its_field(
    client: TestClient, store: Store, spec: dict[str, Any], inspector: Any
) -> None:
    inspector.refusal = FieldError("task.label", "class 'news' has one example; add another or remove it")
    response = client.post(JOBS, json=spec)
    assert response.json()["errors"] == [
        {"field": "task.label", "message": "class 'news' has one example; add another or remove it"}
    ]
    assert store.jobs().items == ()


def test_paths_outside_the_roots_are_never_looked_at(
    client: TestClient, spec: dict[str, Any], inspector: Any, tmp_path: Path
) -> None:
    (tmp_path / "way-out").symlink_to("/etc")
    for path in ("/etc/passwd", f"{tmp_path}/../..", f"{tmp_path}/way-out/passwd"):
        response = client.post(JOBS, json={**spec, "model": {"path": path}})
        assert [error["field"] for error in response.json()["errors"]] == ["model.path"]
        assert "PARETUNE_ROOTS" in response.json()["errors"][0]["message"]
    assert inspector.looked == []


def test_the_same_key_and_spec_give_the_same_job(client: TestClient, store: Store, spec: dict[str, Any]) -> None:
    first = client.post(JOBS, json=spec, headers={"Idempotency-Key": "mine"})
    again = client.post(JOBS, json=spec, headers={"Idempotency-Key": "mine"})
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json()["id"] == first.json()["id"]
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert len(store.jobs().items) == 1


def test_a_repeat_needs_no_data_any_more(client: TestClient, spec: dict[str, Any], tmp_path: Path) -> None:
    first = client.post(JOBS, json=spec, headers={"Idempotency-Key": "mine"})
    (tmp_path / "data.jsonl").unlink()
    again = client.post(JOBS, json=spec, headers={"Idempotency-Key": "mine"})
    assert again.json()["id"] == first.json()["id"]


def test_the_same_key_for_another_spec_is_refused(client: TestClient, spec: dict[str, Any]) -> None:
    client.post(JOBS, json=spec, headers={"Idempotency-Key": "mine"})
    response = client.post(JOBS, json={**spec, "name": "other"}, headers={"Idempotency-Key": "mine"})
    assert response.status_code == 409
    assert "mine" in response.json()["detail"]


def test_jobs_are_paged_newest_first(client: TestClient, spec: dict[str, Any]) -> None:
    ids = [client.post(JOBS, json={**spec, "name": str(index)}).json()["id"] for index in range(5)]
    seen: list[str] = []
    after: str | None = None
    while True:
        page = client.get(JOBS, params={"limit": 2, **({"after": after} if after else {})}).json()
        seen += [job["id"] for job in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert seen == ids[::-1]


def test_jobs_are_filtered_by_state(client: TestClient, submitted: str) -> None:
    assert [job["id"] for job in client.get(JOBS, params={"state": "queued"}).json()["items"]] == [submitted]
    assert client.get(JOBS, params={"state": "failed"}).json()["items"] == []


def test_a_job_shows_progress_best_and_cost(
    client: TestClient, submitted: str, searched: Callable[[], JobRecord]
) -> None:
    searched()
    job = client.get(f"{JOBS}/{submitted}").json()
    assert (job["state"], job["reason"]) == ("completed", "all trials are done")
    assert job["progress"]["sampled"] == 3
    assert job["progress"]["hypervolume"] > 0
    assert job["context"]["data"]["classes"] == ["news", "sport"]


def test_requests_take_effect_at_once_on_a_queued_job(client: TestClient, submitted: str) -> None:
    assert client.post(f"{JOBS}/{submitted}/pause").json()["state"] == "paused"
    assert client.post(f"{JOBS}/{submitted}/resume").json()["state"] == "queued"
    assert client.post(f"{JOBS}/{submitted}/cancel").json()["state"] == "cancelled"
    assert client.post(f"{JOBS}/{submitted}/cancel").status_code == 200
    assert client.post(f"{JOBS}/{submitted}/resume").status_code == 409


def test_a_running_job_shows_what_was_asked_of_it(client: TestClient, store: Store, submitted: str) -> None:
    store.claim_job("loop", 60)
    job = client.post(f"{JOBS}/{submitted}/cancel").json()
    assert (job["state"], job["requested"]) == ("running", "cancel")


def test_only_jobs_that_do_not_run_are_deleted(client: TestClient, store: Store, submitted: str) -> None:
    assert client.delete(f"{JOBS}/{submitted}").status_code == 409
    client.post(f"{JOBS}/{submitted}/cancel")
    assert client.delete(f"{JOBS}/{submitted}").status_code == 204
    assert client.get(f"{JOBS}/{submitted}").status_code == 404


def test_a_deleted_job_leaves_no_folder_and_no_logs(
    client: TestClient, services: Services, searched: Callable[[], JobRecord]
) -> None:
    job = searched()
    logs = services.settings.data_dir / "logs"
    logs.mkdir(exist_ok=True)
    mine = [logs / f"{each.id}.log" for each in services.store.evaluations(job.id)]
    for log in (*mine, logs / "another.log"):
        log.touch()
    assert mine
    assert client.delete(f"{JOBS}/{job.id}").status_code == 204
    assert not services.job_folder(job.id).exists()
    assert list(logs.iterdir()) == [logs / "another.log"]


def test_a_paused_job_that_is_cancelled_keeps_no_checkpoints(
    client: TestClient, services: Services, submitted: str
) -> None:
    checkpoints = services.job_folder(submitted) / "checkpoints"
    checkpoints.joinpath("3").mkdir(parents=True)
    assert client.post(f"{JOBS}/{submitted}/pause").json()["state"] == "paused"
    assert checkpoints.exists()
    assert client.post(f"{JOBS}/{submitted}/cancel").json()["state"] == "cancelled"
    assert not checkpoints.exists()


def test_a_deleted_job_s_files_go_with_it(
    client: TestClient, services: Services, searched: Callable[[], JobRecord]
) -> None:
    """Its folder, and files that nothing refers to once they are old enough to belong to nobody."""
    job = searched()
    fresh, old = services.artifacts.put_bytes(b"fresh"), services.artifacts.put_bytes(b"old")
    os.utime(services.artifacts.path(old.digest), (0, 0))
    assert client.delete(f"{JOBS}/{job.id}").status_code == 204
    assert not services.job_folder(job.id).exists()
    assert services.artifacts.path(fresh.digest).exists()
    with pytest.raises(ArtifactError):
        services.artifacts.path(old.digest)


def test_a_file_that_cannot_be_removed_does_not_undo_a_deletion(
    client: TestClient, services: Services, submitted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stuck(*_: object) -> None:
        raise ArtifactError("read-only")

    monkeypatch.setattr(type(services.artifacts), "remove_unreferenced", stuck)
    client.post(f"{JOBS}/{submitted}/cancel")
    assert client.delete(f"{JOBS}/{submitted}").status_code == 204
    assert client.get(f"{JOBS}/{submitted}").status_code == 404
