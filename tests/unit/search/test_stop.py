"""Stop rules."""

from __future__ import annotations

from typing import Any

import pytest

from search.gain import Gain
from search.job import BudgetSpec
from search.stop import Rule, SoFar, finalists_minutes, finalists_steps, stop


def rule(budget: BudgetSpec, **standing: Any) -> Rule | None:
    found = stop(budget, SoFar(**{"sampled": 0, **standing}))
    return found.rule if found else None


def test_trials() -> None:
    budget = BudgetSpec(trials=3)
    assert rule(budget, sampled=2) is None
    assert rule(budget, sampled=3) == "trials"


def test_minutes_keep_the_finalists_share_back() -> None:
    budget = BudgetSpec(minutes=10)
    assert rule(budget, minutes=7.9, kept_minutes=2) is None
    assert rule(budget, minutes=8.0, kept_minutes=2) == "minutes"
    found = stop(budget, SoFar(sampled=0, minutes=8.0, kept_minutes=2))
    assert found is not None
    assert "2.0 of them kept for the finalists" in found.reason


def test_steps_keep_the_finalists_share_back_and_room_for_a_whole_evaluation() -> None:
    budget = BudgetSpec(steps=100, total_steps=2000)
    assert rule(budget, steps=1500, kept_steps=400) is None
    assert rule(budget, steps=1501, kept_steps=400) == "steps"
    found = stop(budget, SoFar(sampled=0, steps=1501, kept_steps=400))
    assert found is not None
    assert found.reason == "1,501 of 2,000 steps are used, 400 of them kept for the finalists"


def test_a_flat_hypervolume() -> None:
    budget = BudgetSpec(flat_trials=5)
    assert rule(budget, hypervolumes=[0.5] * 5) is None
    assert rule(budget, hypervolumes=[0.5] * 6) == "flat"
    assert rule(budget, hypervolumes=[0.5, 0.5, 0.5, 0.5, 0.6, 0.6]) is None
    assert rule(budget, hypervolumes=[0.0] * 9) is None, "nothing feasible yet is not flat"


def test_a_flat_hypervolume_says_what_further_trials_are_expected_to_bring() -> None:
    found = stop(BudgetSpec(flat_trials=5), SoFar(sampled=0, hypervolumes=[0.5] * 6, gain=Gain(0.001, 0.02, 0.003)))
    assert found is not None
    assert found.reason == (
        "the hypervolume has not grown for 5 trials trained in full; 10 further trials are expected to bring 0.10% of "
        "the hypervolume, with 95% certainty at most 2.00% (the model: 0.30%)"
    )


def test_little_to_gain() -> None:
    budget = BudgetSpec(least_gain=0.01)
    assert rule(budget) is None, "too few trials to say"
    assert rule(budget, gain=Gain(0.0, 0.02)) is None
    assert rule(budget, gain=Gain(0.0, 0.009)) == "gain"
    assert rule(budget, gain=Gain(0.0, 0.009, modelled=0.03)) is None
    assert rule(BudgetSpec(), gain=Gain(0.0, 0.0)) is None


def test_without_rules_that_apply_it_goes_on() -> None:
    assert rule(BudgetSpec(), minutes=1e6, steps=10**9, hypervolumes=[0.5] * 1000) is None


def test_a_budget_of_steps_holds_one_evaluation_at_least() -> None:
    with pytest.raises(ValueError, match="total_steps is below steps"):
        BudgetSpec(steps=200, total_steps=199)


@pytest.mark.parametrize(("total", "runs", "kept"), [(None, 10, 0), (5000, 0, 0), (5000, 10, 1000), (1500, 10, 750)])
def test_steps_kept_for_the_finalists(total: int | None, runs: int, kept: int) -> None:
    assert finalists_steps(BudgetSpec(steps=100, total_steps=total), runs) == kept


@pytest.mark.parametrize(
    ("minutes", "evaluations", "full", "workers", "kept"),
    [
        (None, 10, 1.0, 2, 0.0),
        (30, 0, 1.0, 2, 0.0),
        (30, 10, 1.0, 2, 5.0),
        (30, 10, 10.0, 2, 15.0),
        (30, 10, None, 2, 6.0),
    ],
)
def test_minutes_kept_for_the_finalists(minutes, evaluations, full, workers, kept) -> None:
    assert finalists_minutes(BudgetSpec(minutes=minutes), evaluations, full, workers) == kept
