"""Promotion: who climbs, who waits, and that noise drops nobody."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.objectives import Objectives
from search.pareto import non_dominated
from search.promote import (
    DEFAULT_TOLERANCE,
    RungTrial,
    dominated_for_sure,
    promotable,
    ranking,
    rung_trial,
    rung_values,
    tolerances,
)

NOISE = np.array([0.1, 0.0])


def rung(*values: tuple[float, float], promoted: tuple[int, ...] = ()) -> list[RungTrial]:
    return [RungTrial(number, np.array(value), number in promoted) for number, value in enumerate(values)]


def test_a_third_climbs_best_front_first() -> None:
    trials = rung((0.5, 0.5), (0.2, 0.2), (0.9, 0.9), (0.6, 0.6), (0.3, 0.3), (0.8, 0.8))
    assert promotable(trials, np.zeros(2)) == [1]
    assert ranking(trials) == [1, 4, 0, 3, 5, 2]


def test_climbed_trials_use_up_the_third() -> None:
    trials = rung((0.5, 0.1), (0.1, 0.5), (0.2, 0.2), (0.6, 0.6), (0.6, 0.6), (0.7, 0.7), promoted=(2,))
    assert promotable(trials, NOISE) in ([0], [1])
    assert promotable(rung((0.1, 0.1), (0.9, 0.9), (0.8, 0.8), promoted=(0,)), NOISE) == []


def test_nothing_climbs_before_eta_trials_are_measured() -> None:
    assert promotable(rung((0.1, 0.1), (0.2, 0.2)), NOISE) == []


def test_noise_protects_what_a_tolerance_could_turn_around() -> None:
    trials = rung((0.30, 0.5), (0.39, 0.5), (0.41, 0.5))
    assert dominated_for_sure(trials, NOISE) == {2}
    assert dominated_for_sure(rung((0.3, 0.5), (0.3, 0.5)), np.zeros(2)) == frozenset()


def test_a_known_cost_has_no_tolerance() -> None:
    assert dominated_for_sure(rung((0.3, 0.5), (0.5, 0.4999)), NOISE) == frozenset()
    assert dominated_for_sure(rung((0.3, 0.5), (0.5, 0.5)), NOISE) == {1}


def test_the_last_call_takes_everyone_that_may_still_reach_the_front() -> None:
    trials = rung((0.30, 0.5), (0.35, 0.5), (0.9, 0.9), (0.1, 0.9), promoted=(3,))
    assert promotable(trials, NOISE, last_call=True) == [0, 1]


def test_a_broken_fixed_constraint_bars_the_way_and_protects_nobody() -> None:
    trials = [RungTrial(0, np.array([0.0, 0.0]), feasible=False), *rung((0.5, 0.5))[:1]]
    trials[1] = RungTrial(1, np.array([0.5, 0.5]))
    assert dominated_for_sure(trials, NOISE) == {0}
    assert promotable(trials, NOISE, last_call=True) == [1]


values = st.tuples(st.integers(0, 20), st.integers(0, 20)).map(lambda pair: (pair[0] / 20, pair[1] / 20))


@given(st.lists(values, min_size=1, max_size=12), st.floats(0, 0.3))
def test_no_member_of_the_front_is_ever_dropped(points: list[tuple[float, float]], tolerance: float) -> None:
    trials = rung(*points)
    dropped = dominated_for_sure(trials, np.array([tolerance, 0.0]))
    assert not dropped & set(np.flatnonzero(non_dominated(np.array(points))).tolist())


@given(st.lists(values, min_size=1, max_size=12), st.floats(0, 0.2), st.randoms())
def test_no_trial_within_the_tolerance_of_the_front_is_dropped(
    points: list[tuple[float, float]], tolerance: float, random
) -> None:
    """Move every learned value by at most half the tolerance: whoever is on the moved front was not dropped."""
    trials = rung(*points)
    dropped = dominated_for_sure(trials, np.array([tolerance, 0.0]))
    moved = np.array([(q + random.uniform(-0.499, 0.499) * tolerance, cost) for q, cost in points])
    assert not dropped & set(np.flatnonzero(non_dominated(moved)).tolist())


@given(st.lists(values, min_size=1, max_size=12))
def test_every_trial_climbs_waits_or_is_dropped_for_sure(points: list[tuple[float, float]]) -> None:
    trials = rung(*points)
    everyone = set(range(len(points)))
    assert set(promotable(trials, NOISE, last_call=True)) == everyone - dominated_for_sure(trials, NOISE)
    assert set(promotable(trials, NOISE)) <= set(promotable(trials, NOISE, last_call=True))


def test_tolerances_come_from_the_trials_that_climbed(objectives: Objectives) -> None:
    assert tolerances(objectives).tolist() == [DEFAULT_TOLERANCE, 0.0]
    changes = [-0.3, -0.2, -0.25, -0.35, -0.15]
    pairs = [(np.array([0.8, 0.4]), np.array([0.8 + change, 0.4])) for change in changes]
    expected = 1.645 * np.sqrt(2) * np.std(changes, ddof=1)
    assert tolerances(objectives, pairs) == pytest.approx([expected, 0.0])
    steady = [(np.array([0.8, 0.4]), np.array([0.5, 0.4]))] * 5
    assert tolerances(objectives, steady) == pytest.approx([0.0, 0.0])


def test_short_runs_are_ranked_by_their_held_out_loss(objectives: Objectives) -> None:
    measured = {"accuracy": 0.5, "trainable_parameters": 999.0, "loss": objectives.loss_scale.worst / 2}
    assert rung_values(objectives, measured) == pytest.approx([0.5, 0.5], abs=1e-6)
    del measured["loss"]
    assert rung_values(objectives, measured) == pytest.approx([1.0, 0.5], abs=1e-6)


def test_a_behaviour_is_ranked_by_itself(job, table) -> None:
    spec = job(objectives=[{"metric": "quality"}, {"metric": "forgetting"}, {"metric": "calibration_error"}])
    objectives = Objectives.of(spec, table, (0, 1e6), [0.5, 0.5])
    measured = {"accuracy": 0.5, "forgetting": 0.0, "calibration_error": 0.25, "loss": objectives.loss_scale.worst}
    assert rung_values(objectives, measured) == pytest.approx([1.0, 0.0, 0.5])


def test_a_short_run_is_not_barred_for_what_training_or_the_machine_may_change(job, table) -> None:
    bounds = [{"metric": "forgetting", "max": 0.1}, {"metric": "peak_memory", "max": 100}]
    objectives = Objectives.of(job(constraints=bounds), table, (0, 1e6), [0.5, 0.5])
    measured = {"accuracy": 0.6, "trainable_parameters": 10.0, "forgetting": 1.0, "peak_memory": 101.0}
    assert rung_trial(objectives, 0, measured, promoted=False).feasible


def test_a_short_run_is_not_barred_for_a_quality_it_may_still_reach(job, table) -> None:
    bounds = [{"metric": "quality", "min": 0.9}, {"metric": "adapter_bytes", "max": 100}]
    objectives = Objectives.of(job(constraints=bounds), table, (0, 1e6), [0.5, 0.5])
    measured = {"accuracy": 0.6, "trainable_parameters": 10.0, "adapter_bytes": 90.0}
    assert rung_trial(objectives, 0, measured, promoted=False).feasible
    assert not rung_trial(objectives, 0, {**measured, "adapter_bytes": 101.0}, promoted=False).feasible
