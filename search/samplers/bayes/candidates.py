"""The search for the best valid candidate: no relaxation, every point that is scored could be trained as it stands."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from search.samplers.bayes.domain import Domain
from space.encode import Point

SAMPLES = 192
STARTS = 16
AROUND = 8
"""Random draws, points of the front to begin from, and neighbours of each: the acquisition function of three
objectives has many hills, and a climb from few places misses the highest
(docs/decisions/0012-the-surrogate-by-measurement.md)."""
LEADERS = 8
NEIGHBOURS = 12
ROUNDS = 10
"""The climb: the best so far, neighbours of each, and rounds at most."""

REFINED = 4
"""Points that are refined, each on its own."""

Score = Callable[[Sequence[Point]], NDArray[np.float64]]


def best_candidate(
    domain: Domain,
    score: Score,
    starts: Sequence[Point],
    rng: np.random.Generator,
    seen: set[str],
    allowed: Callable[[Point], bool],
    refine: Callable[[Sequence[Point]], Sequence[Point]],
) -> tuple[Point, float] | None:
    """The valid point of highest `score` found whose key is not in `seen`, with its score; None if all are.

    First random draws and the neighbours of `starts` (points of the front), then, round by round, the neighbours of
    the best so far, until a round brings nothing better. Last, what `refine` makes of the best `REFINED`.
    """
    pool: dict[str, tuple[Point, float]] = {}

    def add(points: Sequence[Point]) -> None:
        new: dict[str, Point] = {}
        for point in points:
            key = domain.key(point)
            if key not in seen and key not in pool and allowed(point):
                new.setdefault(key, point)
        if new:
            scores = np.nan_to_num(score(list(new.values())), nan=-np.inf)
            pool.update({key: (point, float(s)) for (key, point), s in zip(new.items(), scores, strict=True)})

    add(
        [domain.sample(rng) for _ in range(SAMPLES)]
        + [near for start in starts[:STARTS] for near in domain.neighbours(start, rng, AROUND)]
    )
    best = max((value for _, value in pool.values()), default=-np.inf)
    for _ in range(ROUNDS):
        leaders = sorted(pool.values(), key=lambda entry: -entry[1])[:LEADERS]
        if not leaders:
            break
        add([near for point, _ in leaders for near in domain.neighbours(point, rng, NEIGHBOURS)])
        now = max(value for _, value in pool.values())
        if now <= best:
            break
        best = now
    add(refine([point for point, _ in sorted(pool.values(), key=lambda entry: -entry[1])[:REFINED]]))
    return max(pool.values(), key=lambda entry: entry[1], default=None)
