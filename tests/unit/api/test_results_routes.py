"""What a search found, over HTTP: trials, front, recipe; and what a space holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from storage.records import JobRecord

JOBS = "/api/v1/jobs"


@pytest.fixture
def job(searched: Callable[[], JobRecord]) -> str:
    return searched().id


def test_trials_are_listed_with_plans_counted(client: TestClient, job: str) -> None:
    items = client.get(f"{JOBS}/{job}/trials").json()["items"]
    assert [(each["number"], each["state"]) for each in items] == [
        (0, "completed"),
        (1, "completed"),
        (2, "failed"),
        (3, "completed"),
    ]
    # LoRA of rank 1 on query and value of two layers of width 16: 2 · 2 · (16 + 16).
    assert [each["trainable_parameters"] for each in items] == [128, 256, 256, 0]
    assert items[3]["name"] == "head-only"


def test_trials_are_filtered_sorted_and_paged(client: TestClient, job: str) -> None:
    best = client.get(f"{JOBS}/{job}/trials", params={"sort": "accuracy", "descending": True, "limit": 1}).json()
    assert [each["number"] for each in best["items"]] == [1]
    rest = client.get(
        f"{JOBS}/{job}/trials", params={"sort": "accuracy", "descending": True, "after": best["next"]}
    ).json()
    assert [each["number"] for each in rest["items"]] == [0, 3, 2]
    failed = client.get(f"{JOBS}/{job}/trials", params={"state": "failed"}).json()["items"]
    assert [each["failure"]["reason"] for each in failed] == ["nan"]
    assert len(client.get(f"{JOBS}/{job}/trials", params={"kind": "baseline"}).json()["items"]) == 1


def test_a_trial_has_plan_and_evaluations(client: TestClient, job: str) -> None:
    trial = client.get(f"{JOBS}/{job}/trials/2").json()
    assert len(trial["plan"]["entries"]) == 4
    assert [(each["state"], each["failure"]["reason"]) for each in trial["evaluations"]] == [("failed", "nan")]


def test_the_audit_says_what_short_runs_are_worth(client: TestClient, job: str) -> None:
    audit = client.get(f"{JOBS}/{job}/audit").json()
    assert (audit["metric"], audit["audited"], audit["counted"], audit["lowest"]) == ("accuracy", [0, 1, 2], 2, 0.3)
    assert [(rung["step"], rung["fidelity"], rung["pairs"]) for rung in audit["rungs"]] == [(3, 0.3, 0)]
    assert audit["rises"] == ["the rung at 1% misled"]
    assert "2 audited configurations measured in full so far: too few" in audit["statement"]


def test_a_job_that_has_not_begun_has_nothing_audited(client: TestClient, submitted: str) -> None:
    audit = client.get(f"{JOBS}/{submitted}/audit").json()
    assert (audit["audited"], audit["rungs"]) == ([], [])
    assert audit["statement"] == "Nothing has been audited yet."
    assert client.get(f"{JOBS}/nothing/audit").status_code == 404


def test_the_front_parts_points_from_baselines(client: TestClient, job: str) -> None:
    front = client.get(f"{JOBS}/{job}/front").json()
    assert [point["trial"] for point in front["points"]] == [3, 0, 1]
    assert [point["trial"] for point in front["baselines"]] == [3]
    assert front["dominated"] == []
    assert front["hypervolume"] > front["baseline_hypervolume"]
    assert set(front["reference"]) == {"accuracy", "trainable_parameters"}
    assert front["history"] == [[1.5, 3, 0.4]]
    assert front["knee"] in (0, 1, 3)
    assert "accuracy goes from" in front["statement"]


def test_before_the_first_evaluation_the_front_is_empty(client: TestClient, submitted: str) -> None:
    front = client.get(f"{JOBS}/{submitted}/front").json()
    assert (front["points"], front["hypervolume"], front["knee"]) == ([], 0.0, None)
    assert [each["goal"] for each in front["objectives"]] == ["maximize", "minimize"]


def test_the_recipe_is_the_knees_by_default(client: TestClient, job: str) -> None:
    knee = client.get(f"{JOBS}/{job}/front").json()["knee"]
    default = client.get(f"{JOBS}/{job}/recipe")
    assert default.status_code == 200, default.text
    assert default.headers["content-type"].startswith("application/yaml")
    assert f"trial-{knee}.yaml" in default.headers["content-disposition"]
    assert default.content == client.get(f"{JOBS}/{job}/recipe", params={"pick": "knee"}).content
    assert default.content == client.get(f"{JOBS}/{job}/recipe", params={"trial": knee}).content


@pytest.mark.parametrize(
    ("query", "status", "field"),
    [
        ({"format": "word"}, 422, "format"),
        ({"trial": 1, "pick": "knee"}, 422, "pick"),
        ({"pick": "best"}, 422, "pick"),
        ({"trial": 77}, 404, None),
    ],
)
def test_a_recipe_that_cannot_be_made_says_why(
    client: TestClient, job: str, query: dict[str, Any], status: int, field: str | None
) -> None:
    response = client.get(f"{JOBS}/{job}/recipe", params=query)
    assert response.status_code == status
    assert [error["field"] for error in response.json()["errors"]] == ([field] if field else [])


def test_before_the_front_has_a_point_there_is_no_recipe(client: TestClient, submitted: str) -> None:
    response = client.get(f"{JOBS}/{submitted}/recipe")
    assert response.status_code == 409
    assert "wait" in response.json()["detail"]


def test_a_space_is_described(client: TestClient, spec: dict[str, Any]) -> None:
    report = client.post("/api/v1/spaces/check", json=spec).json()
    assert report["valid"]
    assert report["parameter_range"] == [128, 256]
    assert report["size"] == 2
    assert report["rows"] == {"train": 70, "validation": 15, "test": 15}
    assert any(dimension["kind"] == "float" for dimension in report["dimensions"])


def test_a_space_without_configuration_says_why(client: TestClient, spec: dict[str, Any]) -> None:
    bad = {**spec, "constraints": [{"metric": "trainable_parameters", "max": 5}]}
    report = client.post("/api/v1/spaces/check", json=bad).json()
    assert not report["valid"]
    assert [error["field"] for error in report["errors"]] == ["constraints"]


def test_methods_are_the_catalogue(client: TestClient) -> None:
    methods = {each["name"]: each for each in client.get("/api/v1/methods").json()}
    assert methods["lora"]["kind"] == "method"
    assert methods["lora"]["size"]["name"] == "rank"
    assert methods["lora"]["merges"]
