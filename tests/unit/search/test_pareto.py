"""Pareto sets, ranks and hypervolume against definitions written out, and against known volumes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from search.pareto import contributions, hypervolume, knee, non_dominated, ranks

# A coarse grid, so that ties and doubled points are common.
coordinates = st.integers(0, 8).map(lambda value: value / 8)
point_sets = st.integers(1, 4).flatmap(
    lambda width: st.integers(1, 9).flatmap(lambda n: arrays(np.float64, (n, width), elements=coordinates))
)


def dominates(a: np.ndarray, b: np.ndarray) -> bool:
    return bool((a <= b).all() and (a < b).any())


def plain_non_dominated(points: np.ndarray) -> list[bool]:
    return [not any(dominates(other, point) for other in points) for point in points]


@given(point_sets)
def test_non_dominated_is_the_definition(points: np.ndarray) -> None:
    assert non_dominated(points).tolist() == plain_non_dominated(points)


@given(point_sets)
def test_ranks_peel_one_front_after_another(points: np.ndarray) -> None:
    expected = np.full(len(points), -1)
    rank = 0
    while (expected < 0).any():
        left = np.flatnonzero(expected < 0)
        expected[left[plain_non_dominated(points[left])]] = rank
        rank += 1
    assert ranks(points).tolist() == expected.tolist()


@given(point_sets)
def test_hypervolume_is_the_volume_of_the_union_of_boxes(points: np.ndarray) -> None:
    """Counted on the grid that the coordinates lie on: a cell is dominated when its best corner is."""
    width = points.shape[1]
    corners = np.array(list(itertools.product(np.arange(8) / 8, repeat=width)))
    dominated = (points[:, None] <= corners).all(axis=2).any(axis=0)
    assert hypervolume(points, np.ones(width)) == pytest.approx(dominated.sum() / 8**width)


def test_hypervolume_of_known_sets() -> None:
    assert hypervolume([[5, 5], [4, 6], [2, 7], [7, 4]], [10, 10]) == 38.0
    assert hypervolume([[2.0, 2.0]], [1.0, 1.0]) == 0.0
    assert hypervolume([], [1.0, 1.0]) == 0.0


@given(point_sets)
def test_a_contribution_is_what_is_lost_without_the_point(points: np.ndarray) -> None:
    reference = np.ones(points.shape[1])
    lost = contributions(points, reference)
    for index, value in enumerate(lost):
        rest = np.delete(points, index, axis=0)
        assert value == pytest.approx(hypervolume(points, reference) - hypervolume(rest, reference))


def test_knee_is_where_the_front_bends() -> None:
    assert knee([[0.0, 1.0], [0.1, 0.2], [1.0, 0.0], [0.5, 0.5]]) == 1
    assert knee([[3.0]]) == 0


@given(point_sets)
def test_knee_is_on_the_front(points: np.ndarray) -> None:
    assert non_dominated(points)[knee(points)]


@given(point_sets, st.floats(0.1, 1000), st.floats(-10, 10))
def test_knee_does_not_depend_on_units(points: np.ndarray, factor: float, shift: float) -> None:
    chosen, scaled = points[knee(points)], points[knee(points * factor + shift)]
    front = points[non_dominated(points)]
    low, span = front.min(axis=0), np.ptp(front, axis=0)
    span = np.where(span > 0, span, 1)
    assert ((chosen - low) / span).sum() == pytest.approx(((scaled - low) / span).sum())


def test_bad_points_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        ranks([[float("nan"), 1.0]])
    with pytest.raises(ValueError, match="points x objectives"):
        ranks([1.0, 2.0])
    with pytest.raises(ValueError, match="at least one"):
        knee([])
