"""Which points are trained again with fresh seeds: those that make the best front there can be, given the doubt.

The front of single runs is the wrong list: a point just behind it may be the better one, and of several that are alike
only one is needed. The finalists are the points whose true front, beside the baselines', is expected to have the
largest hypervolume, over values drawn from the estimates (`search.probability`). Taking the largest gain each time
reaches at least 1 - 1/e of the most there is, because the expected hypervolume is submodular (Nemhauser, Wolsey, Fisher
1978). By the probability of belonging to the front alone, cheap points would come first that are sure of their place
and add nothing; measured (`tests/unit/search/test_selection.py`), that is worse than the front of single runs.
"""

from __future__ import annotations

import heapq

import numpy as np
from numpy.typing import NDArray

from search.front import Front
from search.ledger import Trial
from search.pareto import contributions, hypervolume
from search.probability import Draws, draw, probabilities

Floats = NDArray[np.float64]

DRAWS = 128
POSSIBLE = 0.01
"""Probability of belonging to the front below which a point is not looked at."""


def finalists(front: Front, count: int, seed: int) -> list[Trial]:
    """Up to `count` sampled trials to train again: the knee, then by the hypervolume that each is expected to add.

    Before the spread between seeds is known there is no doubt to reckon with: then the front's own points.
    """
    sampled = [index for index, point in enumerate(front.points) if point.trial.record.kind == "search"]
    if front.spreads:
        chances = probabilities(front, seed)
        possible = [index for index in sampled if chances[index] >= POSSIBLE or index in front.on_front]
        order = _by_expected_gain(front, draw(front, DRAWS, seed), possible, chances, count)
    else:
        rows = [index for index in front.on_front if index in sampled]
        share = contributions(front.minimised[rows], front.objectives.reference) if rows else np.zeros(0)
        order = [
            rows[each] for each in sorted(range(len(rows)), key=lambda each: (rows[each] != front.knee, -share[each]))
        ]
    return [front.points[index].trial for index in order[:count]]


def _by_expected_gain(
    front: Front, draws: Draws, possible: list[int], chances: dict[int, float], count: int
) -> list[int]:
    """Greedily, the knee first. A gain only shrinks as others are taken, so most need not be reckoned again."""
    reference = front.objectives.reference
    taken = [index for index, point in enumerate(front.points) if point.trial.record.kind == "baseline"]

    def expected(rows: list[int]) -> float:
        kept = draws.feasible[:, rows]
        return float(
            np.mean(
                [hypervolume(values[rows][keep], reference) for values, keep in zip(draws.minimised, kept, strict=True)]
            )
        )

    order: list[int] = []
    if front.knee in possible:
        order.append(front.knee)
        taken.append(front.knee)
    reached = expected(taken)
    waiting = [(-np.inf, -chances[index], index, -1) for index in possible if index not in order]
    heapq.heapify(waiting)
    while waiting and len(order) < count:
        less, chance, index, after = heapq.heappop(waiting)  # minus the gain: a heap gives its smallest
        if after == len(order):
            order.append(index)
            taken.append(index)
            reached -= less
        else:
            heapq.heappush(waiting, (reached - expected([*taken, index]), chance, index, len(order)))
    return order
