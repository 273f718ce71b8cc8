"""What a search found out, over HTTP and on the command line: importance, picks, the few points, beliefs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

import api.prediction
from api.services import Services
from evaluator.evaluate import Measurement
from search.front import build_front
from search.front_report import report
from search.ledger import Ledger
from search.samplers.sampler import Proposal
from search.submission import restore
from space.configuration import Configuration
from space.resolve import resolve
from storage.records import JobRecord

JOBS = "/api/v1/jobs"
STEPS = 10
TRIALS = 24


def accuracy(parameters: int, rate: float) -> float:
    """More parameters help a little, a rate near 1e-3 a lot."""
    return 0.66 + 0.05 * np.log10(1 + parameters) - 0.15 * abs(np.log10(rate / 1e-3))


@pytest.fixture
def learned(client: TestClient, services: Services, spec: dict[str, Any]) -> JobRecord:
    """A job of `TRIALS` sampled trials in full, measured by `accuracy`, with a baseline that is on the front."""
    spec = {**spec, "space": {"methods": ["lora"], "rank": [1, 2, 4, 8], "layers": "last"}}
    response = client.post(JOBS, json=spec)
    assert response.status_code == 201, response.text
    store = services.store
    job = store.claim_job("tests", 600.0)
    assert job is not None
    ledger = Ledger(store, job, "tests", 600.0)
    prepared = restore(job.spec, job.context)
    space, rng = prepared.space, np.random.default_rng(0)
    points = [space.sample(rng) for _ in range(TRIALS)]
    ledger.add_proposals(
        [Proposal(point, space.decode(point), "random", "a draw") for point in points],
        [space.plan(point) for point in points],
    )
    head = Configuration()
    ledger.add_baseline("head-only", [(head, resolve(head, prepared.table), {})], "hand-made")
    for trial in ledger.trials.values():
        purpose = "rung" if trial.record.kind == "search" else "baseline"
        record = ledger.start(trial, purpose, 1.0, STEPS, 0)
        count = trial.plan.trainable_parameters
        reached = accuracy(count, trial.configuration.learning_rate) if count else 0.65
        metrics = {"accuracy": float(reached), "trainable_parameters": float(count)}
        ledger.finish(record, Measurement(step=STEPS, metrics=metrics, curve=()), {})
        ledger.set_trial(trial, "completed", summary=metrics)
    front = report(build_front(list(ledger.trials.values()), prepared.objectives, STEPS), seed=0)
    ledger.update(progress={"front": {**front, "history": []}, "sampled": TRIALS})
    folder = services.job_folder(job.id)
    folder.mkdir(parents=True)
    folder.joinpath("split.json").write_text("{}")
    return ledger.end("completed", "all trials are done")


def test_importance_names_what_decided(client: TestClient, learned: JobRecord) -> None:
    found = client.get(f"{JOBS}/{learned.id}/importance").json()
    assert found["trials"] == TRIALS
    assert {each["name"] for each in found["choices"]} == {"size", "sites", "layers", "learning rate"}
    assert sum(each["share"] for each in found["choices"]) == pytest.approx(1.0)
    assert found["choices"][0]["name"] == "learning rate"
    assert len(found["best"]) == 5


def test_a_young_job_has_no_importance_yet(client: TestClient, submitted: str) -> None:
    found = client.get(f"{JOBS}/{submitted}/importance").json()
    assert (found["choices"], found["trials"]) == ([], 0)
    assert "20 trials" in found["statement"]


def test_the_usual_picks_are_the_knee_and_each_best(client: TestClient, learned: JobRecord) -> None:
    front = client.get(f"{JOBS}/{learned.id}/front").json()
    picks = {each["pick"]: each["point"]["trial"] for each in client.get(f"{JOBS}/{learned.id}/picks").json()}
    best = max(front["points"], key=lambda point: point["objectives"]["accuracy"])
    assert picks == {
        "knee": front["knee"],
        "best:accuracy": best["trial"],
        "best:trainable_parameters": TRIALS,  # the head alone has none
    }


def test_a_recipe_is_made_of_a_pick(client: TestClient, learned: JobRecord) -> None:
    front = client.get(f"{JOBS}/{learned.id}/front").json()
    most = sorted(point["objectives"]["trainable_parameters"] for point in front["points"])[-2]
    pick = f"best:accuracy,trainable_parameters<={most:g}"
    (chosen,) = client.get(f"{JOBS}/{learned.id}/picks", params={"pick": pick}).json()
    within = [point for point in front["points"] if point["objectives"]["trainable_parameters"] <= most]
    assert chosen["point"]["trial"] == max(within, key=lambda point: point["objectives"]["accuracy"])["trial"]
    recipe = client.get(f"{JOBS}/{learned.id}/recipe", params={"pick": pick})
    none = client.get(f"{JOBS}/{learned.id}/recipe", params={"pick": "best:accuracy,trainable_parameters<=-1"})
    assert (none.status_code, none.json()["errors"][0]["field"]) == (422, "pick")
    assert "move the limit" in none.json()["errors"][0]["message"]
    assert f"trial-{chosen['point']['trial']}.yaml" in recipe.headers["content-disposition"]


@pytest.mark.parametrize("route", ["picks", "recipe"])
@pytest.mark.parametrize(
    ("pick", "says"), [("fastest", "write knee"), ("best:speed", "accuracy, trainable_parameters")]
)
def test_a_pick_that_cannot_be_made_says_so(
    client: TestClient, submitted: str, route: str, pick: str, says: str
) -> None:
    response = client.get(f"{JOBS}/{submitted}/{route}", params={"pick": pick})
    assert response.status_code == 422
    (error,) = response.json()["errors"]
    assert error["field"] == "pick"
    assert says in error["message"]


def test_an_empty_front_has_no_picks(client: TestClient, submitted: str) -> None:
    assert client.get(f"{JOBS}/{submitted}/picks").status_code == 409
    assert client.get(f"{JOBS}/{submitted}/front", params={"show": 3}).status_code == 409


def test_two_points_show_the_front_best(client: TestClient, learned: JobRecord) -> None:
    front = client.get(f"{JOBS}/{learned.id}/front", params={"show": 2}).json()
    subset = front["subset"]
    assert len(subset["trials"]) == 2
    assert subset["exact"]
    assert subset["whole"] == pytest.approx(front["hypervolume"])
    assert 0 < subset["hypervolume"] < subset["whole"]
    assert "2 of" in subset["statement"]
    every = client.get(f"{JOBS}/{learned.id}/front", params={"show": 99}).json()
    assert every["subset"]["trials"] == [point["trial"] for point in every["points"]]


def configuration(**changes: Any) -> dict[str, Any]:
    component = {"method": "lora", "size": [4], "roles": ["attention.query", "attention.value"]}
    return {"components": [component], "layers": [False, True], "learning_rate": 1e-3, **changes}


def test_the_model_is_asked_in_a_process_of_its_own(
    client: TestClient, learned: JobRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = client.post(f"{JOBS}/{learned.id}/predict", json={"configuration": configuration()}).json()
    # LoRA of rank 4 on two square matrices of width 16 in one layer.
    assert found["known"] == {"trainable_parameters": 2 * 4 * (16 + 16)}
    assert (found["trial"], found["trials"]) == (None, TRIALS)
    expected = found["expected"]["accuracy"]
    assert expected["low"] < accuracy(256, 1e-3) < expected["high"]
    assert expected["high"] - expected["low"] < 0.2
    assert 0 <= found["on_front"] <= found["feasible"] == 1
    assert "Gaussian process on 24 trials" in found["statement"]

    command = (api.prediction.sys.executable, "-c", "raise SystemExit('out of memory')")
    monkeypatch.setattr(api.prediction, "COMMAND", command)
    response = client.post(f"{JOBS}/{learned.id}/predict", json={"configuration": configuration()})
    assert response.status_code == 503, "its end is not the user's fault"
    assert "out of memory" in response.json()["detail"]


def test_before_there_are_results_only_what_is_exact_is_said(client: TestClient, submitted: str) -> None:
    point = {"lora.size": 2, "learning_rate": 2e-3}
    found = client.post(f"{JOBS}/{submitted}/predict", json={"point": point}).json()
    assert found["known"] == {"trainable_parameters": 256}
    assert (found["expected"], found["on_front"]) == ({}, None)
    assert "needs 3 trials" in found["statement"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body"),
        ({"configuration": configuration(), "point": {}}, "body"),
        (
            {"configuration": configuration(components=[{"method": "lora", "size": [2]}], layers=[], learning_rate=7)},
            "configuration.learning_rate",
        ),
        ({"configuration": configuration(sparsity=2)}, "configuration.sparsity"),
        ({"configuration": configuration(components=[{"method": "ia3"}])}, "configuration.components"),
        ({"point": {"lora.size": 3}}, "point"),
        ({"point": {}}, "point"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_the_search_could_not_try_is_refused(
    client: TestClient, submitted: str, body: dict[str, Any], field: str
) -> None:
    response = client.post(f"{JOBS}/{submitted}/predict", json=body)
    assert response.status_code == 422, response.text
    assert field in [error["field"] for error in response.json()["errors"]]


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "importance"), ("GET", "picks"), ("POST", "predict"), ("GET", "front?show=1")]
)
def test_a_job_that_is_not_there(client: TestClient, method: str, path: str) -> None:
    body = {"configuration": configuration()} if method == "POST" else None
    assert client.request(method, f"{JOBS}/none/{path}", json=body).status_code == 404
