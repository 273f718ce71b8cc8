from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from space.encode import Point
from space.features import SHARED
from space.load import load_space
from space.sites import SiteTable
from space.space import SearchSpace


@pytest.fixture
def space(table: SiteTable) -> SearchSpace:
    return load_space(
        {
            "methods": ["lora", "ia3"],
            "union": {"serial-adapter": [0, "d/64", "d/4"], "prefix-tuning": [0, 4]},
            "rank": [1, 4, 16],
            "sites": {"lora": [["attention.query"], ["all-linear"]]},
            "layers": ["all", "bits"],
            "sparsity": [0.5, 1],
            "learning_rate": {"lora": [1e-4, 1e-2], "ia3": [1e-3, 1e-1]},
        },
        table,
    )


def _row(space: SearchSpace, point: Point) -> dict[str, float]:
    assert space.check(point) is None
    return dict(zip(space.feature_names, space.features([point])[0], strict=True))


LORA: Point = {"method": "lora", "lora.size": 4, "lora.sites": "attention.query", "layers": "all", "sparsity": 1.0}


@pytest.mark.parametrize("family", ["bert"], indirect=True)
def test_what_methods_share_stands_in_shared_columns(space: SearchSpace) -> None:
    lora = _row(space, {**LORA, "lora.learning_rate": 1e-3})
    assert lora["method=lora"] == 1
    assert lora["method=ia3"] == lora["method=union"] == 0
    assert lora["size"] == pytest.approx(0.5)
    assert lora["learning_rate"] == pytest.approx(0.5)
    assert lora["layers.share"] == 1
    assert lora["layers.height"] == pytest.approx(0.5)
    assert lora["sparsity"] == 1
    assert lora["sites.mlp.up"] == 0
    everywhere = _row(space, {**LORA, "lora.sites": "all-linear", "lora.learning_rate": 1e-3})
    assert everywhere["sites.mlp.up"] == 1
    assert everywhere["log_parameters"] > lora["log_parameters"]


@pytest.mark.parametrize("family", ["bert"], indirect=True)
def test_inactive_columns_are_constant(space: SearchSpace) -> None:
    union = ("union.serial-adapter.on", "union.serial-adapter.size", "union.prefix-tuning.on")
    rows = [
        _row(space, {**LORA, "lora.size": size, "lora.sites": sites, "lora.learning_rate": rate})
        for size in (1, 16)
        for sites in ("attention.query", "all-linear")
        for rate in (1e-4, 1e-2)
    ]
    ia3 = [
        _row(space, {"method": "ia3", "ia3.sites": sites, "layers": "all", "sparsity": 1.0, "ia3.learning_rate": 1e-2})
        for sites in ("attention.key+attention.value+mlp.down", "all-linear")
    ]
    assert {tuple(row[name] for name in union) for row in (*rows, *ia3)} == {(0.0, 0.0, 0.0)}
    assert {row["size"] for row in ia3} == {0.5}
    rest: Point = {"layers": "all", "sparsity": 1.0, "union.learning_rate": 1e-3}
    serial: Point = {"method": "union", "union.serial-adapter.size": "d/4", "union.prefix-tuning.size": 0, **rest}
    prefix: Point = {**serial, "union.serial-adapter.size": 0, "union.prefix-tuning.size": 4}
    assert [_row(space, point)["size"] for point in (serial, prefix)] == [0.5, 0.5]
    assert [_row(space, point)["union.serial-adapter.on"] for point in (serial, prefix)] == [1, 0]
    assert _row(space, prefix)["union.serial-adapter.size"] == 0


@pytest.mark.parametrize("family", ["bert"], indirect=True)
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6))
def test_what_is_inactive_is_imputed_alike_at_every_point(space: SearchSpace, seed: int) -> None:
    """A column of a method's own says nothing of points of another method; shared ones are numbers for all."""
    rng = np.random.default_rng(seed)
    points = [space.sample(rng) for _ in range(12)]
    matrix = space.features(points)
    union = np.array([point["method"] == "union" for point in points])
    for place, name in enumerate(space.feature_names):
        if name.startswith("union."):
            assert set(matrix[~union, place]) <= {0.0}
        if name.startswith("method="):
            assert np.array_equal(matrix[:, place] == 1, [f"method={point['method']}" == name for point in points])
    assert [space.feature_names[place] for place in space.shared_features] == [
        name for name in space.feature_names if name in SHARED
    ]
    one_hot = matrix[:, [name.startswith("method=") for name in space.feature_names]]
    assert np.array_equal(one_hot.sum(axis=1), np.ones(len(points)))


@pytest.mark.parametrize("family", ["bert"], indirect=True)
def test_layers_chosen_in_different_ways_look_the_same(space: SearchSpace) -> None:
    bits: Point = {f"layer.{layer}": True for layer in range(6)}
    rate: Point = {"lora.learning_rate": 1e-3}
    by_bits: Point = {**LORA, "layers": "bits", **bits, "sparsity": LORA["sparsity"], **rate}
    ordered = {dimension.name: by_bits[dimension.name] for dimension in space.active(by_bits)}
    assert _row(space, ordered) == _row(space, {**LORA, **rate})
    top = {**ordered, "layer.0": False, "layer.1": False, "layer.2": False}
    row = _row(space, top)
    assert [row[f"layer.{layer}"] for layer in range(6)] == [0, 0, 0, 1, 1, 1]
    assert row["layers.share"] == 0.5
    assert row["layers.height"] == pytest.approx(0.8)
