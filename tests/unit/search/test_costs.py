"""What going on costs, told by what has been run."""

from __future__ import annotations

import pytest

from search.costs import Costs, Stretch, fit_costs


def test_a_fixed_part_and_steps_are_told_apart() -> None:
    seen = [Stretch("lora", steps, 2.0 + 0.1 * steps) for steps in (8, 24, 96, 128)]
    costs = fit_costs(seen)
    assert (costs.fixed, costs.per_step) == pytest.approx((2.0, 0.1))
    assert costs.seconds("lora", [32]) == pytest.approx(5.2)
    assert costs.seconds("lora", [32, 96]) == pytest.approx(5.2 + 11.6), "each rung pays the fixed part"
    assert costs.seconds("lora", []) == 0.0


def test_a_slow_method_is_known_by_its_runs_and_an_unknown_one_is_as_the_rest() -> None:
    plain = [Stretch("lora", steps, 2.0 + 0.1 * steps) for steps in (8, 24, 96, 128) for _ in range(10)]
    slow = [Stretch("boft", steps, 3 * (2.0 + 0.1 * steps)) for steps in (8, 24, 96, 128)]
    costs = fit_costs(plain + slow)
    usual = costs.seconds("dora", [100])
    assert costs.seconds("lora", [100]) == pytest.approx(usual, rel=0.2)
    assert 1.5 * usual < costs.seconds("boft", [100]) < 3 * usual, "drawn towards the others while few are known"


def test_before_two_lengths_are_known_seconds_follow_steps() -> None:
    assert fit_costs([]).seconds("lora", [30]) == 30
    assert fit_costs([Stretch("lora", 10, 5.0)]).seconds("dora", [20]) == pytest.approx(10.0)
    assert fit_costs([Stretch("lora", 10, 0.0)]) == Costs(), "a clock that did not move says nothing"
