"""The space of a define-by-run objective, inferred from the trials of its study."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from search.samplers.as_optuna.parameter import Parameter
from search.samplers.as_optuna.presence import Presence, learn
from space.dimension import Value
from space.encode import Point
from space.features import INACTIVE
from space.neighbour import SINGLE_CHANGE

Column = Callable[[Point], float]


class InferredSpace:
    """`Domain` of the points that an objective would ask for, as far as its trials show.

    Parameters stand in the order in which the objective suggests them; `presence` says of each under which earlier
    values it is suggested (`search.samplers.as_optuna.presence`).
    """

    def __init__(self, trials: Sequence[FrozenTrial]) -> None:
        self._order = suggested_order(trials)
        self.parameters = parameters_of(trials)
        self._fixed: Point = {}
        self.presence = self._learned([(trial, self.point(trial)) for trial in trials])
        columns = self._columns()
        self._features = [column for _, column in columns]
        self.feature_names = tuple(name for name, _ in columns)
        always = {name for name, each in self.parameters.items() if self.presence[name].always and not each.choices}
        self.shared_features = tuple(place for place, name in enumerate(self.feature_names) if name in always)

    def fix(self, values: Point) -> None:
        """Give every new point these values, wherever it has their parameters (what a user enqueued)."""
        self._fixed = values

    def point(self, trial: FrozenTrial) -> Point:
        """What the trial was given so far, in this space's parameters."""
        return self.internal(trial.params, trial.distributions)

    def internal(self, values: Mapping[str, Any], distributions: Mapping[str, BaseDistribution] | None = None) -> Point:
        """Values as Optuna shows them, as a point; those that their distribution cannot hold are left out."""
        point: Point = {}
        for name, parameter in self.parameters.items():
            if name in values:
                distribution = (distributions or {}).get(name, parameter.distribution)
                try:
                    number = distribution.to_internal_repr(values[name])
                except ValueError:
                    continue
                point[name] = _tidy(parameter, number)
        return point

    def external(self, point: Point) -> dict[str, Any]:
        """A point's values as Optuna shows them."""
        return {
            name: self.parameters[name].distribution.to_external_repr(float(value)) for name, value in point.items()
        }

    def complete(self, point: Point) -> bool:
        """Whether `point` has every parameter that the objective is expected to ask for."""
        return all(name in point or not self.presence[name](point) for name in self.parameters)

    # Domain

    def features(self, points: Sequence[Point]) -> NDArray[np.float64]:
        rows = [[column(point) for column in self._features] for point in points]
        return np.array(rows, dtype=np.float64).reshape(len(points), len(self._features))

    def key(self, point: Point) -> str:
        return repr(sorted(point.items()))

    def known(self, point: Point, metric: str) -> float:
        raise ValueError(f"a study does not know {metric} before it is measured")

    def sample(self, rng: np.random.Generator) -> Point:
        return self._walk(lambda parameter: parameter.at(rng.random()))

    def neighbours(self, point: Point, rng: np.random.Generator, n: int) -> list[Point]:
        """Up to `n` different points with one or two values moved; what that switches on is random."""
        moving = [name for name in point if name not in self._fixed and not self.parameters[name].distribution.single()]
        found: dict[str, Point] = {}
        own = self.key(point)
        for _ in range(20 * n if moving else 0):
            count = min(1 if rng.random() < SINGLE_CHANGE else 2, len(moving))
            chosen = [moving[index] for index in rng.permutation(len(moving))[:count]]
            changes = {name: self.parameters[name].near(point[name], rng) for name in chosen}
            changed = self._walk(self._keeping(point, changes, rng.random))
            key = self.key(changed)
            if key != own and key not in found:
                found[key] = changed
                if len(found) == n:
                    break
        return list(found.values())

    def continuous(self, point: Point) -> dict[int, str]:
        return {
            place: name
            for place, name in enumerate(self.feature_names)
            if name in point and name not in self._fixed and self.parameters[name].continuous
        }

    def moved(self, point: Point, positions: Mapping[str, float]) -> Point:
        """What that switches on stands in the middle of its range."""
        changes = {name: self.parameters[name].valued(at) for name, at in positions.items()}
        return self._walk(self._keeping(point, changes, lambda: 0.5))

    def _keeping(
        self, point: Point, changes: Mapping[str, Value], new: Callable[[], float]
    ) -> Callable[[Parameter], Value]:
        def choose(parameter: Parameter) -> Value:
            value = changes.get(parameter.name, point.get(parameter.name))
            return value if value is not None and parameter.fits(value) else parameter.at(new())

        return choose

    def _walk(self, choose: Callable[[Parameter], Value]) -> Point:
        point: Point = {}
        for name, parameter in self.parameters.items():
            if self.presence[name](point):
                point[name] = self._fixed[name] if name in self._fixed else choose(parameter)
        return point

    # What the trials show

    def _learned(self, seen: Sequence[tuple[FrozenTrial, Point]]) -> dict[str, Presence]:
        """The rule of each parameter. Absence is believed of completed trials, and of others that asked for more later
        on; presence of all."""
        rules: dict[str, Presence] = {}
        names = list(self.parameters)
        places = {name: place for place, name in enumerate(self._order)}
        reached = [
            len(self._order)
            if trial.state == TrialState.COMPLETE
            else max((places[name] for name in trial.params), default=-1)
            for trial, _ in seen
        ]
        known: dict[tuple[bool, ...], str] = {}
        for place, name in enumerate(names):
            rows = [
                point for (_, point), last in zip(seen, reached, strict=True) if name in point or last > places[name]
            ]
            present = [name in point for point in rows]
            if all(present):
                rules[name] = Presence(True)
                continue
            pattern = tuple(name in point for _, point in seen)
            if pattern in known:  # suggested together with an earlier one
                rules[name] = rules[known[pattern]]
                continue
            known[pattern] = name
            earlier = {other: bool(self.parameters[other].choices) for other in names[:place]}
            rules[name] = learn(rows, present, earlier)
        return rules

    def _columns(self) -> list[tuple[str, Column]]:
        """A column for each number, flags for choices, and a flag for each condition that no choice's flag states."""
        columns: list[tuple[str, Column]] = []
        flagged: list[Presence] = []
        for name, parameter in self.parameters.items():
            rule = self.presence[name]
            if not rule.always and not _is_choice(rule) and rule not in flagged:
                flagged.append(rule)
                columns.append((f"{name}?", _flag(rule)))
            if parameter.choices > 2:
                columns += [(f"{name}={index}", _equals(name, index)) for index in range(parameter.choices)]
            else:
                columns.append((name, _place(parameter)))
        return columns


def parameters_of(trials: Sequence[FrozenTrial]) -> dict[str, Parameter]:
    """The parameters that had more than one value to choose from, by name, in the order in which they are suggested."""
    return {name: found for name in suggested_order(trials) if (found := _parameter(name, trials)) is not None}


def suggested_order(trials: Sequence[FrozenTrial]) -> list[str]:
    """All parameters of the trials in one order that each trial's own order fits, where there is such."""
    order: list[str] = []
    for trial in trials:
        after = 0
        for name in trial.params:
            if name in order:
                after = max(after, order.index(name) + 1)
            else:
                order.insert(after, name)
                after += 1
    return order


def _parameter(name: str, trials: Sequence[FrozenTrial]) -> Parameter | None:
    """None for a parameter that never had two values to choose from."""
    had = [trial.distributions[name] for trial in trials if name in trial.distributions]
    if all(each.single() for each in had):
        return None
    latest = had[-1]
    if isinstance(latest, CategoricalDistribution):
        return Parameter(name, latest, 0.0, float(len(latest.choices) - 1))
    assert isinstance(latest, FloatDistribution | IntDistribution)
    numeric = [each for each in had if isinstance(each, FloatDistribution | IntDistribution)]
    return Parameter(name, latest, float(min(each.low for each in numeric)), float(max(each.high for each in numeric)))


def _tidy(parameter: Parameter, number: float) -> Value:
    return number if isinstance(parameter.distribution, FloatDistribution) else int(number)


def _is_choice(rule: Presence) -> bool:
    """The rule is one choice of one parameter, which has a flag already."""
    if rule.split is None or rule.yes is None or rule.no is None:
        return False
    return rule.split.test == "is" and rule.yes.split is None and rule.no.split is None


def _flag(rule: Presence) -> Column:
    return lambda point: float(rule(point))


def _equals(name: str, index: int) -> Column:
    return lambda point: float(point.get(name) == index)


def _place(parameter: Parameter) -> Column:
    return lambda point: parameter.position(point[parameter.name]) if parameter.name in point else INACTIVE
