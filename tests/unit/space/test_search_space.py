from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from space.configuration import Component, Configuration
from space.errors import FieldError
from space.load import load_space
from space.parameters import ParameterLimits
from space.resolve import resolve
from space.scores import ScoreTable
from space.sites import SiteTable
from space.space import SearchSpace

SPECS: dict[str, Mapping[str, Any]] = {
    "autopeft": {"preset": "autopeft"},
    "lora": {"preset": "lora"},
    "all": {"preset": "all"},
    "tiny": {"preset": "tiny"},
    "one method, everything fixed": {"methods": "lora", "rank": 4, "learning_rate": 1e-3, "layers": "bits"},
    "union that is always whole": {
        "union": {"parallel-adapter": ["d/16", "d/4"], "prefix-tuning": [4, 16]},
        "options": {"parallel-adapter": {"scale": [1, 2, 4]}},
        "sites": {"parallel-adapter": [["mlp"], ["attention", "mlp"]]},
        "layers": ["last", "band"],
    },
    "sparse only": {"methods": ["lora", "ia3"], "sparsity": 0.3, "allocator": ["uniform", "sensitivity"]},
    "treated": {
        "methods": ["lora", "rslora", "ia3", "full-fine-tuning"],
        "initialisation": ["none", "pissa", "olora"],
        "procedure": ["none", "lora-plus", "lisa"],
        "compression": ["none", "compeft"],
        "options": {"lora-plus": {"ratio": [4, 16]}, "compeft": {"density": [0.05, 0.2]}},
    },
    "treated union": {
        "methods": ["lora"],
        "union": ["lora", "prefix-tuning"],
        "compression": ["none", "compeft"],
        "procedure": ["none", "lora-plus"],
    },
}


@pytest.fixture(scope="module", params=SPECS)
def free(request: pytest.FixtureRequest, table: SiteTable, scores: ScoreTable) -> SearchSpace:
    """A space without limits."""
    space = load_space(SPECS[request.param], table)
    return space.with_scores(scores) if space.needs_scores else space


@pytest.fixture(scope="module", params=["free", "limited"])
def space(request: pytest.FixtureRequest, free: SearchSpace) -> SearchSpace:
    """A space without limits, or with limits around one of its configurations."""
    if request.param == "free":
        return free
    count = free.parameters(free.sample(np.random.default_rng(9)))
    return SearchSpace(free.choices, free.table, ParameterLimits(0.7 * count, 1.2 * count), free.scores)


@settings(max_examples=8)
@given(seed=st.integers(0, 10**6))
def test_samples_and_neighbours_are_valid_plans_within_limits(space: SearchSpace, seed: int) -> None:
    rng = np.random.default_rng(seed)
    point = space.sample(rng)
    near = space.neighbours(point, rng, 5)
    assert point not in near
    for each in (point, *near):
        assert space.check(each) is None
        assert list(each) == [dimension.name for dimension in space.active(each)]
        plan = space.plan(each)
        assert plan.trainable_parameters == space.parameters(each) > 0
        assert space.limits.refuses(plan.trainable_parameters) is None
    assert len({tuple(each.items()) for each in near}) == len(near)


@settings(max_examples=8)
@given(seed=st.integers(0, 10**6))
def test_points_configurations_and_plans_agree(space: SearchSpace, seed: int) -> None:
    point = space.sample(np.random.default_rng(seed))
    configuration = space.decode(point)
    key = space.plan(point).key
    assert resolve(configuration, space.table, space.scores).key == key
    assert Configuration.model_validate_json(configuration.model_dump_json()) == configuration
    again = space.encode(configuration)
    assert space.check(again) is None
    assert space.plan(again).key == key
    assert space.encode(space.decode(again)) == again


@settings(max_examples=5)
@given(seed=st.integers(0, 10**6))
def test_features_are_finite_within_0_and_1_and_the_same_whatever_else_is_asked(space: SearchSpace, seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = [space.sample(rng) for _ in range(6)]
    matrix = space.features(points)
    assert matrix.shape == (6, len(space.feature_names))
    assert len(set(space.feature_names)) == len(space.feature_names)
    assert np.isfinite(matrix).all()
    assert matrix.min() >= 0
    assert matrix.max() <= 1
    assert np.array_equal(space.features(points[2:3])[0], matrix[2])


def test_the_learning_rate_moves_by_itself_to_where_its_feature_says(space: SearchSpace) -> None:
    rng = np.random.default_rng(3)
    for point in [space.sample(rng) for _ in range(20)]:
        for column, name in space.continuous(point).items():
            moved = space.moved(point, {name: 0.3})
            before, after = space.features([point, moved])
            assert after[column] == pytest.approx(0.3)
            assert np.delete(after, column) == pytest.approx(np.delete(before, column))
            assert space.check(moved) is None
            assert space.decode(moved) == space.decode(point).model_copy(update={"learning_rate": moved[name]})


def test_different_plans_have_different_features(space: SearchSpace) -> None:
    rng = np.random.default_rng(0)
    points = [space.sample(rng) for _ in range(60)]
    by_key = {space.plan(point).key: space.features([point])[0] for point in points}
    rows = np.array(list(by_key.values()))
    assert len(np.unique(rows, axis=0)) == len(by_key)


def test_same_random_numbers_same_points(space: SearchSpace) -> None:
    first, second = (space.sample(np.random.default_rng(7)) for _ in range(2))
    assert first == second
    near = [space.neighbours(first, np.random.default_rng(8), 4) for _ in range(2)]
    assert near[0] == near[1]


def test_the_unit_cube_covers_the_space(space: SearchSpace) -> None:
    rng = np.random.default_rng(1)
    found = [space.from_unit(rng.random(len(space.dimensions))) for _ in range(200)]
    for point in found:
        assert point is None or space.check(point) is None
    if space.limits == ParameterLimits():
        assert sum(point is not None for point in found) > 100


def test_the_parameter_range_holds_every_sample(space: SearchSpace) -> None:
    low, high = space.parameter_range(np.random.default_rng(0))
    assert space.limits.refuses(low) is None
    assert space.limits.refuses(high) is None
    if space.limits == ParameterLimits() and not space.needs_scores:
        rng = np.random.default_rng(3)
        counts = [space.parameters(space.sample(rng)) for _ in range(100)]
        assert low <= min(counts)
        assert max(counts) <= high


def test_the_size_counts_distinct_configurations(table: SiteTable) -> None:
    space = load_space(
        {
            "methods": ["lora", "ia3"],
            "union": {"serial-adapter": [0, 4, 8], "prefix-tuning": [0, 2]},
            "rank": [1, 2],
            "profile": ["flat", "rising"],
            "sites": {"lora": [["attention.query"], ["all-linear"]], "ia3": ["all-linear"]},
            "layers": ["last", "all"],
            "sparsity": [1, 0.5],
            "allocator": ["uniform", "magnitude"],
            "learning_rate": 1e-3,
        },
        table,
    )
    lora, ia3, union = 2 * 2 * 2, 1, (3 * 2 - 1) * 2
    assert space.size() == (lora + ia3 + union) * table.depth * 3
    rng = np.random.default_rng(0)
    seen = {space.decode(space.sample(rng)).model_dump_json() for _ in range(500)}
    assert len(seen) <= space.size()


def test_without_scores_points_are_counted_at_their_budget_and_have_no_plan_yet(
    table: SiteTable, scores: ScoreTable
) -> None:
    bare = load_space({"methods": ["lora"], "sparsity": 0.5, "allocator": "sensitivity"}, table)
    assert bare.needs_scores
    point = bare.sample(np.random.default_rng(0))
    with pytest.raises(FieldError) as caught:
        bare.plan(point)
    assert caught.value.field == "allocator"
    scored = bare.with_scores(scores)
    assert scored.plan(point).trainable_parameters <= bare.parameters(point)
    assert np.array_equal(scored.features([point]), bare.features([point]))


@pytest.mark.parametrize("family", ["bert"], indirect=True)
def test_invalid_points_say_why(table: SiteTable) -> None:
    space = load_space(
        {"union": {"serial-adapter": [0, 4], "prefix-tuning": [0, 2]}, "layers": "bits", "sparsity": [0.001, 1]},
        table,
        ParameterLimits(None, 15_000),
    )
    layers = {f"layer.{layer}": True for layer in range(6)}
    union = {"union.serial-adapter.size": 4, "union.prefix-tuning.size": 0}
    rest = {"sparsity": 1.0, "learning_rate": 1e-3}
    good = {**union, **layers, "layer.1": False, "layer.2": False, **rest}
    assert space.check(good) is None
    assert "more than 15000" in str(space.check({**union, **layers, **rest}))
    assert "union is off" in str(space.check({**good, "union.serial-adapter.size": 0}))
    assert "no layer is on" in str(space.check({**good, **dict.fromkeys(layers, False)}))
    assert "budget" in str(space.check({**good, "sparsity": 0.001}))
    assert "no choice" in str(space.check({**good, "union.serial-adapter.size": 5}))
    assert "method is not a dimension" in str(space.check({**good, "method": "lora"}))
    missing = {name: value for name, value in good.items() if name != "learning_rate"}
    assert "no learning_rate" in str(space.check(missing))


@pytest.mark.parametrize("family", ["bert"], indirect=True)
def test_what_is_outside_the_space_is_refused_by_field(table: SiteTable) -> None:
    space = load_space({"methods": ["lora", "serial-adapter"], "rank": [2, 8], "sparsity": [1, 0.5]}, table)
    outside = {
        "components": Configuration(components=(Component(method="dora"),)),
        "components.0.size": Configuration(components=(Component(method="lora", size=(3,)),)),
        "components.0.roles": Configuration(components=(Component(method="lora", size=(2,), roles=("mlp.up",)),)),
        "components.0.options.scaling": Configuration(
            components=(Component(method="lora", size=(2,), options={"scaling": 3.0}),)
        ),
        "layers": Configuration(components=(Component(method="lora", size=(2,)),), layers=(True, False)),
        "sparsity": Configuration(components=(Component(method="lora", size=(2,)),), sparsity=0.4),
        "allocator": Configuration(
            components=(Component(method="lora", size=(2,)),), sparsity=0.5, allocator="magnitude"
        ),
        "learning_rate": Configuration(components=(Component(method="lora", size=(2,)),), learning_rate=1.0),
    }
    for field, configuration in outside.items():
        with pytest.raises(FieldError) as caught:
            space.encode(configuration)
        assert caught.value.field == field


@pytest.mark.parametrize("family", ["bert"], indirect=True)
def test_a_lone_method_is_preferred_to_a_union_of_one(table: SiteTable) -> None:
    spec = {"methods": ["serial-adapter"], "union": ["serial-adapter", "prefix-tuning"], "bottleneck": [8]}
    space = load_space(spec, table)
    alone = space.encode(Configuration(components=(Component(method="serial-adapter", size=(8,)),)))
    assert alone["method"] == "serial-adapter"
    as_union = {"method": "union", "union.serial-adapter.size": 8, "union.prefix-tuning.size": 0}
    as_union["learning_rate" if "learning_rate" in alone else "union.learning_rate"] = 1e-3
    assert space.plan(as_union).key == space.plan(alone).key


def test_the_least_room_is_still_found(table: SiteTable) -> None:
    free = load_space({"preset": "autopeft"}, table)
    count = free.parameters(free.sample(np.random.default_rng(5)))
    narrow = load_space({"preset": "autopeft"}, table, ParameterLimits(0.97 * count, count))
    points = [narrow.sample(np.random.default_rng(seed)) for seed in range(5)]
    assert all(0.97 * count <= narrow.parameters(point) <= count for point in points)


@pytest.mark.parametrize("limits", [ParameterLimits(None, 100), ParameterLimits(10**9, None)])
def test_limits_that_leave_nothing_name_the_counts_there_are(table: SiteTable, limits: ParameterLimits) -> None:
    with pytest.raises(FieldError, match="move the limit") as caught:
        load_space({"preset": "lora"}, table, limits)
    assert caught.value.field == "constraints"
    low, high = load_space({"preset": "lora"}, table).parameter_range(np.random.default_rng(0))
    assert f"{low} to {high}" in caught.value.message
