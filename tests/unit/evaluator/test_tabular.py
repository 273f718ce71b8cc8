"""Recorded tables: read, costs fitted, runs replayed, candidates mapped to them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.synthetic_peft import encoder_table
from evaluator.tabular import Cost, fit_cost, read_table
from evaluator.tabular_nearest import NearestRuns
from space.errors import FieldError
from space.load import load_space
from space.space import SearchSpace

RUNGS = (8, 16, 32, 64, 128)
SPEC = {"methods": ["lora", "serial-adapter"], "layers": "bits"}


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return load_space(SPEC, encoder_table(3, 32))


def recorded(space: SearchSpace, runs: int = 6) -> list[dict[str, Any]]:
    """Rows of runs that cost 2 + 0.1·index seconds a rung and 0.05 a step; run 1 has a second seed, run 3 failed."""
    rows: list[dict[str, Any]] = []
    for index, seed in [*((index, 0) for index in range(runs)), (1, 1)]:
        point = space.sample(np.random.default_rng(index))
        fields = {"index": index, "seed": seed, "point": json.dumps(point), "plan": space.plan(point).key}
        for begin, end in zip((0, *RUNGS), RUNGS, strict=False):
            if index == 3 and end == 64:
                rows.append({**fields, "step": end, "failure": "nan"})
                break
            row = {**fields, "step": end, "accuracy": end / 256 + index / 100 + seed / 1000, "loss": 1.0 / end}
            row["search_cpu_seconds"] = 2 + 0.1 * index + 0.05 * (end - begin)
            rows.append(row | ({"test_accuracy": 0.5 + index / 100} if end == 128 else {}))
    return rows


def write(path: Path, rows: list[dict[str, Any]], made_on: SearchSpace, **changes: Any) -> Path:
    setting = {
        "full_steps": 128,
        "rungs": RUNGS,
        "space": SPEC,
        "site_table": made_on.table.model_dump(mode="json"),
        "scores": None,
        "class_shares": [0.5, 0.3, 0.2],
        **changes,
    }
    kept = {name: value for name, value in setting.items() if value != "absent"}
    columns = list(dict.fromkeys(name for row in rows for name in row))
    table = pa.table({name: [row.get(name) for row in rows] for name in columns})
    pq.write_table(table.replace_schema_metadata({"paretune": json.dumps(kept)}), path)
    return path


@pytest.fixture
def path(tmp_path: Path, space: SearchSpace) -> Path:
    return write(tmp_path / "table.parquet", recorded(space), space)


def test_a_run_is_replayed_as_it_was_recorded_but_for_the_test_split(path: Path) -> None:
    run = read_table(path).runs[2, 0]
    answer = run.replay(0, 32)
    assert answer.measurement is not None
    assert answer.measurement.step == 32
    assert answer.measurement.metrics["accuracy"] == pytest.approx(32 / 256 + 0.02)
    assert answer.measurement.test_metrics == {}
    assert not any(name.startswith("test") for name in run.rungs[128])
    assert run.test == {"accuracy": 0.52}
    assert read_table(path).runs[1, 1].rungs[8]["accuracy"] == pytest.approx(8 / 256 + 0.011)


def test_costs_are_those_that_made_the_rungs_and_a_full_run_pays_the_fixed_part_once(path: Path) -> None:
    run = read_table(path).runs[2, 0]
    assert run.replay(0, 128).seconds == pytest.approx(2.2 + 0.05 * 128)
    assert run.replay(32, 64).seconds == pytest.approx(2.2 + 0.05 * 32)
    climbed = sum(run.replay(begin, end).seconds for begin, end in [(0, 8), (8, 32), (32, 128)])
    assert climbed == pytest.approx(run.replay(0, 128).seconds + 2 * 2.2)


def test_a_fit_weighs_errors_by_their_share_and_is_never_negative() -> None:
    rng = np.random.default_rng(0)
    stretches = [8, 8, 16, 32, 64]
    fits = []
    for _ in range(300):
        noisy = [(2 + 0.1 * steps) * rng.lognormal(0, 0.05) for steps in stretches]
        fit = fit_cost(stretches, noisy)
        assert fit is not None
        fits.append((fit.fixed, fit.per_step))
    assert np.mean(fits, axis=0) == pytest.approx([2, 0.1], rel=0.03)
    assert fit_cost(stretches, [5.0, 5.0, 4.0, 3.0, 1.0]) == Cost(pytest.approx(2.5, rel=1), 0.0)
    assert fit_cost([8, 8], [1.0, 1.1]) is None
    assert fit_cost([], []) is None


def test_a_failed_run_fails_where_its_rung_would_have_ended(path: Path) -> None:
    run = read_table(path).runs[3, 0]
    assert run.replay(0, 32).measurement is not None
    for end in (64, 128):
        failed = run.replay(32, end)
        assert (failed.measurement, failed.failure) == (None, "nan")
        assert failed.seconds == pytest.approx(2.3 + 0.05 * 32)


def test_a_run_too_short_to_tell_its_cost_has_the_usual_one(tmp_path: Path, space: SearchSpace) -> None:
    rows = [row for row in recorded(space) if row["index"] != 0 or row["step"] == 8]
    rows = [row | ({"failure": "nan"} if row["index"] == 0 else {}) for row in rows]
    run = read_table(write(tmp_path / "t.parquet", rows, space)).runs[0, 0]
    assert run.rungs == {}
    assert run.replay(0, 8).seconds == pytest.approx(2.25 + 0.05 * 8, rel=0.05)


def test_what_was_not_recorded_is_refused_with_what_was(path: Path, tmp_path: Path) -> None:
    with pytest.raises(FieldError, match="choose from 8, 16, 32, 64, 128"):
        read_table(path).runs[0, 0].replay(0, 14)
    with pytest.raises(FieldError, match="record_table"):
        read_table(tmp_path / "none.parquet")


def test_a_table_that_cannot_be_replayed_says_what_it_lacks(tmp_path: Path, space: SearchSpace) -> None:
    rows = recorded(space)
    with pytest.raises(FieldError, match="lacks class_shares, scores"):
        read_table(write(tmp_path / "a.parquet", rows, space, class_shares="absent", scores="absent"))
    first = [row for row in rows if row["step"] == 8]
    with pytest.raises(FieldError, match="no run with two rungs"):
        read_table(write(tmp_path / "b.parquet", first, space))


def test_the_space_is_the_recorded_one_or_it_is_an_error(path: Path, tmp_path: Path, space: SearchSpace) -> None:
    table = read_table(path)
    assert table.space().feature_names == space.feature_names
    changed = [row | {"plan": "of another time"} for row in recorded(space)]
    with pytest.raises(FieldError, match="record the table anew"):
        read_table(write(tmp_path / "c.parquet", changed, space)).space()
    with pytest.raises(FieldError, match="no longer fits"):
        read_table(write(tmp_path / "d.parquet", recorded(space), space, space={**SPEC, "rank": [3]})).space()


def test_means_and_runs_are_of_one_seed(path: Path) -> None:
    table = read_table(path)
    assert [run.index for run in table.of_seed()] == list(range(6))
    assert [run.index for run in table.of_seed(1)] == [1]
    assert table.full_seconds() == pytest.approx(np.mean([2 + 0.1 * index + 6.4 for index in range(6)]))
    assert (table.full_steps, table.rungs, table.class_shares) == (128, RUNGS, (0.5, 0.3, 0.2))


def test_each_candidate_gets_the_nearest_run_that_is_left(path: Path, space: SearchSpace) -> None:
    runs = read_table(path).of_seed()
    features = space.features([run.point for run in runs])
    for candidate in (space.sample(np.random.default_rng(seed)) for seed in range(100, 105)):
        away = np.linalg.norm(features - space.features([candidate]), axis=1)
        nearest = NearestRuns(space, runs)
        taken = [nearest.take(candidate) for _ in range(7)]
        assert [None if run is None else run.index for run in taken] == [*np.argsort(away, kind="stable"), None]


def test_a_recorded_point_gets_itself_and_ties_go_to_the_smaller_index(path: Path, space: SearchSpace) -> None:
    runs = read_table(path).of_seed()
    nearest = NearestRuns(space, [*runs, *runs])
    first, second = nearest.take(runs[4].point), nearest.take(runs[4].point)
    assert (first, second) == (runs[4], runs[4])


def test_a_candidate_need_not_be_valid(path: Path, space: SearchSpace) -> None:
    runs = read_table(path).of_seed()
    point = {**runs[0].point, **{f"layer.{layer}": False for layer in range(3)}}
    assert space.check(point) is not None
    assert NearestRuns(space, runs).take(point) is not None


def test_replay_loads_no_tensor_library() -> None:
    code = "import sys, evaluator.pool.replay, evaluator.tabular_nearest; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], check=False).returncode == 0
