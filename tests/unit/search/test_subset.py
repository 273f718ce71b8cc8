"""The subset of largest hypervolume, against every subset tried out and Optuna's greedy solution."""

from __future__ import annotations

import itertools
import math

import moocore
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from optuna._hypervolume.hssp import _solve_hssp

from search.analysis import subset as subset_module
from search.analysis.subset import best_subset, greedy

coordinates = st.integers(0, 10).map(lambda value: value / 8)
fronts = st.integers(2, 3).flatmap(
    lambda width: st.integers(1, 8).flatmap(lambda n: arrays(np.float64, (n, width), elements=coordinates))
)


def volume(points: np.ndarray) -> float:
    return float(moocore.hypervolume(points, ref=np.ones(points.shape[1])))


@given(fronts, st.integers(1, 9))
def test_no_other_subset_has_more(points: np.ndarray, size: int) -> None:
    """Also where points are dominated, doubled, or beyond the reference."""
    found = best_subset(points, np.ones(points.shape[1]), size)
    assert found.exact
    assert len(set(found.rows)) == min(size, len(points))
    every = itertools.combinations(range(len(points)), min(size, len(points)))
    assert found.hypervolume == pytest.approx(max(volume(points[list(rows)]) for rows in every))
    assert found.hypervolume == pytest.approx(volume(points[list(found.rows)]))
    assert found.whole == pytest.approx(volume(points))


def sphere(count: int, width: int, seed: int) -> np.ndarray:
    """A front of points on the unit sphere."""
    normal = np.abs(np.random.default_rng(seed).standard_normal((count, width)))
    return 1 - normal / np.linalg.norm(normal, axis=1, keepdims=True)


@pytest.mark.parametrize("seed", range(3))
def test_a_long_front_of_two_objectives_is_solved_exactly(seed: int) -> None:
    points = sphere(24, 2, seed)
    every = itertools.combinations(range(len(points)), 4)
    assert best_subset(points, np.ones(2), 4).hypervolume == pytest.approx(
        max(volume(points[list(rows)]) for rows in every)
    )


@pytest.mark.parametrize("width", [2, 3, 4])
def test_greedy_takes_what_optunas_greedy_takes(width: int) -> None:
    points = sphere(40, width, width)
    theirs = _solve_hssp(points, np.arange(len(points)), 8, np.ones(width))
    assert greedy(points, np.ones(width), 8) == theirs.tolist()


def test_greedy_keeps_its_promise_and_says_that_it_was_greedy(monkeypatch: pytest.MonkeyPatch) -> None:
    points = sphere(14, 3, 0)
    exact = best_subset(points, np.ones(3), 4)
    assert exact.exact
    monkeypatch.setattr(subset_module, "MOST_SUBSETS", 10)
    found = best_subset(points, np.ones(3), 4)
    assert not found.exact
    assert (1 - 1 / math.e) * exact.hypervolume <= found.hypervolume <= exact.hypervolume


def test_a_subset_has_a_point() -> None:
    with pytest.raises(ValueError, match="at least one"):
        best_subset([[0.5, 0.5]], [1.0, 1.0], 0)
