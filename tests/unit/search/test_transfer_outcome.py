"""How much of a front transferred points reach, in numbers and words."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from made_trials import FULL, NOW, OBJECTIVES
from scipy import stats

from search.front import Front, build_front
from search.ledger import Trial
from search.pareto import hypervolume
from search.transfer.outcome import Others, outcome, statement
from search.transfer.source import Source, SourceTrial
from search.transfer.transfer import SOURCE, SOURCE_TRIAL
from space.configuration import Configuration
from space.plan import Plan, PlanEntry
from storage.records import EvaluationRecord, TrialRecord


def trial(number: int, parameters: int, accuracies: tuple[float, ...], **attributes: object) -> Trial:
    """With a seed for each accuracy; a baseline unless it is told its source."""
    entries = (PlanEntry(layer=0, role="mlp", method="serial-adapter", size=1, parameters=parameters),)
    plan = Plan(entries=entries if parameters else ())
    record = TrialRecord(
        job_id="job", number=number, kind="search" if attributes else "baseline", name=None if attributes else "made",
        key=str(number), state="completed", configuration={}, plan=plan.model_dump(mode="json"), point={},
        strategy="", reason="", attributes=attributes, summary={}, failure=None, created_at=NOW, started_at=NOW,
        ended_at=NOW,
    )  # fmt: skip
    made = Trial(record)
    for seed, accuracy in enumerate(accuracies):
        metrics = {"accuracy": accuracy, "trainable_parameters": float(parameters)}
        made.evaluations[f"{number}-{seed}"] = EvaluationRecord(
            id=f"{number}-{seed}", job_id="job", trial_number=number, purpose="rung" if attributes else "baseline",
            fidelity=1.0, stop_step=FULL, seed=seed, state="completed", attempt=1, owner=None, lease_until=None,
            measurement={"step": FULL, "metrics": metrics}, failure=None, artifacts=(), created_at=NOW, started_at=NOW,
            ended_at=NOW,
        )  # fmt: skip
    return made


def carried(number: int, parameters: int, *accuracies: float, there: int) -> Trial:
    return trial(number, parameters, accuracies, **{SOURCE: "earlier", SOURCE_TRIAL: there})


def source(**reached: float) -> Source:
    """Accuracies of trials t0, t1, … there."""
    trials = tuple(
        SourceTrial(
            number=int(name[1:]), configuration=Configuration(), observations=(), reported={"accuracy": value}, seeds=2
        )
        for name, value in reached.items()
    )
    return Source(job="earlier", name="earlier", data="rows", model="model", trials=trials)


def front_of(*trials: Trial) -> Front:
    return build_front(list(trials), OBJECTIVES, FULL)


def volume(*points: Mapping[str, float]) -> float:
    return hypervolume([OBJECTIVES.minimised(point) for point in points], OBJECTIVES.reference)


def values(accuracy: float, parameters: float) -> dict[str, float]:
    return {"accuracy": accuracy, "trainable_parameters": parameters}


HEAD = trial(0, 0, (0.40, 0.41))
LORA = trial(1, 20_000, (0.60, 0.61))


def test_points_far_above_the_baselines_transfer() -> None:
    ours = [carried(2, 1_000, 0.70, 0.71, there=4), carried(3, 10_000, 0.80, 0.81, there=9)]
    found = outcome(front_of(HEAD, LORA, *ours), [source(t4=0.3, t9=0.5)])
    assert found.answer == "transfers"
    assert found.hypervolume == pytest.approx(volume(values(0.405, 0), values(0.705, 1e3), values(0.805, 1e4)))
    assert found.baselines is not None
    assert found.baselines.hypervolume == pytest.approx(volume(values(0.405, 0), values(0.605, 2e4)))
    assert found.baselines.low is not None
    assert 0 < found.baselines.low < found.baselines.difference
    assert [(each.source_trial, each.there["accuracy"]) for each in found.points] == [(4, 0.3), (9, 0.5)]
    assert "The front transfers." in statement(found)
    assert "the head alone counted in" in statement(found)


def test_points_within_the_noise_make_no_difference() -> None:
    noisy = trial(1, 20_000, (0.55, 0.66))
    ours = carried(2, 20_000, 0.57, 0.65, there=4)
    found = outcome(front_of(HEAD, noisy, ours), [source(t4=0.3)])
    assert found.answer == "no significant difference"
    assert "There is no significant difference." in statement(found)


def test_points_far_below_do_not_transfer() -> None:
    found = outcome(front_of(HEAD, LORA, carried(2, 50_000, 0.42, 0.43, there=4)), [source(t4=0.9)])
    assert found.answer == "does not transfer"
    assert statement(found).endswith("The front does not transfer.")


def test_one_seed_is_too_few_to_judge() -> None:
    one = [trial(0, 0, (0.4,)), trial(1, 20_000, (0.6,)), carried(2, 1_000, 0.9, there=4)]
    found = outcome(front_of(*one), [source(t4=0.3)])
    assert found.answer == "unknown"
    assert "two seeds" in statement(found)
    nothing = outcome(front_of(HEAD, LORA), [source(t4=0.3)])
    assert nothing.points == ()
    assert statement(nothing) == "No transferred configuration has been trained in full yet."


def test_a_search_of_the_same_task_says_what_share_is_reached() -> None:
    ours = carried(2, 1_000, 0.70, 0.71, there=4)
    best = Others("its own search", [values(0.75, 1_000), values(0.9, 10_000)], [2, 2])
    found = outcome(front_of(HEAD, ours), [source(t4=0.3)], best)
    assert found.baselines is None
    assert found.search is not None
    whole = volume(values(0.405, 0), values(0.75, 1e3), values(0.9, 1e4))
    share = volume(values(0.405, 0), values(0.705, 1e3)) / whole
    assert found.answer == "does not transfer"
    assert f"That is {share:.1%} [" in statement(found)


def test_the_orders_there_and_here_are_compared() -> None:
    heights = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
    ours = [carried(number + 2, 1_000 * (number + 1), each, each, there=number) for number, each in enumerate(heights)]
    there = source(**{f"t{number}": each**2 for number, each in enumerate(heights)})
    found = outcome(front_of(HEAD, LORA, *ours), [there])
    assert found.ordering is not None
    assert found.ordering.kendall == pytest.approx(1.0)
    assert found.ordering.low > 0
    assert "Their order here against their order there: Kendall +1.00" in statement(found)


def test_the_interval_is_that_of_means_over_seeds() -> None:
    """With one point a side and no head, the difference is a rectangle's, whose spread can be worked out."""
    rng = np.random.default_rng(0)
    runs = rng.normal(0.6, 0.02, 8)
    base = trial(1, 1_000, tuple(rng.normal(0.6, 0.02, 8)))
    found = outcome(front_of(base, carried(2, 1_000, *runs, there=4)), [source(t4=0.3)])
    assert found.baselines is not None
    assert found.baselines.low is not None
    assert found.baselines.high is not None
    front = front_of(base, carried(2, 1_000, *runs, there=4))
    width = 1 - OBJECTIVES.minimised(values(0.6, 1_000))[1]
    expected = 2 * stats.t.ppf(0.975, 14) * front.spreads["accuracy"].deviation / 0.8 * np.sqrt(2 / 8) * width
    assert found.baselines.high - found.baselines.low == pytest.approx(expected, rel=0.1)
