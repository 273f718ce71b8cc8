"""What the model-based search asks of a set of points: a job's search space, or one inferred from a study's trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from space.encode import Point


class Domain(Protocol):
    """Points that may be tried, with their features for a surrogate model."""

    @property
    def feature_names(self) -> tuple[str, ...]: ...

    @property
    def shared_features(self) -> tuple[int, ...]:
        """Places of the features that are numbers and mean the same for every point, whatever it chooses."""
        ...

    def features(self, points: Sequence[Point]) -> NDArray[np.float64]:
        """Shape [points, len(feature_names)], about [0, 1]; what is inactive is constant."""
        ...

    def key(self, point: Point) -> str:
        """Points of one key are one candidate."""
        ...

    def known(self, point: Point, metric: str) -> float:
        """The value of a metric that is exact before anything is evaluated."""
        ...

    def sample(self, rng: np.random.Generator) -> Point:
        """A random valid point."""
        ...

    def neighbours(self, point: Point, rng: np.random.Generator, n: int) -> list[Point]:
        """Up to `n` valid points, one or two changes away from `point`."""
        ...

    def continuous(self, point: Point) -> Mapping[int, str]:
        """The continuous numbers of `point` that may move by themselves: names, by the place of the feature that is
        the number's position in its range, 0 to 1."""
        ...

    def moved(self, point: Point, positions: Mapping[str, float]) -> Point:
        """`point` with some continuous numbers at other positions in their ranges."""
        ...
