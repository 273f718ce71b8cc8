"""The command line, over a real store: what it prints, its exit codes, its errors."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
import yaml

from api.commands.output import print_front
from api.commands.search import _conclude
from api.services import Services
from space.allocators import ALLOCATORS
from space.errors import FieldError
from space.methods import METHODS
from space.methods.method import Kind
from space.treatments import TREATMENTS
from storage.records import JobRecord
from storage.store import Store

Invoke = Callable[..., Any]


@pytest.fixture
def job_file(tmp_path: Path, spec: dict[str, Any], store: Store) -> Path:
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump({**spec, "model": {"path": "model"}, "task": {"data": {"path": "data.jsonl"}}}))
    return path


@pytest.fixture
def job(searched: Callable[[], JobRecord]) -> str:
    return searched().id


def test_submit_queues_in_the_data_folder(invoke: Invoke, store: Store, job_file: Path, tmp_path: Path) -> None:
    printed = json.loads(invoke("submit", str(job_file), "--json").stdout)
    stored = store.job(printed["id"])
    assert stored.state == "queued"
    assert stored.spec["model"]["path"] == str(tmp_path / "model")
    assert stored.spec["task"]["data"]["path"] == str(tmp_path / "data.jsonl")


def test_submit_under_a_key_queues_once(invoke: Invoke, store: Store, job_file: Path) -> None:
    for _ in range(2):
        invoke("submit", str(job_file), "--idempotency-key", "mine")
    assert len(store.jobs().items) == 1


def test_its_version_is_the_installed_one(invoke: Invoke) -> None:
    assert invoke("--version").stdout == f"paretune {version('paretune')}\n"


def test_a_bad_job_is_an_error_with_its_fields(invoke: Invoke, store: Store, job_file: Path) -> None:
    job_file.write_text(job_file.read_text() + "\nworkers: 0\ncolour: red\n")
    result = invoke("submit", str(job_file), code=1)
    assert re.search(r"^  workers: should be", result.stderr, re.M)
    assert re.search(r"^  colour: unknown field; known: name", result.stderr, re.M)
    assert store.jobs().items == ()


@pytest.mark.parametrize("content", ["a: [", "- 1", "", "\x00"])
def test_a_file_that_is_no_job_says_so(invoke: Invoke, store: Store, tmp_path: Path, content: str) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(content)
    assert str(path) in invoke("submit", str(path), code=1).stderr


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("name: a\nname: b\n", "'name' stands twice"),
        ("budget: {trials: 1, trials: 2}\n", "'trials' stands twice"),
        ("on: 1\n", "'on' is no field's name"),
        ("1: x\n", "'1' is no field's name"),
        ("? [a]\n: x\n", "a list or mapping is no field's name"),
        ("a: &x [1]\nb: *x\n", "an alias"),
        ("a:\n  <<: {b: 1}\n", "'<<' is no field's name"),
        ("name: !!binary YQ==\n", "a tag"),
        ("name: !!map [1]\n", "a tag"),
        ("name: !!python/object/apply:os.getcwd []\n", "a tag"),
        ("workers: " + "9" * 5000 + "\n", "cannot be read as YAML"),
        ("[" * 3000, "nested too deep"),
        ("#" * (1 << 20) + "\n", "larger than 1 MiB"),
        ("name: \ud800".encode("utf-8", "surrogatepass"), "cannot be read"),
    ],
)
def test_yaml_that_says_more_than_a_job_can_is_refused(
    invoke: Invoke, store: Store, job_file: Path, content: str | bytes, says: str
) -> None:
    job_file.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert says in invoke("submit", str(job_file), code=1).stderr.replace("\n", " ")
    assert store.jobs().items == ()


def test_a_job_file_of_another_editor_is_read_alike(invoke: Invoke, store: Store, job_file: Path) -> None:
    """With a byte order mark, Windows line ends, and a name that looks like a date."""
    content = job_file.read_text().replace("name: topics", "name: 2026-05-04").replace("\n", "\r\n")
    job_file.write_bytes(b"\xef\xbb\xbf" + content.encode())
    assert json.loads(invoke("submit", str(job_file), "--json").stdout)["name"] == "2026-05-04"


def test_a_missing_file_says_so(invoke: Invoke, store: Store, tmp_path: Path) -> None:
    assert "cannot be read" in invoke("submit", str(tmp_path / "none.yaml"), code=1).stderr


def test_yaml_numbers_are_read_as_meant(invoke: Invoke, store: Store, job_file: Path) -> None:
    spec = yaml.safe_load(job_file.read_text())
    spec["space"]["learning_rate"] = "RATES"
    job_file.write_text(yaml.safe_dump(spec).replace("RATES", "[1e-4, 5E-3]"))
    printed = json.loads(invoke("submit", str(job_file), "--json").stdout)
    assert printed["spec"]["space"]["learning_rate"] == [1e-4, 5e-3]


def test_jobs_are_listed(invoke: Invoke, job: str) -> None:
    assert [each["id"] for each in json.loads(invoke("jobs", "--json").stdout)] == [job]
    assert job in invoke("jobs").stdout
    assert json.loads(invoke("jobs", "--state", "failed", "--json").stdout) == []
    assert "state" in invoke("jobs", "--state", "happy", code=1).stderr


def test_a_job_and_a_trial_are_shown(invoke: Invoke, job: str) -> None:
    shown = json.loads(invoke("show", job, "--json").stdout)
    assert (shown["state"], len(shown["trials"])) == ("completed", 4)
    assert shown["audit"]["audited"] == [0, 1, 2]
    said = invoke("show", job).stdout
    assert "nan" in said
    assert "too few to tell how well short runs order configurations" in said
    assert "the rung at 1% misled" in said
    trial = invoke("show", job, "--trial", "2").stdout
    assert "the loss is not a number" in trial
    assert "LoRA r=2 on query" in trial
    assert re.search(r"what went where.*lora +. +attention.query +. +2 +. +2", trial, re.S)
    assert json.loads(invoke("show", job, "--trial", "1", "--json").stdout)["number"] == 1
    assert "no job" in invoke("show", "nothing", code=1).stderr


def test_the_front_is_printed(invoke: Invoke, job: str) -> None:
    front = json.loads(invoke("front", job, "--json").stdout)
    assert [point["trial"] for point in front["points"]] == [3, 0, 1]
    text = invoke("front", job).stdout
    assert "knee" in text
    assert "P(front)" in text
    assert "selected it" in text
    assert front["statement"] in text


def test_the_front_is_shown_by_a_few_points(invoke: Invoke, job: str) -> None:
    text = invoke("front", job, "--show", "1").stdout
    assert "1 of 3 points keep 89.0% of the front's hypervolume" in text
    assert "lora" not in text.partition("└")[0]
    assert len(json.loads(invoke("front", job, "--show", "2", "--json").stdout)["subset"]["trials"]) == 2


def test_an_analysis_is_printed(invoke: Invoke, job: str) -> None:
    text = invoke("analyse", job).stdout
    assert "20 trials with results; there are 2" in text
    for pick in ("knee", "best:accuracy", "best:trainable_parameters"):
        assert pick in text
    limited = invoke("analyse", job, "--pick", "best:accuracy,trainable_parameters<=200", "--json").stdout
    (chosen,) = json.loads(limited)["picks"]
    assert chosen["point"]["objectives"] == {"accuracy": 0.8, "trainable_parameters": 128}
    assert "pick: unknown pick 'x'" in invoke("analyse", job, "--pick", "x", code=1).stderr


def test_a_belief_is_printed(invoke: Invoke, job: str, tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    path.write_text("components: [{method: lora, size: [2]}]\nlearning_rate: 2e-3\n")
    text = invoke("predict", job, str(path)).stdout
    assert "trainable_parameters" in text
    assert "256" in text
    assert "Trial 1 trained the same model" in text
    path.write_text("- 1")
    assert "CONFIGURATION: " in invoke("predict", job, str(path), code=1).stderr


def test_a_recipe_is_exported(invoke: Invoke, job: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    invoke("export", job, "--trial", "1")
    assert yaml.safe_load((tmp_path / "topics-trial-1.yaml").read_text())["recipe"] == 1
    invoke("export", job, "--output", str(tmp_path / "mine.yaml"))
    assert (tmp_path / "mine.yaml").exists()
    invoke("export", job, "--pick", "best:accuracy", "--output", str(tmp_path / "picked.yaml"))
    assert "trial: 1" in (tmp_path / "picked.yaml").read_text()
    assert "format" in invoke("export", job, "--format", "word", code=1).stderr
    assert "--output" in invoke("export", job, "--output", str(tmp_path / "no" / "file"), code=1).stderr


def test_requests_change_the_job(invoke: Invoke, store: Store, submitted: str) -> None:
    for command, state in (("pause", "paused"), ("resume", "queued"), ("cancel", "cancelled")):
        assert state in invoke(command, submitted).stdout
        assert store.job(submitted).state == state
    assert "cancelled" in invoke("resume", submitted, code=1).stderr
    invoke("delete", submitted)
    assert store.jobs().items == ()


def test_a_baseline_that_breaks_a_constraint_is_not_called_dominated(
    invoke: Invoke, job: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    front = json.loads(invoke("front", job, "--json").stdout)
    outside = {**front["points"][0], "trial": 99, "feasible": False, "on_front": False}
    monkeypatch.setenv("COLUMNS", "200")
    print_front({**front, "baselines": [outside]})
    row = next(line for line in capsys.readouterr().out.splitlines() if "99" in line)
    assert "breaks a constraint" in row


def test_a_jobs_id_is_whole_in_a_narrow_terminal(invoke: Invoke, job: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert job in invoke("jobs").stdout


def test_methods_are_a_list_of_names_kinds_and_engines(invoke: Invoke) -> None:
    rows = json.loads(invoke("methods", "--json").stdout)
    assert [row["name"] for row in rows] == [*METHODS, *ALLOCATORS, *TREATMENTS]
    assert all(row["kind"] in get_args(Kind) and row["engine"] for row in rows)
    assert "lora" in invoke("methods").stdout


def test_check_says_what_a_space_holds(invoke: Invoke, job_file: Path, inspector: Any) -> None:
    assert "128 to 256 trainable parameters" in invoke("check", str(job_file)).stdout
    inspector.refusal = FieldError("task.label", "no column 'label'; it has: 'text'")
    assert "task.label: no column 'label'" in invoke("check", str(job_file), code=1).stderr
    report = json.loads(invoke("check", str(job_file), "--json", code=1).stdout)
    assert [error["field"] for error in report["errors"]] == ["task.label"]


def test_keys_are_made_listed_and_revoked(invoke: Invoke, store: Store) -> None:
    secret = invoke("keys", "create", "mine").stdout.strip()
    record = store.check_key(secret)
    assert record is not None
    listed = invoke("keys", "list", "--json").stdout
    assert [row["name"] for row in json.loads(listed)] == ["mine"]
    assert secret not in listed
    invoke("keys", "revoke", record.id)
    assert store.check_key(secret) is None
    assert "no key" in invoke("keys", "revoke", "nothing", code=1).stderr
    assert "key" in json.loads(invoke("keys", "create", "other", "--json").stdout)


def test_the_database_is_made(invoke: Invoke, tmp_path: Path) -> None:
    invoke("db", "upgrade", "--data-dir", str(tmp_path / "new"))
    assert (tmp_path / "new" / "paretune.db").exists()
    wrong = invoke("db", "upgrade", "--database-url", "mysql://x/y", code=1).stderr
    assert "postgresql" in wrong


def test_a_folder_without_data_says_what_to_name(invoke: Invoke, tmp_path: Path) -> None:
    assert "--server" in invoke("jobs", "--data-dir", str(tmp_path / "none"), code=1).stderr


def test_a_service_that_is_away_says_how_to_start_one(invoke: Invoke) -> None:
    # Port 1 is reserved and nothing listens there.
    assert "paretune serve" in invoke("jobs", "--server", "http://127.0.0.1:1", code=1).stderr


def test_a_bad_setting_names_its_variable(invoke: Invoke, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARETUNE_WORKERS", "none")
    assert "PARETUNE_WORKERS" in invoke("jobs", code=1).stderr


def test_serve_refuses_an_open_address_without_a_key(invoke: Invoke, store: Store) -> None:
    assert "paretune keys create" in invoke("serve", "--host", "0.0.0.0", "--port", "0", code=1).stderr


def test_search_wants_a_job_or_one_to_resume(invoke: Invoke) -> None:
    invoke("search", code=2)


def test_a_search_that_a_full_disk_paused_says_why_and_how_to_go_on(
    services: Services, submitted: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert services.store.claim_job("loop", 60.0) is not None
    paused = services.store.end_job(submitted, "loop", "paused", "only 3 MiB are free; free space there")
    with pytest.raises(typer.Exit):
        _conclude(services, paused, as_json=False)
    said = capsys.readouterr().err
    assert "only 3 MiB are free; free space there" in said
    assert f"paretune search --resume {submitted}" in said
