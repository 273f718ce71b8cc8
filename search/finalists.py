"""Which points are trained again with fresh seeds: those that show the front best, luck taken out.

The finalists are the points of the front, as it is estimated (`search.estimate`), that together have the largest
hypervolume: of several that are alike one is enough, and a run that was only lucky is no longer ahead of one that just
missed the front of single runs. Where the front has fewer points, the likeliest of those behind it follow.

Measured on searches whose truth is known (`tests/unit/search/test_selection.py`), the true front of five finalists so
chosen is better than that of the five largest contributions to the front of single runs; that of the five points of the
largest probability is worse, for cheap points are sure of their place and add nothing.
"""

from __future__ import annotations

from search.analysis.subset import best_subset
from search.front import Front
from search.ledger import Trial
from search.pareto import contributions
from search.probability import probabilities

POSSIBLE = 0.05
"""Probability of belonging to the front below which a point behind it is not run again."""


def finalists(front: Front, count: int, seed: int) -> list[Trial]:
    """Up to `count` sampled trials to train again: the knee where it is among them, then by what each alone adds."""
    sampled = [index for index, point in enumerate(front.points) if point.trial.record.kind == "search"]
    rows = [index for index in front.on_front if index in sampled]
    if count < 1:
        return []
    if rows:
        chosen = best_subset(front.minimised[rows], front.objectives.reference, count).rows
        rows = [rows[row] for row in chosen]
        share = contributions(front.minimised[rows], front.objectives.reference)
        rows = [
            rows[each] for each in sorted(range(len(rows)), key=lambda each: (rows[each] != front.knee, -share[each]))
        ]
    chances = probabilities(front, seed)
    behind = [index for index in sampled if index not in front.on_front and chances.get(index, 0.0) >= POSSIBLE]
    rows += sorted(behind, key=lambda index: -chances[index])[: count - len(rows)]
    return [front.points[index].trial for index in rows]
