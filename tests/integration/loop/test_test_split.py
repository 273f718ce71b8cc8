"""The test split decides nothing: a job goes the same way whatever is measured on it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from simulated_job import SimulatedJob, drawn, spec_of

from evaluator.evaluate import EvaluationRequest


def validation(request: EvaluationRequest) -> dict[str, float]:
    quality = drawn(request.plan, "quality") * request.stop_step / request.full_steps
    loss = 1.0 - 0.5 * quality + 0.02 * drawn(request.plan, request.seed)
    return {"accuracy": 1 - loss, "loss": loss}


def agreeing(request: EvaluationRequest) -> dict[str, float]:
    return {"accuracy": 0.9 * validation(request)["accuracy"], "loss": 1.0}


def opposed(request: EvaluationRequest) -> dict[str, float]:
    """The worst on validation is the best on the test split."""
    return {"accuracy": 1 - validation(request)["accuracy"], "loss": 0.01}


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[SimulatedJob]]:
    """The same job twice, with two tests that contradict each other; each run to its end."""
    made = []
    for test in (agreeing, opposed):
        spec = spec_of(baselines=True, workers=1, fidelity={"rungs": [0.1, 0.3, 1.0], "audit": 0.2})
        made.append(SimulatedJob(tmp_path_factory.mktemp("job"), spec, validation, test))
        made[-1].run()
    yield made
    for each in made:
        each.store.close()


def without_test(front: dict[str, Any]) -> dict[str, Any]:
    points = [{name: value for name, value in point.items() if name != "test"} for point in front["points"]]
    return {**front, "points": points}


def test_trials_promotions_finalists_front_and_words_are_the_same(jobs: list[SimulatedJob]) -> None:
    one, other = jobs
    runs = [[(each.plan.key, each.stop_step, each.seed, each.test) for each in job.requests] for job in jobs]
    assert runs[0] == runs[1]
    first, second = (job.store.job(job.id).progress for job in jobs)
    assert first["finalists"] == second["finalists"]
    assert without_test(first["front"]) == without_test(second["front"])
    assert first["audit"] == second["audit"]
    assert first["best"] == second["best"]
    shown = [[point["test"] for point in progress["front"]["points"]] for progress in (first, second)]
    assert shown[0] != shown[1]  # the two jobs do differ
    assert one.ran() == other.ran()


def test_only_reported_runs_are_tested_once_each(jobs: list[SimulatedJob]) -> None:
    for job in jobs:
        records = job.store.evaluations(job.id)
        tested = [each for each in records if (each.measurement or {}).get("test_metrics")]
        assert {each.purpose for each in tested} == {"finalist", "baseline"}
        assert all(each.stop_step == 90 and each.seed != 0 for each in tested)
        assert len({(each.trial_number, each.seed) for each in tested}) == len(tested)
        reported = {point["trial"] for point in job.store.job(job.id).progress["front"]["points"] if point["fresh"]}
        assert {each.trial_number for each in tested} == reported


def test_a_finalist_is_tested_after_every_choice_was_made(jobs: list[SimulatedJob]) -> None:
    for job in jobs:
        kinds = {trial.key: trial.kind for trial in job.store.all_trials(job.id)}
        searching = [index for index, each in enumerate(job.requests)
                     if not each.test and kinds[each.plan.key] == "search"]  # fmt: skip
        finalists = [index for index, each in enumerate(job.requests)
                     if each.test and kinds[each.plan.key] == "search"]  # fmt: skip
        assert finalists
        assert max(searching) < min(finalists)


def test_no_sampler_is_shown_the_test_split(jobs: list[SimulatedJob]) -> None:
    for job in jobs:
        observed = [seen for history in job.seen for past in history.trials for seen in past.observations]
        assert observed
        assert all(seen.seed == 0 and seen.values["loss"] not in (1.0, 0.01) for seen in observed)
