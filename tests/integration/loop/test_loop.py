"""Whole jobs through the loop, the local pool and the store, on evaluations whose result is a formula."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from loop_setting import Setting

from evaluator.examine import TaskExaminer
from search.job import JobSpec
from search.ledger import history_of, read_trials
from search.objectives import Objectives
from search.pareto import hypervolume, non_dominated
from search.submission import prepare

RUNGS = (2, 6, 18)


def test_a_job_runs_to_a_front_that_its_evaluations_bear_out(setting: Setting) -> None:
    job = setting.run(setting.submit())
    assert (job.state, job.reason) == ("completed", "all 6 trials are sampled")
    trials = setting.store.all_trials(job.id)
    assert sum(trial.kind == "search" for trial in trials) == 6
    assert {trial.state for trial in trials} <= {"completed", "pruned"}

    done = setting.completed(job)
    assert len(done) == len(set(done))
    objectives = Objectives.model_validate(job.context["objectives"])
    front = job.progress["front"]
    points = {point["trial"]: point for point in front["points"]}
    rows = np.array([objectives.minimised(point["objectives"]) for point in points.values()])
    expected = {number for number, kept in zip(points, non_dominated(rows), strict=True) if kept}
    assert {number for number, point in points.items() if point["on_front"]} == expected
    assert front["hypervolume"] == pytest.approx(hypervolume(rows, objectives.reference))
    assert front["knee"] in expected
    for point in points.values():
        full = [
            record
            for record in setting.store.evaluations(job.id, point["trial"])
            if record.stop_step == 18 and record.state == "completed"
        ]
        fresh = [record for record in full if record.purpose != "rung"] or full
        mean = np.mean([record.measurement["metrics"]["accuracy"] for record in fresh])  # type: ignore[index]
        assert point["metrics"]["accuracy"] == pytest.approx(float(mean))
        if point["fresh"]:
            assert point["objectives"]["accuracy"] == pytest.approx(float(mean))
        assert point["fresh"] == (fresh != full or point["kind"] == "baseline")
        (trial,) = [each for each in trials if each.number == point["trial"]]
        assert trial.summary["accuracy"] == pytest.approx(float(mean))


def test_what_objectives_and_constraints_name_is_asked_for_and_nothing_else(setting: Setting, tmp_path: Path) -> None:
    text = tmp_path / "general.txt"
    text.write_text("\n".join(f"the river rose after {days} days" for days in range(20)))
    job = setting.submit(
        task={"data": {"path": str(setting.data)}, "max_length": 16, "general_text": str(text)},
        objectives=[{"metric": "quality"}, {"metric": "forgetting"}],
        constraints=[{"metric": "calibration_error", "max": 0.99}],
        budget={"trials": 2, "steps": 18},
        finalists={"count": 1, "seeds": 1},
    )
    job = setting.run(job)
    assert job.state == "completed"
    found = [set((record.measurement or {})["metrics"]) for record in setting.store.evaluations(job.id)]
    assert all({"forgetting", "calibration_error"} <= metrics for metrics in found)
    assert not any({"memorisation_gap", "merged_latency"} & metrics for metrics in found)
    assert all("forgetting" in point["objectives"] for point in job.progress["front"]["points"])


def test_rungs_continue_from_checkpoints_that_go_when_the_job_ends(setting: Setting) -> None:
    job = setting.run(setting.submit())
    folder = setting.job_folder(job)
    for number, purpose, step, _ in setting.completed(job):
        if purpose == "rung" and step > RUNGS[0]:
            below = RUNGS[RUNGS.index(step) - 1]
            assert (number, "rung", below, 0) in setting.completed(job)
    assert not (folder / "checkpoints").exists()
    assert not any((folder / "adapters").iterdir())


def test_finalists_and_baselines_have_fresh_seeds_test_metrics_and_a_kept_adapter(setting: Setting) -> None:
    job = setting.run(setting.submit())
    again = [
        record for record in setting.store.evaluations(job.id) if record.purpose != "rung" and record.fidelity == 1
    ]
    assert {record.seed for record in again} == {1, 2}
    assert {record.purpose for record in again} == {"finalist", "baseline"}
    for record in again:
        assert record.measurement is not None
        assert record.measurement["test_metrics"]
        (adapter,) = record.artifacts
        assert setting.artifacts.path(adapter.digest).stat().st_size == adapter.size


def test_a_baseline_trains_in_full_with_its_best_learning_rate_only(setting: Setting) -> None:
    job = setting.run(setting.submit())
    by_name: dict[str, list[tuple[float, str]]] = {}
    for trial in setting.store.all_trials(job.id):
        if trial.kind == "baseline" and trial.name != "head-only":
            first = setting.store.evaluations(job.id, trial.number)[0]
            assert first.measurement is not None
            by_name.setdefault(str(trial.name), []).append((first.measurement["metrics"]["loss"], trial.state))
    assert set(by_name) == {"lora-r8-query-value", "serial-adapter", "lora-r8-all-linear", "full-fine-tuning"}
    for candidates in by_name.values():
        assert [state for _, state in sorted(candidates)] == ["completed", "pruned", "pruned"]


def test_a_sampler_sees_the_baselines_that_lie_in_the_space(setting: Setting) -> None:
    space = {"methods": ["lora"], "rank": [4, 8], "sites": {"lora": [["attention.query", "attention.value"]]}}
    job = setting.run(setting.submit(space=space, budget={"trials": 3, "steps": 18}))
    trials = read_trials(setting.store, job.id)
    seen = history_of(trials.values())
    assert {trials[each.number].record.kind for each in seen.trials} == {"search"}
    made = prepare(JobSpec.model_validate(job.spec), TaskExaminer(), setting.store).space
    assert [trials[each.number].record.name for each in seen.others] == ["lora-r8-query-value"] * 3
    assert [made.key(each.point) for each in seen.others] == [trials[each.number].record.key for each in seen.others]
    (full,) = [each for each in seen.others if any(run.fidelity == 1.0 for run in each.observations)]
    assert [(run.fidelity, run.seed) for run in full.observations][-2:] == [(1.0, 1), (1.0, 2)]


def test_a_failed_evaluation_is_data_and_the_job_goes_on(setting: Setting) -> None:
    job = setting.submit(space={"methods": ["lora", "dora"], "rank": [1, 2, 4]}, budget={"trials": 8, "steps": 18})
    (setting.job_folder(job) / "fail-dora").touch()
    job = setting.run(job)
    assert job.state == "completed"
    search = [trial for trial in setting.store.all_trials(job.id) if trial.kind == "search"]
    failed = [trial for trial in search if trial.state == "failed"]
    assert failed
    assert {trial.plan["entries"][0]["method"] for trial in failed} == {"dora"}
    assert {trial.failure["reason"] for trial in failed if trial.failure} == {"nan"}
    assert all(len(setting.store.evaluations(job.id, trial.number)) == 1 for trial in failed)


def test_runs_that_fail_side_by_side_cost_their_trial_only(setting: Setting) -> None:
    """The head alone trains two seeds at once; the first to fail must not end the other, nor the job."""
    job = setting.submit()
    (setting.job_folder(job) / "fail-reported").touch()
    job = setting.run(job)
    assert job.state == "completed"
    trials = setting.store.all_trials(job.id)
    head = next(trial for trial in trials if trial.name == "head-only")
    assert (head.state, head.failure) == (
        "failed",
        {"reason": "memory-limit", "message": "it takes more memory than a worker may use"},
    )
    assert [run.state for run in setting.store.evaluations(job.id, head.number)] == ["failed", "failed"]
    search = [trial for trial in trials if trial.kind == "search"]
    assert "failed" not in {trial.state for trial in search}
    assert any(run.state == "failed" for trial in search for run in setting.store.evaluations(job.id, trial.number))


def test_one_rung_chooses_learning_rates_by_runs_that_no_point_shows(setting: Setting) -> None:
    job = setting.run(setting.submit(fidelity={"rungs": [1.0]}))
    shown = [point for point in job.progress["front"]["points"] if point["kind"] == "baseline"]
    names = [point["name"] for point in shown]
    assert sorted(names) == sorted(job.progress["baselines"])
    assert {point["seeds"] for point in shown} == {2}
    chosen_by = [each for each in setting.store.evaluations(job.id) if each.purpose == "rung"]
    assert all(each.measurement is not None and not each.measurement["test_metrics"] for each in chosen_by)


def test_what_is_timed_is_measured_alone(setting: Setting) -> None:
    job = setting.run(setting.submit(objectives=[{"metric": "quality"}, {"metric": "step_seconds"}]))
    assert job.state == "completed"
    beside = (setting.job_folder(job) / "beside.txt").read_text().split()
    assert len(beside) > 6
    assert set(beside) == {"0"}
