"""One shape of error everywhere: RFC 9457 problem documents."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx import Response

from api.services import Services
from storage.errors import StoreUnavailable
from storage.store import Store

JOBS = "/api/v1/jobs"
NOWHERE = f"{JOBS}/0000000000000000"


def assert_problem(response: Response, status: int) -> dict[str, Any]:
    document: dict[str, Any] = response.json()
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert document.keys() == {"type", "title", "status", "detail", "instance", "errors"}
    assert document["status"] == status
    assert document["detail"]
    assert all(error.keys() == {"field", "message"} and error["message"] for error in document["errors"])
    return document


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", NOWHERE),
        ("DELETE", NOWHERE),
        ("POST", f"{NOWHERE}/cancel"),
        ("POST", f"{NOWHERE}/pause"),
        ("POST", f"{NOWHERE}/resume"),
        ("GET", f"{NOWHERE}/trials"),
        ("GET", f"{NOWHERE}/trials/0"),
        ("GET", f"{NOWHERE}/front"),
        ("GET", f"{NOWHERE}/recipe"),
        ("GET", f"{NOWHERE}/adapter"),
        ("GET", f"{NOWHERE}/events"),
        ("GET", "/api/v1/nothing"),
        ("GET", "/api/"),
        ("POST", "/api/v2/jobs"),
    ],
)
def test_what_is_not_there(client: TestClient, method: str, path: str) -> None:
    document = assert_problem(client.request(method, path), 404)
    assert document["instance"] == path


@pytest.mark.parametrize(
    ("path", "field"),
    [
        (f"{JOBS}?limit=0", "limit"),
        (f"{JOBS}?state=happy", "state"),
        (f"{JOBS}?after=nonsense", "after"),
        (f"{NOWHERE}/trials?limit=-1", "limit"),
        (f"{NOWHERE}/trials?descending=perhaps", "descending"),
        (f"{NOWHERE}/trials/last", "number"),
        (f"{NOWHERE}/recipe?trial=x", "trial"),
        (f"{NOWHERE}/adapter?seed=-1", "seed"),
        (f"{NOWHERE}/events?after=-1", "after"),
        (f"{JOBS}?after=%00", "after"),
        (f"{JOBS}?after=" + "W" * 1999, "after"),
        (f"{JOBS}?after=" + "x" * 5000, "after"),
        (f"{JOBS}?after=%F0%9F%92%A5", "after"),
    ],
)
def test_parameters_that_cannot_be_used(client: TestClient, path: str, field: str) -> None:
    assert [error["field"] for error in assert_problem(client.get(path), 422)["errors"]] == [field]


@pytest.mark.parametrize("seen", ["-1", "abc", "1.5", "9" * 30, "\x00", "\xe9"])
def test_a_last_event_that_was_never_sent(client: TestClient, submitted: str, seen: str) -> None:
    response = client.get(f"{JOBS}/{submitted}/events", headers={"Last-Event-ID": seen.encode("latin-1")})
    assert [error["field"] for error in assert_problem(response, 422)["errors"]] == ["last-event-id"]


@pytest.mark.parametrize("path", [JOBS, "/api/v1/spaces/check"])
@pytest.mark.parametrize("body", ["{", "[]", "null", '"text"', "{}", '{"model": 1}', '{"model": {"path": "\\ud800"}}'])
def test_bodies_that_cannot_be_used(client: TestClient, path: str, body: str) -> None:
    response = client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert_problem(response, 400 if body == "{" else 422)


@pytest.mark.parametrize(
    "body",
    [b'{"name": "\xff"}', b'{"workers": ' + b"9" * 5000 + b"}", b"[" * 100_000],
    ids=["latin-1", "a number too long", "too deep"],
)
def test_bodies_that_no_parser_takes(client: TestClient, body: bytes) -> None:
    response = client.post(JOBS, content=body, headers={"Content-Type": "application/json"})
    assert "cannot be read as JSON" in assert_problem(response, 400)["detail"]


@pytest.mark.parametrize("media", [None, "text/plain", "application/x-www-form-urlencoded", "json"])
def test_a_body_that_is_not_declared_as_json(client: TestClient, spec: dict[str, Any], media: str | None) -> None:
    headers = {"Content-Type": media} if media else {}
    document = assert_problem(client.post(JOBS, content=json.dumps(spec).encode(), headers=headers), 415)
    assert "Content-Type: application/json" in document["detail"]


@pytest.mark.parametrize("media", ["application/json; charset=utf-8", "Application/JSON", "application/problem+json"])
def test_json_by_its_other_names_is_taken(client: TestClient, spec: dict[str, Any], media: str) -> None:
    response = client.post(JOBS, content=json.dumps(spec).encode(), headers={"Content-Type": media})
    assert response.status_code == 201, response.text


@pytest.mark.parametrize("body", [None, b""])
def test_a_body_that_is_not_there_is_a_field_with_a_name(client: TestClient, body: bytes | None) -> None:
    document = assert_problem(client.post(JOBS, content=body, headers={"Content-Type": "application/json"}), 422)
    assert [error["field"] for error in document["errors"]] == ["body"]


def test_very_many_errors_are_cut(client: TestClient, spec: dict[str, Any]) -> None:
    response = client.post(JOBS, json={**spec, **{f"field{number}": 1 for number in range(1000)}})
    document = assert_problem(response, 422)
    assert len(document["errors"]) == 100
    assert "1000 fields" in document["detail"]
    assert "first 100" in document["detail"]


def test_all_errors_come_at_once(client: TestClient) -> None:
    response = client.post(JOBS, json={"name": "", "workers": 0})
    fields = {error["field"] for error in assert_problem(response, 422)["errors"]}
    assert fields == {"name", "workers", "model", "task"}


@pytest.mark.parametrize("pieces", [[b" " * (2 << 20)], [b" " * (1 << 19)] * 3])
def test_a_body_that_is_too_large(client: TestClient, pieces: list[bytes]) -> None:
    """With its length declared, and in chunks."""
    body = pieces[0] if len(pieces) == 1 else iter(pieces)
    assert_problem(client.post(JOBS, content=body, headers={"Content-Type": "application/json"}), 413)


def test_a_method_that_a_path_does_not_have(client: TestClient) -> None:
    response = client.put(JOBS)
    assert "takes GET, POST, not PUT" in assert_problem(response, 405)["detail"]
    assert response.headers["allow"] == "GET, POST"


def test_no_page_loads_scripts_of_another_host(client: TestClient) -> None:
    assert client.get("/api/v1/openapi.json").status_code == 200
    for page in ("docs", "redoc"):
        assert_problem(client.get(f"/api/v1/{page}"), 404)


def test_a_cursor_of_another_order(client: TestClient, submitted: str) -> None:
    path = f"{JOBS}/{submitted}/trials"
    assert_problem(client.get(path, params={"after": "bm8"}), 422)


def test_a_database_that_is_away(client: TestClient, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise StoreUnavailable("the database cannot be reached; start it")

    monkeypatch.setattr(type(store), "jobs", away)
    monkeypatch.setattr(type(store), "ping", away)
    assert_problem(client.get(JOBS), 503)
    health = client.get("/api/v1/health")
    assert (health.status_code, health.json()["store"]) == (503, "unreachable")


def test_a_failure_of_ours_tells_nothing_of_the_inside(
    client: TestClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> Callable[[], None]:
        raise RuntimeError("secret")

    monkeypatch.setattr(type(services), "front", broken)
    assert "secret" not in str(assert_problem(client.get(f"{NOWHERE}/front"), 500))
