"""What a job runs next, and why it ends, asked of a real ledger."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from evaluator.evaluate import Measurement
from evaluator.examine import TaskExaminer
from search.agenda import Agenda, Next
from search.baselines import baselines
from search.front import build_front
from search.growth import after_full_runs, after_trials
from search.job import BudgetSpec, FinalistsSpec, JobSpec
from search.ladder import Ladder
from search.ledger import Ledger
from search.samplers import create
from search.samplers.sampler import History, Proposal
from search.sampling import Sampling
from search.stop import Stop
from search.submission import prepare
from search.timekeeper import Timekeeper
from storage.open import open_store

STEPS = 18


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def agenda(tmp_path: Path, tiny_models: dict[str, Path], tiny_data: Path, clock: Clock) -> Iterator[Agenda]:
    """Of a job of 4 trials and 10 minutes that has just begun; nothing runs."""
    spec = JobSpec.model_validate(
        {
            "model": {"path": str(tiny_models["bert"])},
            "task": {"data": {"path": str(tiny_data)}, "max_length": 16},
            "space": {"preset": "tiny"},
            "budget": {"trials": 4, "steps": STEPS, "minutes": 10},
            "finalists": {"count": 3, "seeds": 2},
            "sampler": {"name": "random"},
        }
    )
    store = open_store(f"sqlite:///{tmp_path / 'paretune.db'}")
    prepared = prepare(spec, TaskExaminer())
    store.create_job(prepared.spec.model_dump(mode="json"), prepared.context())
    job = store.claim_job("owner", 3600)
    assert job is not None
    ledger = Ledger(store, job, "owner", 3600)
    chosen, _ = baselines(prepared.table, 1 << 34)
    for baseline in chosen:
        ledger.add_baseline(baseline.name, [(*each, {}) for each in baseline.candidates], baseline.title)
    space = prepared.space
    sampler = create("random", space, prepared.objectives, 0)
    with Sampling(sampler, space, ledger, prepared.objectives, 0) as sampling:
        time = Timekeeper(prepared.spec, ledger, 1, clock)
        ladder = Ladder(spec.fidelity.steps(STEPS), prepared.objectives)
        yield Agenda(prepared.spec, prepared.objectives, ladder, chosen, ledger, sampling, time)
    store.close()


def wait_until(condition: Callable[[], bool]) -> None:
    tick = threading.Event()
    for _ in range(6000):
        if condition():
            return
        tick.wait(0.01)
    raise AssertionError("the condition never came about")


def ask(agenda: Agenda, count: int) -> None:
    agenda.sampling.ask(count)

    def collected() -> bool:
        agenda.sampling.collect()
        return not agenda.sampling.asking

    wait_until(collected)


def measure(agenda: Agenda, chosen: Next, loss: float, seconds: float = 1.0) -> None:
    """Run `chosen` as the pool would, with made-up values."""
    share = chosen.stop_step / STEPS
    record = agenda.ledger.start(chosen.trial, chosen.purpose, share, chosen.stop_step, chosen.seed)
    parameters = chosen.trial.plan.trainable_parameters
    metrics = {"loss": loss, "accuracy": 1 - loss, "macro_f1": 1 - loss, "trainable_parameters": float(parameters)}
    measurement = Measurement(step=chosen.stop_step, metrics=metrics, train_seconds=seconds, total_seconds=seconds)
    agenda.ledger.finish(record, measurement, {})


def run_to_the_end(agenda: Agenda, clock: Clock, seconds: float) -> list[Next]:
    """What one worker runs, `seconds` each."""
    ran: list[Next] = []
    while True:
        if wanted := agenda.proposals_wanted(1):
            ask(agenda, wanted)
        chosen = agenda.next()
        if chosen is None:
            return ran
        measure(agenda, chosen, loss=0.5 / (1 + chosen.trial.plan.trainable_parameters), seconds=seconds)
        clock.seconds += seconds
        ran.append(chosen)


def test_the_head_alone_comes_first(agenda: Agenda) -> None:
    chosen = agenda.next()
    assert chosen is not None
    assert (chosen.purpose, chosen.stop_step, chosen.trial.plan.entries) == ("baseline", STEPS, ())
    assert chosen.seed in agenda.fresh_seeds


def test_the_finalists_come_last_with_seeds_that_selected_nothing(agenda: Agenda, clock: Clock) -> None:
    ran = run_to_the_end(agenda, clock, seconds=1.0)
    purposes = [chosen.purpose for chosen in ran]
    first = purposes.index("finalist")
    assert set(purposes[first:]) == {"finalist"}
    assert purposes.count("finalist") == 6
    assert all((chosen.seed in agenda.fresh_seeds) == (chosen.stop_step == STEPS and chosen.purpose != "rung")
               for chosen in ran)  # fmt: skip
    assert len(ran) == len({(chosen.trial.number, chosen.purpose, chosen.stop_step, chosen.seed) for chosen in ran})
    assert agenda.sampled == 4
    assert agenda.reason() == "all 4 trials are sampled"


def test_every_finalist_has_a_fresh_seed_before_any_but_the_first_has_two(agenda: Agenda, clock: Clock) -> None:
    """The first shows the spread between seeds; wherever the minutes end after it, most points are confirmed."""
    ran = [chosen for chosen in run_to_the_end(agenda, clock, seconds=1.0) if chosen.purpose == "finalist"]
    first, second, third = agenda.ledger.job.progress["finalists"]
    seeds = list(agenda.fresh_seeds)
    expected = [(first, seeds[0]), (first, seeds[1]), (second, seeds[0]), (third, seeds[0]), (second, seeds[1])]
    assert [(chosen.trial.number, chosen.seed) for chosen in ran] == [*expected, (third, seeds[1])]


def test_the_reason_says_what_the_minutes_did_not_allow(agenda: Agenda, clock: Clock) -> None:
    ran = run_to_the_end(agenda, clock, seconds=25.0)
    assert clock.seconds <= 600 + 25
    finalists = sum(chosen.purpose == "finalist" for chosen in ran)
    baselines_run = {
        chosen.trial.record.name for chosen in ran if chosen.stop_step == STEPS and chosen.purpose == "baseline"
    }
    missing = len(agenda.baselines) - len(baselines_run)
    assert missing
    assert f"; the minutes ended before {missing} of {len(agenda.baselines)} baselines" in agenda.reason()
    total = 2 * len(agenda.ledger.job.progress["finalists"])
    assert ("runs of the finalists" in agenda.reason()) == (finalists < total)


def test_finalists_that_were_never_chosen_are_said_too(agenda: Agenda, clock: Clock) -> None:
    ask(agenda, 2)
    clock.seconds = 600.0
    assert not agenda.can_sample()
    assert agenda.reason().endswith("and the finalists")


def test_the_minutes_kept_for_the_finalists_are_not_spent_on_the_search(agenda: Agenda, clock: Clock) -> None:
    assert not agenda.time.is_the_finalists
    ask(agenda, 2)
    clock.seconds = 60 * 8.0  # a fifth of the ten is kept before a full run is known
    assert agenda.time.is_the_finalists
    assert not agenda.can_sample()
    assert agenda.stopped == Stop("minutes", "8.0 of 10 minutes are used, 2.0 of them kept for the finalists")
    clock.seconds = 60 * 10.0
    assert agenda.time.is_up


def with_budget(agenda: Agenda, **budget: Any) -> None:
    spec = agenda.spec.model_copy(update={"budget": BudgetSpec(steps=STEPS, **budget)})
    agenda.spec = agenda.time.spec = spec


@pytest.mark.parametrize("finalists", [0, 2])
def test_the_steps_of_all_evaluations_stay_within_the_budget(agenda: Agenda, clock: Clock, finalists: int) -> None:
    with_budget(agenda, trials=100, total_steps=16 * STEPS)
    agenda.spec = agenda.time.spec = agenda.spec.model_copy(update={"finalists": FinalistsSpec(count=finalists)})
    ran = run_to_the_end(agenda, clock, seconds=0.0)
    trained = 0
    for chosen in ran:
        climbs = chosen.trial.record.kind == "search" and chosen.purpose == "rung"
        below = [each.stop_step for each in ran if each.trial is chosen.trial and each.stop_step < chosen.stop_step]
        trained += chosen.stop_step - max(below, default=0) * climbs
    assert agenda.time.steps == trained
    assert 15 * STEPS < trained <= 16 * STEPS
    assert sum(chosen.purpose == "finalist" for chosen in ran) == 2 * finalists
    assert agenda.stopped is not None
    assert agenda.stopped.rule == "steps"


def test_what_ended_the_sampling_is_stored_and_stays(agenda: Agenda) -> None:
    """What ends afterwards moves the hypervolume, and another owner decides alike all the same."""
    with_budget(agenda, trials=100, flat_trials=5)
    ask(agenda, 7)
    trials = sorted(agenda.ledger.of_kind("search"), key=lambda trial: trial.plan.trainable_parameters)
    for trial in trials[:6]:
        measure(agenda, Next(trial, "rung", STEPS, 0), loss=0.5)
    assert not agenda.can_sample()
    assert agenda.stopped is not None
    assert agenda.stopped.rule == "flat"
    measure(agenda, Next(trials[6], "rung", STEPS, 0), loss=0.01)
    successor = Agenda(
        agenda.spec, agenda.objectives, agenda.ladder, agenda.baselines, agenda.ledger, agenda.sampling, agenda.time
    )
    assert not successor.can_sample()
    assert successor.stopped == agenda.stopped


def test_a_trial_that_never_climbs_adds_nothing_and_counts_all_the_same(agenda: Agenda) -> None:
    ask(agenda, 4)
    first, second, third, fourth = agenda.ledger.of_kind("search")
    measure(agenda, Next(first, "rung", 2, 0), loss=0.9)
    measure(agenda, Next(second, "rung", 2, 0), loss=0.8)
    measure(agenda, Next(first, "rung", STEPS, 0), loss=0.5)
    record = agenda.ledger.start(third, "rung", 1.0, STEPS, 0)
    agenda.ledger.fail(record, "nan", "the loss is not a number", retry=False)
    measure(agenda, Next(fourth, "rung", STEPS, 0), loss=0.2)
    volumes = after_full_runs([first, second, third, fourth], agenda.objectives, STEPS)
    assert after_trials([fourth, third, second, first], agenda.objectives, STEPS) == [0.0, *volumes[:1] * 2, volumes[1]]
    head = next(trial for trial in agenda.ledger.of_kind("baseline") if not trial.plan.entries)
    measure(agenda, Next(head, "baseline", STEPS, 1), loss=0.01)
    everyone = list(agenda.ledger.trials.values())
    reached = build_front(everyone, agenda.objectives, STEPS).hypervolume
    assert after_trials(everyone, agenda.objectives, STEPS) == [pytest.approx(reached)] * 4, "nothing beats it"


def test_a_proposal_is_thought_about_while_the_ledger_changes(agenda: Agenda) -> None:
    """The sampler sees the history as it was when it was asked."""
    asked, go_on = threading.Event(), threading.Event()
    inner = agenda.sampling.sampler

    class Slow:
        def ask(self, history: History, n: int) -> list[Proposal]:
            asked.set()
            go_on.wait()
            assert history.trials == ()
            return list(inner.ask(history, n))

    agenda.sampling.sampler = Slow()
    agenda.sampling.ask(1)
    asked.wait()
    (proposal,) = inner.ask(History(()), 1)
    agenda.ledger.add_proposals([proposal], [agenda.sampling.space.plan(proposal.point)])
    go_on.set()

    def collected() -> bool:
        agenda.sampling.collect()
        return not agenda.sampling.asking

    wait_until(collected)
    assert agenda.sampled == 2


def test_a_sampler_that_fails_costs_no_search(agenda: Agenda) -> None:
    class Broken:
        def ask(self, history: History, n: int) -> list[Proposal]:
            raise ArithmeticError("not positive definite")

    agenda.sampling.sampler = Broken()
    ask(agenda, 2)
    search = agenda.ledger.of_kind("search")
    assert {trial.record.strategy for trial in search} == {"random: the sampler failed"}
    assert {trial.record.reason for trial in search} == {
        "the sampler failed (ArithmeticError: not positive definite), so an independent draw"
    }


def test_only_full_runs_of_the_search_say_that_the_hypervolume_is_flat(agenda: Agenda) -> None:
    ask(agenda, 4)
    trials = agenda.ledger.of_kind("search")
    for trial in trials:
        measure(agenda, Next(trial, "rung", 2, 0), loss=0.9)
    assert after_full_runs(trials, agenda.objectives, STEPS) == []
    for loss, trial in zip((0.5, 0.2, 0.6, 0.9), trials, strict=True):
        measure(agenda, Next(trial, "rung", STEPS, 0), loss=loss)
    reached = after_full_runs(trials, agenda.objectives, STEPS)
    assert len(reached) == 4
    assert reached == sorted(reached)
    assert reached[1] > reached[0]
    front = build_front(trials, agenda.objectives, STEPS)
    assert reached[-1] == pytest.approx(front.hypervolume)
