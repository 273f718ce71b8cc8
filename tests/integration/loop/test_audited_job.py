"""Whole jobs whose short runs mislead: the audit finds out, the lowest rung rises, and a kill changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from simulated_job import Killed, SimulatedJob, drawn, spec_of

from evaluator.evaluate import EvaluationRequest
from search.audit import REASON, is_audited
from search.ledger import LADDER

SHARE = 0.6
TRIALS = 30
RUNGS = (9, 27, 90)


def misleading(request: EvaluationRequest) -> dict[str, float]:
    """After a tenth of the steps the worst look best; after a third the order is that of the full run."""
    quality = drawn(request.plan, "quality")
    shown = 1 - quality if request.stop_step == RUNGS[0] else quality
    loss = 1.0 - 0.5 * shown + 0.001 * drawn(request.plan, request.seed)
    return {"accuracy": 1 - loss, "loss": loss}


def telling(request: EvaluationRequest) -> dict[str, float]:
    loss = 1.0 - 0.5 * drawn(request.plan, "quality") * request.stop_step / RUNGS[-1]
    return {"accuracy": 1 - loss, "loss": loss}


def searched(folder: Path, formula: Callable[[EvaluationRequest], dict[str, float]]) -> SimulatedJob:
    spec = spec_of(
        budget={"trials": TRIALS, "steps": RUNGS[-1]},
        fidelity={"rungs": [0.1, 0.3, 1.0], "audit": SHARE},
        finalists={"count": 0},
        workers=1,
    )
    return SimulatedJob(folder, spec, formula)


@pytest.fixture(scope="module")
def misled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedJob]:
    """Run to its end."""
    made = searched(tmp_path_factory.mktemp("misled"), misleading)
    made.run()
    yield made
    made.store.close()


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedJob]:
    """Run to its end."""
    made = searched(tmp_path_factory.mktemp("told"), telling)
    made.run()
    yield made
    made.store.close()


def first_rungs(job: SimulatedJob) -> list[int]:
    """Step that each sampled trial began at, by number."""
    return [
        min(record.stop_step for record in job.store.evaluations(job.id, trial.number) if record.purpose == "rung")
        for trial in job.store.all_trials(job.id)
        if trial.kind == "search"
    ]


def test_the_lowest_rung_rises_where_it_misleads_and_says_why(misled: SimulatedJob) -> None:
    job = misled.store.job(misled.id)
    assert job.state == "completed"
    (event,) = misled.events("audit")
    audit = job.progress["audit"]
    assert audit["rises"] == [event.payload["words"]]
    assert "10% of the steps orders configurations too unlike full runs: Spearman -" in audit["rises"][0]
    assert audit["lowest"] == pytest.approx(0.3)
    lowest, middle = audit["rungs"]
    assert lowest["agreements"][0]["spearman"]["high"] < 0.5
    assert middle["agreements"][0]["spearman"]["low"] > 0.5
    begun = first_rungs(misled)
    risen = begun.index(RUNGS[1])
    assert set(begun[:risen]) == {RUNGS[0]}
    assert set(begun[risen:]) == {RUNGS[1]}


def test_the_lowest_rung_stays_where_it_tells(told: SimulatedJob) -> None:
    audit = told.store.job(told.id).progress["audit"]
    assert told.events("audit") == []
    assert audit["rises"] == []
    assert audit["counted"] > 5
    assert audit["rungs"][0]["agreements"][0]["spearman"]["value"] == pytest.approx(1.0)
    assert set(first_rungs(told)) == {RUNGS[0]}


def test_the_worst_of_the_audited_are_trained_in_full(told: SimulatedJob) -> None:
    counted = told.store.job(told.id).progress["audit"]["counted"]
    audited = [place for place in range(TRIALS) if is_audited(0, place, SHARE)][:counted]
    records = told.store.evaluations(told.id)
    losses = {each.trial_number: each.measurement["metrics"]["loss"]
              for each in records if each.stop_step == RUNGS[0] and each.measurement is not None}  # fmt: skip
    full = {each.trial_number for each in records if each.stop_step == RUNGS[-1]}
    assert set(audited) <= full
    said = [told.store.trial(told.id, number).attributes[LADDER] for number in audited]
    assert set(said) == {f"runs on: {REASON}"}
    worst = sorted(losses, key=lambda number: -losses[number])[: TRIALS // 3]
    assert set(worst) & set(audited)


def test_a_job_that_was_killed_decides_as_one_that_was_not(misled: SimulatedJob, tmp_path: Path) -> None:
    """Before the rung rose, and after: what was decided is stored, and is not decided again."""
    killed = searched(tmp_path, misleading)
    for evaluations in (10, 45):
        with pytest.raises(Killed):
            killed.run(evaluations)
    ended = killed.run()
    assert ended.state == "completed"
    assert killed.ran() == misled.ran()
    assert [event.payload for event in killed.events("audit")] == [event.payload for event in misled.events("audit")]
    assert first_rungs(killed) == first_rungs(misled)
    killed.store.close()
