"""When there is enough to model, and what is tried until then. Loads no tensor library."""

from __future__ import annotations

import math
from collections.abc import Callable

from search.samplers.past import Floats
from space.space import SearchSpace

GATHERED = 2.0
"""Power by which the design's learning rates keep to the methods' defaults; 1 would spread them evenly."""
FULL_RUNS = 8
"""What a design costs at most, by its first runs. A short first run is cheap and says less, so more are wanted before
the model is asked; where each is a full one, the model does better from the ninth on
(docs/decisions/0015-the-design-knows-the-defaults.md)."""
STUDY_LEAST = 5
"""What the design of a plain study has at least."""
FEWEST_MEASURED = 3
"""Trials with results before a model is worth fitting."""


def initial_trials(dimensions: int, learned: int, trials: int | None = None) -> int:
    """Trials of the Sobol design: 10 to 16, more with more dimensions and more objectives to learn; of a job that
    samples `trials`, no more than a quarter (but 5), so that a short search is not all design."""
    size = min(16, max(10, dimensions // 2 + 2 * learned))
    return size if trials is None else min(size, max(5, trials // 4))


def study_design(parameters: int) -> int:
    """Trials of the design of a plain study whose trials so far asked for so many parameters: one for each, 5 to 8."""
    return min(FULL_RUNS, max(STUDY_LEAST, parameters))


def affordable(size: int, first: float) -> int:
    """Of a design of `size`, the trials that cost `FULL_RUNS` at most, each run to the fidelity `first` (0 to 1]."""
    return min(size, math.floor(FULL_RUNS / first))


def design_words(place: int, size: int, results: int) -> str | None:
    """Why the trial at `place` (from 1) is one of a design of `size`, given so many trials with results; None when it
    is the model's to choose.
    """
    if place <= size:
        return f"initial design {place} of {size}"
    if results < FEWEST_MEASURED:
        return f"waiting for results, {results} of {FEWEST_MEASURED}"
    return None


def around_defaults(space: SearchSpace) -> Callable[[Floats], Floats]:
    """Moves a place within the space's unit cube (shape [dimensions]) so that each learning rate lies below its
    method's default as often as above, and more often near it; the range's ends stay its ends. A default outside the
    range, or at its end, moves nothing.
    """
    usual = space.choices.usual_rates()
    places = {
        index: dimension.position(usual[dimension.name])
        for index, dimension in enumerate(space.dimensions)
        if dimension.name in usual and dimension.low < usual[dimension.name] < dimension.high
    }

    def warp(u: Floats) -> Floats:
        moved = u.copy()
        for index, default in places.items():
            away = 2 * u[index] - 1
            share = abs(away) ** GATHERED
            moved[index] = default * (1 - share) if away < 0 else default + (1 - default) * share
        return moved

    return warp
