"""Candidates to recorded runs: the nearest that is not yet taken. Loads no tensor library.

The metric is fixed and the same for whoever asks: Euclidean distance between the space's features
(`space.features`: all in [0, 1], inactive ones constant). Ties go to the smaller index. A candidate need not be valid.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from evaluator.tabular import RecordedRun
from space.encode import Point
from space.space import SearchSpace


class NearestRuns:
    """The runs of one search: each is given out once."""

    def __init__(self, space: SearchSpace, runs: Sequence[RecordedRun]) -> None:
        """`runs`: one a configuration, by index."""
        self._space = space
        self._runs = list(runs)
        self._features: NDArray[np.float64] = space.features([run.point for run in runs])
        self._free = np.ones(len(runs), dtype=bool)

    def take(self, point: Point) -> RecordedRun | None:
        """The nearest run to `point` that is left, which then no longer is; None when none is left."""
        if not self._free.any():
            return None
        away = self._features - self._space.features([point])
        squared = np.where(self._free, (away**2).sum(axis=1), np.inf)
        chosen = int(np.argmin(squared))
        self._free[chosen] = False
        return self._runs[chosen]
