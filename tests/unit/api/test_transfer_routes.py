"""Jobs that learn from earlier ones, over HTTP and on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.services import Services
from evaluator.evaluate import Measurement
from search.front import build_front
from search.front_report import report
from search.job import JobSpec
from search.ledger import Ledger
from search.samplers import create
from search.submission import restore
from storage.records import JobRecord

JOBS = "/api/v1/jobs"
STEPS = 10
Run = Callable[[str], JobRecord]


def accuracy(parameters: int, rate: float) -> float:
    return 0.5 + parameters / 8000 - 0.05 * abs(rate - 2e-3) / 1e-3


@pytest.fixture
def spec(spec: dict[str, Any]) -> dict[str, Any]:
    space = {"methods": ["lora"], "rank": [1, 2, 4, 8], "layers": "bits", "learning_rate": [1e-4, 1e-2]}
    return {**spec, "space": space, "budget": {"trials": 6, "steps": STEPS}, "sampler": {"name": "random"}}


@pytest.fixture
def run(services: Services) -> Run:
    """Runs a queued job as the loop does: two seeds a trial, on a formula."""

    def _run(job_id: str) -> JobRecord:
        store = services.store
        job = store.claim_job("tests", 600.0, job_id)
        assert job is not None
        ledger = Ledger(store, job, "tests", 600.0)
        prepared = restore(JobSpec.model_validate(job.spec), job.context)
        space, seed = prepared.space, prepared.spec.sampler.seed
        transfer = prepared.transfer(space)
        count = prepared.spec.budget.trials
        sampler = create("random", space, prepared.objectives, seed, count, transfer=transfer)
        proposals = sampler.ask(ledger.history(), count)
        ledger.add_proposals(proposals, [space.plan(each.point) for each in proposals])
        for trial in ledger.trials.values():
            for again in (0, 1):
                record = ledger.start(trial, "rung", 1.0, STEPS, again)
                reached = accuracy(trial.plan.trainable_parameters, trial.configuration.learning_rate or 0)
                values = {"accuracy": reached + 0.001 * again, "loss": 1 - reached}
                values["trainable_parameters"] = float(trial.plan.trainable_parameters)
                ledger.finish(record, Measurement(step=STEPS, metrics=values, curve=()), {})
            ledger.set_trial(trial, "completed")
        front = report(build_front(list(ledger.trials.values()), prepared.objectives, STEPS), seed=0)
        judged = {"transfer": transfer.report(ledger.history())} if transfer else {}
        ledger.update(progress={"phase": "completed", "front": front, "sampled": count, **judged})
        return ledger.end("completed", "all trials are done")

    return _run


@pytest.fixture
def earlier(client: TestClient, spec: dict[str, Any], run: Run) -> JobRecord:
    return run(queued(client, {**spec, "name": "earlier"}))


def queued(client: TestClient, spec: dict[str, Any]) -> str:
    response = client.post(JOBS, json=spec)
    assert response.status_code == 201, response.text
    return str(response.json()["id"])


def refused(client: TestClient, spec: dict[str, Any]) -> list[tuple[str, str]]:
    response = client.post(JOBS, json=spec)
    assert response.status_code == 422, response.text
    return [(each["field"], each["message"]) for each in response.json()["errors"]]


def test_a_job_begins_with_an_earlier_front_and_says_how_it_holds(
    client: TestClient, spec: dict[str, Any], earlier: JobRecord, run: Run
) -> None:
    job = run(queued(client, {**spec, "transfer": {"jobs": [earlier.id], "warm_start": 2}}))
    trials = client.get(f"{JOBS}/{job.id}/trials").json()["items"]
    first = sorted(trials, key=lambda trial: trial["number"])[0]
    assert first["strategy"] == f"transfer: front of {earlier.id}"
    assert f"of job {earlier.id} (earlier), the knee of its front, accuracy 0." in first["reason"]
    found = client.get(f"{JOBS}/{job.id}/transfer").json()
    (source,) = found["sources"]
    assert (source["job"], source["name"], source["trials"], source["carried"]) == (earlier.id, "earlier", 6, 6)
    (verdict,) = source["verdicts"]
    assert verdict["state"] == "kept"
    assert verdict["kendall"] > 0.5
    assert verdict["statement"].startswith("believed after 6 trials: Kendall +")
    assert [each["trial"] for each in found["points"]] == [0, 1]
    for each in found["points"]:
        assert each["there"] == pytest.approx(each["here"], abs=1e-3)
    # The earlier job searched the same task, so it is what this one is compared with.
    assert found["against"] == earlier.id
    assert found["search"]["difference"] < 1e-3
    assert "of what its own search" in found["statement"]


def test_what_befalls_the_source_changes_nothing(
    client: TestClient, spec: dict[str, Any], earlier: JobRecord, run: Run
) -> None:
    id = queued(client, {**spec, "transfer": {"jobs": [earlier.id]}})
    assert client.delete(f"{JOBS}/{earlier.id}").status_code == 204
    before = client.get(f"{JOBS}/{id}/transfer").json()
    assert before["sources"][0]["statement"] == "The job has not begun."
    run(id)
    after = client.get(f"{JOBS}/{id}/transfer").json()
    assert after["sources"][0]["carried"] == 6
    assert len(after["points"]) > 0
    assert after["against"] is None


def test_only_the_sources_points_are_asked_for(client: TestClient, spec: dict[str, Any], earlier: JobRecord) -> None:
    id = queued(client, {**spec, "transfer": {"jobs": [earlier.id], "only": True}})
    stored = client.get(f"{JOBS}/{id}").json()
    assert stored["spec"]["finalists"]["count"] == 0
    assert "sources" not in stored["context"], "what a job keeps of others' trials is no part of looking at it"


def test_each_wrong_source_is_named(client: TestClient, spec: dict[str, Any], earlier: JobRecord) -> None:
    waiting = queued(client, spec)
    ia3 = {**spec, "space": {"methods": ["ia3"]}}
    for transfer, changed, field, words in (
        ({"jobs": ["nowhere"]}, spec, "transfer.jobs.0", "there is no job nowhere; `paretune jobs` lists"),
        ({"jobs": [earlier.id, waiting]}, spec, "transfer.jobs.1", "no trial at full fidelity; wait until it has"),
        ({"jobs": [earlier.id]}, ia3, "transfer.jobs.0", "no configuration that job"),
        ({"jobs": []}, spec, "transfer", "names no source; give jobs or same_model: true"),
        ({"jobs": [earlier.id, earlier.id]}, spec, "transfer", "one is named twice"),
        ({"jobs": [earlier.id], "k": 3}, spec, "transfer.k", "unknown field; known: jobs, same_model, warm_start"),
    ):
        ((where, what),) = refused(client, {**changed, "transfer": transfer})
        assert where == field
        assert words in what
    checked = client.post("/api/v1/spaces/check", json={**spec, "transfer": {"jobs": ["nowhere"]}}).json()
    assert checked["errors"][0]["field"] == "transfer.jobs.0"


def test_jobs_of_the_same_model_are_found(
    client: TestClient, spec: dict[str, Any], earlier: JobRecord, tmp_path: Path
) -> None:
    id = queued(client, {**spec, "transfer": {"same_model": True}})
    assert [each["job"] for each in client.get(f"{JOBS}/{id}/transfer").json()["sources"]] == [earlier.id]
    (tmp_path / "other").mkdir()
    other = {**spec, "model": {"path": str(tmp_path / "other")}}
    id = queued(client, {**other, "transfer": {"same_model": True}})
    assert client.get(f"{JOBS}/{id}/transfer").json()["statement"] == "This job learns from no earlier one."
    ((field, _),) = refused(client, {**other, "transfer": {"same_model": True, "only": True}})
    assert field == "transfer.same_model"


def test_what_does_not_compare_is_refused(
    client: TestClient, spec: dict[str, Any], earlier: JobRecord, run: Run
) -> None:
    job = run(queued(client, {**spec, "transfer": {"jobs": [earlier.id]}}))
    longer = queued(client, {**spec, "budget": {"trials": 6, "steps": STEPS + 1}})
    for against, words in ((longer, "another model, task or number of steps"), ("nowhere", "there is no job nowhere")):
        response = client.get(f"{JOBS}/{job.id}/transfer", params={"against": against})
        assert response.status_code == 422
        assert response.json()["errors"][0]["field"] == "against"
        assert words in response.json()["errors"][0]["message"]


def test_a_job_shows_its_sources(
    invoke: Callable[..., Any], client: TestClient, spec: dict[str, Any], earlier: JobRecord, run: Run
) -> None:
    job = run(queued(client, {**spec, "transfer": {"jobs": [earlier.id], "warm_start": 2}}))
    said = invoke("show", job.id).output
    assert f"source {earlier.id} (earlier): 6 of 6 configurations fit this job's space" in said
    assert "accuracy: believed after 6 trials: Kendall +" in said
    assert "accuracy there" in said
    shown = json.loads(invoke("show", job.id, "--json").output)
    assert shown["transfer"]["answer"] == "no significant difference"
    assert "transfer" not in json.loads(invoke("show", earlier.id, "--json").output)


def test_check_looks_sources_up(
    invoke: Callable[..., Any], spec: dict[str, Any], earlier: JobRecord, tmp_path: Path
) -> None:
    file = tmp_path / "job.json"
    file.write_text(json.dumps({**spec, "transfer": {"jobs": [earlier.id]}}))
    assert "configurations" in invoke("check", str(file)).output
    assert "there is no job nowhere" in invoke("transfer", "nowhere", str(file), code=1).output
    file.write_text(json.dumps({**spec, "transfer": {"jobs": ["nowhere"]}}))
    assert "transfer.jobs.0" in invoke("check", str(file), code=1).output
