"""Objectives: scales fixed at submission, the reference point, constraints, and errors that name the field."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.job import JobSpec
from search.metrics import METRICS
from search.objectives import Objectives
from search.scales import Scale
from space.errors import FieldError
from space.sites import SiteTable

Job = Callable[..., JobSpec]
SHARES = [0.5, 0.3, 0.2]
RANGE = (100.0, 1e6)


def test_quality_means_accuracy_and_the_reference_is_the_majority_class(objectives: Objectives) -> None:
    assert objectives.names == ("accuracy", "trainable_parameters")
    assert tuple(each.goal for each in objectives.objectives) == ("maximize", "minimize")
    assert objectives.objectives[0].reference == 0.5
    assert objectives.objectives[1].reference == 1e6
    assert objectives.reference.tolist() == [1.0, 1.0]


def test_minimised_values_are_scaled(objectives: Objectives) -> None:
    assert objectives.minimised({"accuracy": 1.0, "trainable_parameters": 0}).tolist() == [0.0, 0.0]
    halfway = objectives.minimised({"accuracy": 0.75, "trainable_parameters": 999})
    assert halfway == pytest.approx([0.5, 0.5], abs=1e-6)
    assert objectives.minimised({"accuracy": 0.4, "trainable_parameters": 0})[0] == pytest.approx(1.2)


def test_the_reference_of_a_cost_is_the_smaller_of_its_constraint_and_the_spaces_maximum(
    job: Job, table: SiteTable
) -> None:
    tight = job(constraints=[{"metric": "trainable_parameters", "max": 1000}])
    loose = job(constraints=[{"metric": "trainable_parameters", "max": 1e9}])
    assert Objectives.of(tight, table, RANGE, SHARES).objectives[1].reference == 1000
    assert Objectives.of(loose, table, RANGE, SHARES).objectives[1].reference == 1e6


def test_a_reference_in_the_job_overrides(job: Job, table: SiteTable) -> None:
    spec = job(objectives=[{"metric": "quality", "reference": 0.75}, {"metric": "trainable_parameters"}])
    assert Objectives.of(spec, table, RANGE, SHARES).reference.tolist() == [0.5, 1.0]


@pytest.mark.parametrize(
    ("metric", "type", "reference"),
    [
        ("macro_f1", "text-classification", 2 * 0.5 / 1.5 / 3),
        ("matthews", "text-classification", 0.0),
        ("loss", "text-classification", -sum(share * np.log(share) for share in SHARES)),
        ("r2", "text-regression", 0.0),
        ("pearson", "text-regression", 0.0),
        ("mse", "text-regression", 1.0),
        ("loss", "text-regression", 1.0),
    ],
)
def test_a_qualitys_reference_is_what_a_constant_prediction_gets(
    job: Job, table: SiteTable, metric: str, type: str, reference: float
) -> None:
    spec = job(type, objectives=[{"metric": metric}])
    found = Objectives.of(spec, table, RANGE, SHARES if type == "text-classification" else None)
    assert found.objectives[0].reference == pytest.approx(reference)
    assert found.reference == pytest.approx([1.0])


def test_every_metric_can_be_an_objective(job: Job, table: SiteTable) -> None:
    costs = ["trainable_parameters", "adapter_bytes", "training_memory", "step_seconds", "inference_latency"]
    spec = job(objectives=[{"metric": metric} for metric in ["quality", *costs]])
    found = Objectives.of(spec, table, RANGE, SHARES)
    values = {"accuracy": 0.9, **dict.fromkeys(costs, 0.0)}
    assert found.minimised(values)[1:].tolist() == [0.0] * 5
    assert found.reference.tolist() == [1.0] * 6


@pytest.mark.parametrize("metric", [name for name in METRICS if name != "trainable_parameters"])
def test_every_metric_of_the_catalogue_has_a_scale(job: Job, table: SiteTable, metric: str) -> None:
    type = (METRICS[metric].tasks or ("text-classification",))[0]
    spec = job(type, objectives=[{"metric": metric}])
    (found,) = Objectives.of(spec, table, RANGE, SHARES if type == "text-classification" else None).objectives
    assert found.minimised(found.scale.best) == 0.0
    assert found.minimised(found.reference) == pytest.approx(1.0)
    assert (found.scale.best > found.scale.worst) == (METRICS[metric].goal == "maximize")


@pytest.mark.parametrize(
    ("metric", "reference"), [("calibration_error", 0.5), ("memorisation_gap", -sum(s * np.log(s) for s in SHARES))]
)
def test_a_behaviours_reference_is_worth_nothing(job: Job, table: SiteTable, metric: str, reference: float) -> None:
    (found,) = Objectives.of(job(objectives=[{"metric": metric}]), table, RANGE, SHARES).objectives
    assert found.reference == pytest.approx(reference)


@pytest.mark.parametrize("metric", ["forgetting", "memorisation_gap"])
def test_noise_below_nothing_lost_is_no_gain(job: Job, table: SiteTable, metric: str) -> None:
    (found,) = Objectives.of(job(objectives=[{"metric": metric}]), table, RANGE, SHARES).objectives
    assert found.minimised(-0.02) == found.minimised(0.0) == 0.0
    assert 0 < found.minimised(0.01) < found.minimised(0.1) < found.minimised(1.0) < 1.3


def test_constraints_hold_up_to_their_limit(job: Job, table: SiteTable) -> None:
    spec = job(
        constraints=[{"metric": "quality", "min": 0.8}, {"metric": "adapter_bytes", "min": 10, "max": 1000}],
    )
    found = Objectives.of(spec, table, RANGE, SHARES)
    assert found.feasible({"accuracy": 0.8, "adapter_bytes": 1000})
    assert not found.feasible({"accuracy": 0.79, "adapter_bytes": 1000})
    assert not found.feasible({"accuracy": 0.9, "adapter_bytes": 1001})
    assert not found.feasible({"accuracy": 0.9})
    broken = found.violations({"accuracy": 0.7, "adapter_bytes": 5})
    assert (broken[[0, 2]] > 0).tolist() == [False, False] or broken.shape == (3,)
    assert broken[0] == pytest.approx(0.2)


def test_objectives_survive_json(job: Job, table: SiteTable) -> None:
    spec = job(constraints=[{"metric": "quality", "min": 0.8}])
    found = Objectives.of(spec, table, RANGE, SHARES)
    assert Objectives.model_validate_json(found.model_dump_json()) == found


@pytest.mark.parametrize(
    ("type", "changes", "field"),
    [
        ("text-regression", {"objectives": [{"metric": "accuracy"}]}, "objectives.0.metric"),
        ("text-classification", {"constraints": [{"metric": "r2", "min": 0}]}, "constraints.0.metric"),
        ("text-classification", {"objectives": [{"metric": "quality"}, {"metric": "accuracy"}]}, "objectives.1.metric"),
        ("text-classification", {"objectives": [{"metric": "quality", "goal": "minimize"}]}, "objectives.0.goal"),
        ("text-classification", {"objectives": [{"metric": "quality", "reference": 1.0}]}, "objectives.0.reference"),
        ("text-classification", {"objectives": [{"metric": "trainable_parameters"}]}, "objectives"),
    ],
)
def test_bad_objectives_name_their_field(job: Job, table: SiteTable, type: str, changes: dict, field: str) -> None:
    with pytest.raises(FieldError) as error:
        Objectives.of(job(type, **changes), table, RANGE, SHARES)
    assert error.value.field == field


@pytest.mark.parametrize(
    "bound",
    [{"metric": "accuracy", "min": 1.5}, {"metric": "loss", "max": -1}, {"metric": "adapter_bytes", "max": -1}],
)
def test_a_limit_that_no_model_can_hold_is_refused(job: Job, table: SiteTable, bound: dict) -> None:
    with pytest.raises(FieldError, match=r"the best there can be is .*; move the limit") as error:
        Objectives.of(job("text-classification", constraints=[bound]), table, RANGE, SHARES)
    assert error.value.field == "constraints.0"


@pytest.mark.parametrize("bound", [{"metric": "accuracy", "min": 1.0}, {"metric": "loss", "max": 0}])
def test_a_limit_at_the_best_there_can_be_is_taken(job: Job, table: SiteTable, bound: dict) -> None:
    Objectives.of(job("text-classification", constraints=[bound]), table, RANGE, SHARES)


def test_one_class_is_refused(job: Job, table: SiteTable) -> None:
    with pytest.raises(FieldError, match="two classes"):
        Objectives.of(job(), table, RANGE, [1.0])


@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_a_larger_cost_is_never_better(a: float, b: float) -> None:
    scale = Scale(best=0.0, worst=1e6, log=True)
    assert (scale.position(a) <= scale.position(b)) or a > b


SCALES = (Scale(best=1.0, worst=0.2), Scale(best=0.0, worst=1e4, log=True))


@given(st.sampled_from(SCALES), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_a_scale_drawn_out_keeps_order_and_values(scale: Scale, limit: float, a: float, b: float) -> None:
    drawn = scale.drawn_out(scale.value(limit))
    low, high = sorted((scale.value(a), scale.value(b)), key=scale.position)
    assert drawn.position(low) <= drawn.position(high)
    assert drawn.value(drawn.position(low)) == pytest.approx(low, rel=1e-6, abs=1e-6)
    assert drawn.positions(np.array([low, high])).tolist() == [drawn.position(low), drawn.position(high)]


@pytest.mark.parametrize("scale", SCALES)
def test_a_scale_is_drawn_out_around_its_limit(scale: Scale) -> None:
    """A hundredth of the scale takes more room at the limit than anywhere else, on both sides of it alike."""
    drawn = scale.drawn_out(scale.value(0.4))
    steps = np.diff([drawn.position(scale.value(place / 100)) for place in range(101)])
    assert set(np.argsort(steps)[-2:]) == {39, 40}
    assert steps[39] == pytest.approx(steps[40]) and steps[40] > 5 * steps[90]
    assert drawn.position(scale.best) == pytest.approx(0) and drawn.position(scale.worst) == pytest.approx(1)


def test_bounds_on_what_is_learned_and_no_objective_are_drawn_out(job: Job, table: SiteTable) -> None:
    spec = job(
        objectives=[{"metric": "quality"}],
        constraints=[
            {"metric": "quality", "min": 0.8},
            {"metric": "step_seconds", "min": 0.1, "max": 2.0},
            {"metric": "trainable_parameters", "max": 1000},
        ],
    )
    quality, high, low, known = Objectives.of(spec, table, RANGE, SHARES).constraints
    assert (high.limit, low.limit) == (2.0, 0.1)
    assert quality.scale.around is None, "the objective's model serves it"
    assert high.scale.around == low.scale.around == 2.0, "one model serves both"
    assert known.scale.around is None
    assert high.violation(2.0) == 0 and high.violation(2.1) > 0 > high.violation(1.9)
    assert low.violation(0.1) == 0 and low.violation(0.09) > 0 > low.violation(0.11)
