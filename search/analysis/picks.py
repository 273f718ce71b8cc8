"""Ways to take one point from a front, by name.

    knee                                              giving up a little of one objective stops buying much of another
    best:accuracy                                     the best of one objective
    best:accuracy,trainable_parameters<=50000         the same among the points within limits (epsilon-constraint)
    weighted:accuracy=2,trainable_parameters=1        the least weighted distance from the best of everything

Weights apply to objectives scaled to the front's own range, by the augmented Chebyshev distance (Steuer and Choo 1983):
a weighted sum would only ever pick corners of the front's convex hull, this picks any point of it for some weights.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from search.objectives import Objectives
from search.pareto import knee
from space.errors import FieldError

FORMS = "knee, best:METRIC, best:METRIC,METRIC<=LIMIT or weighted:METRIC=WEIGHT,METRIC=WEIGHT"
AUGMENTED = 1e-3
"""Weight of the plain sum: enough that of two points as far in the worst objective the better one is taken."""
LIMIT = re.compile(r"([a-z0-9_]+)(<=|>=)(.+)")
WEIGHT = re.compile(r"([a-z0-9_]+)=(.+)")


@dataclass(frozen=True)
class Limit:
    """A bound on one objective, in the metric's own units."""

    metric: str
    bound: Literal["<=", ">="]
    value: float

    def holds(self, values: Mapping[str, float]) -> bool:
        value = values[self.metric]
        return value <= self.value if self.bound == "<=" else value >= self.value


@dataclass(frozen=True)
class Pick:
    """One way to choose; `text` as the user wrote it."""

    text: str
    kind: Literal["knee", "best", "weighted"]
    metric: str = ""
    limits: tuple[Limit, ...] = ()
    weights: tuple[tuple[str, float], ...] = ()

    def choose(self, points: Sequence[Mapping[str, float]], objectives: Objectives) -> int:
        """Index of the point taken from a front of at least one; `points` hold each objective's value.

        Raises:
            FieldError: `pick`: no point is within the limits.
        """
        minimised = np.array([objectives.minimised(point) for point in points])
        if self.kind == "knee":
            return knee(minimised)
        low, span = minimised.min(axis=0), np.ptp(minimised, axis=0)
        scaled = (minimised - low) / np.where(span > 0, span, 1.0)
        if self.kind == "best":
            within = [row for row, point in enumerate(points) if all(limit.holds(point) for limit in self.limits)]
            if not within:
                raise FieldError("pick", self._none_within(points))
            column = objectives.names.index(self.metric)
            return min(within, key=lambda row: (scaled[row, column], scaled[row].sum(), row))
        weights = dict(self.weights)
        weighed = scaled * [weights.get(name, 0.0) for name in objectives.names]
        distance = weighed.max(axis=1) + AUGMENTED * weighed.sum(axis=1)
        return min(range(len(points)), key=lambda row: (distance[row], scaled[row].sum(), row))

    def _none_within(self, points: Sequence[Mapping[str, float]]) -> str:
        ranges = []
        for limit in self.limits:
            values = [point[limit.metric] for point in points]
            ranges.append(f"{limit.metric} goes from {min(values):g} to {max(values):g}")
        limits = " and ".join(f"{limit.metric}{limit.bound}{limit.value:g}" for limit in self.limits)
        return f"no point of the front has {limits}: there {', '.join(ranges)}; move the limit"


def parse_pick(text: str, objectives: Objectives) -> Pick:
    """The pick that `text` names, on a front of these objectives.

    Raises:
        FieldError: `pick`: says what is wrong and what can be written instead.
    """
    kind, _, rest = text.strip().partition(":")
    parts = [part.strip() for part in rest.split(",") if part.strip()]
    if kind == "knee" and not parts:
        return Pick(text, "knee")
    if kind == "best" and parts:
        metric = _objective(parts[0], objectives, "best:METRIC")
        return Pick(text, "best", metric, tuple(_limit(part, objectives) for part in parts[1:]))
    if kind == "weighted" and parts:
        weights = tuple(_weight(part, objectives) for part in parts)
        names = [name for name, _ in weights]
        if len(set(names)) < len(names):
            raise FieldError("pick", f"{text!r} weighs an objective twice; name each once")
        if not any(weight > 0 for _, weight in weights):
            raise FieldError("pick", f"{text!r} weighs nothing: give one objective a weight above 0")
        return Pick(text, "weighted", weights=weights)
    raise FieldError("pick", f"unknown pick {text!r}; write {FORMS}")


def _objective(metric: str, objectives: Objectives, form: str) -> str:
    if metric not in objectives.names:
        raise FieldError(
            "pick", f"{metric!r} is no objective of this job, in {form}; its objectives: {', '.join(objectives.names)}"
        )
    return metric


def _limit(part: str, objectives: Objectives) -> Limit:
    found = LIMIT.fullmatch(part)
    if found is None:
        raise FieldError("pick", f"{part!r} is no limit; write METRIC<=LIMIT or METRIC>=LIMIT")
    metric = _objective(found[1], objectives, "METRIC<=LIMIT")
    return Limit(metric, "<=" if found[2] == "<=" else ">=", _number(found[3], part))


def _weight(part: str, objectives: Objectives) -> tuple[str, float]:
    found = WEIGHT.fullmatch(part)
    if found is None:
        raise FieldError("pick", f"{part!r} is no weight; write METRIC=WEIGHT")
    weight = _number(found[2], part)
    if weight < 0:
        raise FieldError(
            "pick", f"{part!r}: a weight is 0 or more; every objective counts in its own direction already"
        )
    return _objective(found[1], objectives, "weighted:METRIC=WEIGHT"), weight


def _number(text: str, part: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise FieldError("pick", f"{part!r} does not end in a number; write one, for example 50000 or 0.9")
    return number


def usual_picks(objectives: Objectives) -> list[Pick]:
    """Those that every front is shown with: the knee, and the best of each objective."""
    return [Pick("knee", "knee"), *(Pick(f"best:{name}", "best", name) for name in objectives.names)]
