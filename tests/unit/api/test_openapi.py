"""The OpenAPI document: every route of the design, described, with examples that its own schema accepts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from fastapi.testclient import TestClient

EXPECTED = {
    ("post", "/v1/jobs"),
    ("get", "/v1/jobs"),
    ("get", "/v1/jobs/{job_id}"),
    ("delete", "/v1/jobs/{job_id}"),
    ("post", "/v1/jobs/{job_id}/cancel"),
    ("post", "/v1/jobs/{job_id}/pause"),
    ("post", "/v1/jobs/{job_id}/resume"),
    ("get", "/v1/jobs/{job_id}/trials"),
    ("get", "/v1/jobs/{job_id}/trials/{number}"),
    ("get", "/v1/jobs/{job_id}/front"),
    ("get", "/v1/jobs/{job_id}/recipe"),
    ("get", "/v1/jobs/{job_id}/adapter"),
    ("get", "/v1/jobs/{job_id}/audit"),
    ("get", "/v1/jobs/{job_id}/importance"),
    ("get", "/v1/jobs/{job_id}/picks"),
    ("get", "/v1/jobs/{job_id}/transfer"),
    ("get", "/v1/jobs/{job_id}/audit"),
    ("post", "/v1/jobs/{job_id}/predict"),
    ("get", "/v1/jobs/{job_id}/events"),
    ("post", "/v1/spaces/check"),
    ("get", "/v1/methods"),
    ("get", "/v1/health"),
    ("get", "/v1/health/live"),
    ("get", "/v1/metrics"),
}


@pytest.fixture
def document(client: TestClient) -> dict[str, Any]:
    response = client.get("/api/v1/openapi.json")
    assert response.status_code == 200
    found: dict[str, Any] = response.json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def test_the_routes_are_those_of_the_design(document: dict[str, Any]) -> None:
    assert {(method, path) for method, path, _ in operations(document)} == EXPECTED
    assert document["servers"] == [{"url": "/api"}]


def test_every_route_has_a_description_and_an_example(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        assert operation["summary"], (method, path)
        assert len(operation["description"]) > 20, (method, path)
        success = [code for code in operation["responses"] if code.startswith("2")]
        assert success == sorted(success)
        for content in operation["responses"][success[0]].get("content", {}).values():
            assert "example" in content, (method, path)
        for content in operation.get("requestBody", {}).get("content", {}).values():
            assert content["examples"], (method, path)


def test_every_parameter_is_described(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        for parameter in operation.get("parameters", []):
            assert parameter.get("description"), (method, path, parameter["name"])


def test_examples_are_what_the_schemas_say(document: dict[str, Any]) -> None:
    checked = 0
    for _, _, operation in operations(document):
        bodies = [
            (content["schema"], example["value"])
            for content in operation.get("requestBody", {}).get("content", {}).values()
            for example in content["examples"].values()
        ]
        answers = [
            (content["schema"], content["example"])
            for response in operation["responses"].values()
            for media, content in response.get("content", {}).items()
            if media == "application/json" and "schema" in content and "example" in content
        ]
        for schema, example in bodies + answers:
            jsonschema.validate(example, {**schema, "components": document["components"]})
            checked += 1
    assert checked >= 14


def test_problems_are_part_of_the_document(document: dict[str, Any]) -> None:
    assert set(document["components"]["schemas"]["Problem"]["properties"]) >= {"type", "title", "status", "errors"}
    for method, path, operation in operations(document):
        for code, response in operation["responses"].items():
            if code.startswith("4"):
                assert list(response["content"]) == ["application/problem+json"], (method, path, code)
