"""A recorded table can be gone on with: its runs are read back as they were recorded."""

from __future__ import annotations

from benchmarks.record_table import RUNGS, TABLES, recorded_before
from evaluator.tabular import TEST, read_table


def test_a_new_work_folder_begins_with_the_runs_of_the_table() -> None:
    path = TABLES / "glosses.parquet"
    table = read_table(path)
    runs = recorded_before(path)
    assert {(run["index"], run["seed"]) for run in runs} == table.runs.keys()
    assert len({run["name"] for run in runs}) == len(runs)
    for run in runs:
        known = table.runs[run["index"], run["seed"]]
        assert (run["point"], run["plan"]) == (known.point, known.plan)
        assert ("failure" in run) == (known.failure is not None)
        steps = [rung["step"] for rung in run["rungs"]]
        assert tuple(steps) == RUNGS[: len(steps)]
        for rung in run["rungs"]:
            shown = {name: value for name, value in rung.items() if not name.startswith(TEST) and name != "step"}
            assert shown == dict(known.rungs[rung["step"]])


def test_without_a_table_there_is_nothing_to_go_on_with() -> None:
    assert recorded_before(TABLES / "not-recorded.parquet") == []
