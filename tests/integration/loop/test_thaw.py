"""What runs next where the sampler's model has its say, asked of a real ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from evaluator.evaluate import Measurement
from evaluator.examine import TaskExaminer
from search.agenda import Agenda, Next
from search.job import JobSpec
from search.ladder import Ladder
from search.ledger import LADDER, Ledger, Trial
from search.outlook import KEY, Outlook
from search.samplers import create
from search.samplers.forecast import Forecast
from search.sampling import Sampling
from search.submission import prepare
from search.timekeeper import Timekeeper
from search.worth import FULL_RUNS_TO_DROP
from storage.open import open_store

STEPS = 18
LOW, MIDDLE = 2, 6
AT_LOW = LOW / STEPS


@pytest.fixture
def begin(tmp_path: Path, tiny_models: dict[str, Path], tiny_data: Path) -> Iterator[Callable[[], Agenda]]:
    """Gives an agenda of one job, anew each time, as another owner would have it."""
    spec = JobSpec.model_validate(
        {
            "model": {"path": str(tiny_models["bert"])},
            "task": {"data": {"path": str(tiny_data)}, "max_length": 16},
            "space": {"preset": "tiny"},
            "budget": {"trials": 5, "steps": STEPS},
            "sampler": {"name": "random"},
        }
    )
    store = open_store(f"sqlite:///{tmp_path / 'paretune.db'}")
    prepared = prepare(spec, TaskExaminer())
    store.create_job(prepared.spec.model_dump(mode="json"), prepared.context())
    job = store.claim_job("owner", 3600)
    assert job is not None
    ladder = Ladder(spec.fidelity.steps(STEPS), prepared.objectives)

    def made() -> Agenda:
        ledger = Ledger(store, store.job(job.id), "owner", 3600)
        sampler = create("random", prepared.space, prepared.objectives, 0)
        sampling = Sampling(sampler, prepared.space, ledger, prepared.objectives, 0)
        return Agenda(spec, prepared.objectives, ladder, (), ledger, sampling, Timekeeper(spec, ledger, 1, lambda: 0.0))

    yield made
    store.close()


def sampled(agenda: Agenda, count: int) -> list[Trial]:
    with agenda.sampling as sampling:
        sampling.ask(count)
    agenda.sampling.collect()
    return agenda.ledger.of_kind("search")


def measure(agenda: Agenda, trial: Trial, *steps: int) -> None:
    """Train up to each of `steps`, a second a step."""
    begun = 0
    for step in steps:
        record = agenda.ledger.start(trial, "rung", step / STEPS, step, 0)
        parameters = float(trial.plan.trainable_parameters)
        metrics = {"loss": 0.5, "accuracy": 0.5, "trainable_parameters": parameters}
        agenda.ledger.finish(record, Measurement(step=step, metrics=metrics, total_seconds=step - begun), {})
        begun = step


def told(agenda: Agenda, *forecasts: Forecast, full_runs: int = FULL_RUNS_TO_DROP) -> None:
    outlook = Outlook(agenda.ledger.measured_on_rungs, {each.trial: each for each in forecasts}, full_runs)
    agenda.ledger.update(progress={KEY: outlook.as_json()})
    agenda.sampling.outlook = outlook


def chosen(found: Next | None) -> tuple[int, int] | None:
    return None if found is None else (found.trial.number, found.stop_step)


def test_the_best_gain_a_second_runs_on_whether_it_waits_or_is_new(begin: Callable[[], Agenda]) -> None:
    agenda = begin()
    trials = sampled(agenda, 5)
    for trial in trials[:4]:
        measure(agenda, trial, LOW)
    able = sorted(climb.trial.number for climb in agenda.ladder.promotions(trials, last_call=False))
    assert len(able) == 1, "one in three climbs"
    (climbs,) = able
    barred = next(number for number in range(4) if number != climbs)

    def forecasts(new: float) -> list[Forecast]:
        return [Forecast(climbs, AT_LOW, 0.9, 0.010), Forecast(barred, AT_LOW, 0.9, 0.5), Forecast(4, 0.0, 0.9, new)]

    told(agenda, *forecasts(new=0.011))
    found = agenda.next()
    assert chosen(found) == (climbs, MIDDLE), "0.010 for 16 steps is more than 0.011 for 18"
    assert found is not None
    assert "for about 16 s more to the full run; enters the front with probability 0.90" in found.reason
    told(agenda, *forecasts(new=0.012))
    assert chosen(agenda.next()) == (4, LOW), "and less than 0.012 for 18"
    told(agenda, Forecast(climbs, AT_LOW, 0.0, 0.0), Forecast(4, 0.0, 0.9, 0.0))
    assert chosen(agenda.next()) == (4, LOW), "a chance of nothing waits, also in its turn"


def test_a_forecast_holds_until_its_trial_runs_on(begin: Callable[[], Agenda]) -> None:
    agenda = begin()
    trials = sampled(agenda, 5)
    for trial in trials:
        measure(agenda, trial, LOW)
    told(agenda, *(Forecast(number, AT_LOW, 0.9, 0.5 - 0.1 * number) for number in range(5)))
    assert chosen(agenda.next()) == (0, MIDDLE)
    record = agenda.ledger.start(trials[0], "rung", MIDDLE / STEPS, MIDDLE, 0)
    assert chosen(agenda.next()) == (1, MIDDLE), "the first runs"
    metrics = {"loss": 0.5, "accuracy": 0.5, "trainable_parameters": 100.0}
    agenda.ledger.finish(record, Measurement(step=MIDDLE, metrics=metrics, total_seconds=4.0), {})
    assert chosen(agenda.next()) == (1, MIDDLE), "it stands higher than when it was forecast"


def test_what_the_model_was_not_asked_about_climbs_by_the_ladders_rule(begin: Callable[[], Agenda]) -> None:
    agenda = begin()
    trials = sampled(agenda, 4)
    for trial in trials[:3]:
        measure(agenda, trial, LOW)
    told(agenda, Forecast(3, 0.0, 0.9, 0.1))
    found = agenda.next()
    assert found is not None
    assert (found.stop_step, found.trial.number < 3) == (MIDDLE, True)
    assert found.reason == f"among the best of 3 measured at step {LOW}, by non-dominated sorting"


def test_once_nothing_is_sampled_all_with_a_chance_climb_best_first_and_the_rest_leave(
    begin: Callable[[], Agenda],
) -> None:
    agenda = begin()
    trials = sampled(agenda, 5)
    for trial in trials:
        measure(agenda, trial, LOW)
    forecasts = [Forecast(n, AT_LOW, chance, gain) for n, (chance, gain) in enumerate(
        [(0.02, 0.0001), (0.5, 0.01), (0.001, 0.0), (0.9, 0.03), (0.012, 0.0)]
    )]  # fmt: skip
    told(agenda, *forecasts)
    assert not agenda.can_sample()
    assert [(trial.number, why[:40]) for trial, why in agenda.dropped()] == [
        (2, "enters the front with probability 0.001,")
    ]
    for trial, why in agenda.dropped():
        agenda.ledger.set_trial(trial, "pruned", ladder=why)
    order = []
    while (found := agenda.next()) is not None and found.purpose == "rung":
        order.append(found.trial.number)
        agenda.ledger.start(found.trial, "rung", MIDDLE / STEPS, MIDDLE, 0)
    assert order == [3, 1, 0, 4]


def test_a_model_that_has_seen_few_full_runs_drops_nobody(begin: Callable[[], Agenda]) -> None:
    agenda = begin()
    measure(agenda, sampled(agenda, 1)[0], LOW)
    told(agenda, Forecast(0, AT_LOW, 0.0, 0.0), full_runs=FULL_RUNS_TO_DROP - 1)
    assert agenda.dropped() == []


def test_another_owner_decides_alike(begin: Callable[[], Agenda]) -> None:
    agenda = begin()
    trials = sampled(agenda, 4)
    for trial in trials[:3]:
        measure(agenda, trial, LOW)
    gains = [Forecast(0, AT_LOW, 0.5, 0.01), Forecast(1, AT_LOW, 0.7, 0.02), Forecast(2, AT_LOW, 0.0, 0.0)]
    told(agenda, *gains, Forecast(3, 0.0, 0.9, 0.001))
    mine, theirs = agenda.next(), begin().next()
    assert mine is not None
    assert theirs is not None
    assert (chosen(mine), mine.reason) == (chosen(theirs), theirs.reason)
    assert mine.reason.startswith("best expected gain")
    gone = [(trial.number, why) for trial, why in agenda.dropped()]
    assert [(trial.number, why) for trial, why in begin().dropped()] == gone
    assert [number for number, _ in gone] == [2]


def test_the_words_are_kept_with_the_trial_and_the_sampler_does_not_see_them(begin: Callable[[], Agenda]) -> None:
    agenda = begin()
    (trial,) = sampled(agenda, 1)
    agenda.ledger.set_trial(trial, "running", ladder="runs on: best")
    again = begin().ledger
    assert again.trials[0].record.attributes == {LADDER: "runs on: best"}
    assert again.history().trials[0].attributes == {}


def test_time_that_is_left_goes_to_what_it_can_finish(begin: Callable[[], Agenda]) -> None:
    agenda = begin()
    for trial in sampled(agenda, 5):
        measure(agenda, trial, *((LOW, MIDDLE) if trial.number == 1 else (LOW,)))
    told(agenda, Forecast(0, AT_LOW, 0.9, 0.5), Forecast(1, MIDDLE / STEPS, 0.9, 0.01))
    assert chosen(agenda.next()) == (0, MIDDLE)
    limited = agenda.spec.model_copy(
        update={
            "budget": agenda.spec.budget.model_copy(update={"minutes": 0.5}),
            "finalists": agenda.spec.finalists.model_copy(update={"count": 0}),
        }
    )
    seconds = 0.5 * 60 - 14
    time = Timekeeper(limited, agenda.ledger, 1, iter([0.0, *[seconds] * 50]).__next__)
    assert chosen(replace(agenda, spec=limited, time=time).next()) == (1, STEPS), "14 s are left, and it needs 12"


def test_an_audited_trial_is_never_dropped(begin: Callable[[], Agenda]) -> None:
    agenda = begin()
    for trial in sampled(agenda, 2):
        measure(agenda, trial, LOW)
    told(agenda, Forecast(0, AT_LOW, 0.0, 0.0), Forecast(1, AT_LOW, 0.0, 0.0))
    agenda.audit = replace(agenda.audit, share=0.0)
    assert len(agenda.dropped()) == 2
    agenda.audit = replace(agenda.audit, share=1.0)
    assert agenda.dropped() == []
