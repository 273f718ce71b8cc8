"""The front as it is reported: points with their intervals, hypervolume, knee, and an honest sentence about it all.

A point trained with fresh seeds is reported by their mean; the run that selected it is left out, so luck in the search
does not flatter it. Other points are reported by their one full-fidelity run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import stats

from evaluator.evaluate import Measurement
from search.ledger import Trial
from search.metrics import METRICS
from search.objectives import Objectives
from search.pareto import contributions, hypervolume, knee, non_dominated

CONFIDENCE = 0.95
DRAWS = 1000
FLAT = 0.02
"""A gain in quality that is not worth a cost."""


@dataclass(frozen=True)
class Point:
    """One trial at full fidelity. `samples`: one row of metric values a seed."""

    trial: Trial
    samples: tuple[Measurement, ...]
    fresh: bool
    """Trained with seeds that did not select it."""

    @property
    def values(self) -> dict[str, float]:
        """Mean over the seeds of every metric that all of them have."""
        names = set.intersection(*(set(sample.metrics) for sample in self.samples))
        return {name: float(np.mean([sample.metrics[name] for sample in self.samples])) for name in sorted(names)}

    @property
    def test(self) -> dict[str, float]:
        tested = [sample.test_metrics for sample in self.samples if sample.test_metrics]
        return {name: float(np.mean([each[name] for each in tested])) for name in tested[0]} if tested else {}


@dataclass(frozen=True)
class Front:
    """Every point at full fidelity, and which of them are on the front."""

    objectives: Objectives
    points: tuple[Point, ...]
    minimised: np.ndarray[tuple[int, int], np.dtype[np.float64]]
    on_front: tuple[int, ...]
    """Indices of the feasible, non-dominated points, by the first cost (or behaviour, or quality), then by number."""
    spreads: dict[str, float] = field(default_factory=dict)
    """Standard deviation between seeds of each learned objective, pooled over points; empty before two seeds."""
    degrees: int = 0
    """Degrees of freedom of `spreads`."""

    @property
    def hypervolume(self) -> float:
        return hypervolume(self.minimised[list(self.on_front)], self.objectives.reference)

    @property
    def baseline_hypervolume(self) -> float:
        rows = [
            index
            for index, point in enumerate(self.points)
            if point.trial.record.kind == "baseline" and self.objectives.feasible(point.values)
        ]
        return hypervolume(self.minimised[rows], self.objectives.reference)

    @property
    def knee(self) -> int | None:
        """Index of the point where giving up a little of one objective stops buying much of another."""
        if not self.on_front:
            return None
        return self.on_front[knee(self.minimised[list(self.on_front)])]

    def finalists(self, count: int) -> list[Trial]:
        """Up to `count` sampled trials of the front to re-run: the knee, then by the hypervolume each alone adds."""
        rows = [index for index in self.on_front if self.points[index].trial.record.kind == "search"]
        share = contributions(self.minimised[rows], self.objectives.reference) if rows else np.zeros(0)
        order = sorted(range(len(rows)), key=lambda each: (rows[each] != self.knee, -share[each]))
        return [self.points[rows[each]].trial for each in order[:count]]


def build_front(trials: Sequence[Trial], objectives: Objectives, full_steps: int) -> Front:
    """The front of all trials that were measured after `full_steps`."""
    points = [point for trial in trials if (point := point_of(trial, objectives, full_steps)) is not None]
    minimised = np.array([objectives.minimised(point.values) for point in points])
    minimised = minimised.reshape(len(points), len(objectives.names))
    feasible = np.array([objectives.feasible(point.values) for point in points], dtype=bool)
    rows = np.flatnonzero(feasible)
    best = rows[non_dominated(minimised[rows])] if len(rows) else rows
    kinds = [(not each.cost, each.quality) for each in objectives.objectives]
    first = kinds.index(min(kinds))
    ordered = sorted(best.tolist(), key=lambda row: (minimised[row, first], points[row].trial.number))
    spreads, degrees = _spreads(points, objectives)
    return Front(objectives, tuple(points), minimised, tuple(ordered), spreads, degrees)


def point_of(trial: Trial, objectives: Objectives, full_steps: int) -> Point | None:
    """What is reported of a trial: its fresh seeds, else its own full run; None before it was measured in full.

    A baseline's own run only chose its learning rate, so it is reported by fresh seeds or not at all.
    """
    full = [(record, measured) for record, measured in trial.measured() if record.stop_step == full_steps]
    full = [(record, measured) for record, measured in full if objectives.measured(measured.metrics)]
    fresh = tuple(measured for record, measured in full if record.purpose != "rung")
    if fresh:
        return Point(trial, fresh, fresh=True)
    if not full or trial.record.kind == "baseline":
        return None
    return Point(trial, tuple(measured for _, measured in full), fresh=False)


def growth(trials: Sequence[Trial], objectives: Objectives, full_steps: int) -> list[float]:
    """The hypervolume after each sampled trial that was measured in full, in the order they were, by those runs."""
    runs = [
        (record.ended_at, trial.number, measured.metrics)
        for trial in trials
        if trial.record.kind == "search"
        for record, measured in trial.measured("rung")
        if record.stop_step == full_steps and record.ended_at is not None and objectives.measured(measured.metrics)
    ]
    reached: list[float] = []
    rows = np.zeros((0, len(objectives.names)))
    for _, _, metrics in sorted(runs, key=lambda run: run[:2]):
        if objectives.feasible(metrics):
            rows = np.vstack([rows, objectives.minimised(metrics)])
        reached.append(hypervolume(rows, objectives.reference))
    return reached


def _spreads(points: Sequence[Point], objectives: Objectives) -> tuple[dict[str, float], int]:
    repeated = [point.samples for point in points if len(point.samples) > 1]
    degrees = sum(len(samples) - 1 for samples in repeated)
    if not degrees:
        return {}, 0
    spreads = {}
    for name in _uncertain(objectives):
        squares = sum(
            float(np.var([sample.metrics[name] for sample in samples])) * len(samples) for samples in repeated
        )
        spreads[name] = math.sqrt(squares / degrees)
    return spreads, degrees


def _uncertain(objectives: Objectives) -> list[str]:
    return [objective.metric for objective in objectives.objectives if not objective.known]


def probabilities(front: Front, seed: int) -> dict[int, float]:
    """For each point, the probability that it belongs to the front, given the spread between seeds.

    Monte Carlo over normal errors of the reported means, independent between points. Empty before two seeds.
    """
    if not front.spreads:
        return {}
    generator = np.random.default_rng(seed)
    feasible = np.flatnonzero([front.objectives.feasible(point.values) for point in front.points])
    seeds = np.sqrt([len(point.samples) for point in front.points])
    drawn = np.repeat(front.minimised[None], DRAWS, axis=0)
    for column, objective in enumerate(front.objectives.objectives):
        if spread := front.spreads.get(objective.metric):
            means = np.array([point.values[objective.metric] for point in front.points])
            noise = generator.standard_normal((DRAWS, len(means)))
            drawn[:, :, column] = objective.scale.positions(means + spread / seeds * noise)
    counts = np.zeros(len(front.points))
    for draw in drawn[:, feasible]:
        counts[feasible[non_dominated(draw)]] += 1
    return {index: float(count / DRAWS) for index, count in enumerate(counts)}


def interval(front: Front, point: Point, metric: str) -> tuple[float, float] | None:
    """95% interval of a metric's mean over seeds, by Student's t with the pooled spread; None before two seeds."""
    spread = front.spreads.get(metric)
    if spread is None:
        return None
    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, front.degrees)) * spread / math.sqrt(len(point.samples))
    mean = point.values[metric]
    return mean - half, mean + half


def statement(front: Front) -> str:
    """What the front shows, in words, also when that is little."""
    if not front.on_front:
        return "No feasible point has been trained in full yet."
    members = [front.points[index] for index in front.on_front]
    quality = next((each for each in front.objectives.objectives if each.quality), None)
    if quality is None:
        return f"{len(members)} on the front; the cheapest is {describe(members[0])}."
    column = front.objectives.names.index(quality.metric)
    noise = _noise(front, quality.metric)
    if len(members) == 1:
        reached = members[0].values[quality.metric]
        parts = [f"One point beats all others: {describe(members[0])}, {quality.metric} {reached:.3f}."]
    else:
        parts = _spread_of_quality(front, members, quality.metric, column, noise)
    parts.append(_against_baselines(front, quality.metric, column, noise))
    return " ".join(part for part in parts if part)


def _spread_of_quality(front: Front, members: list[Point], metric: str, column: int, noise: float) -> list[str]:
    """What the front's extra cost buys, `members` from the cheapest on."""
    cheapest = members[0]
    best = members[int(np.argmin(front.minimised[list(front.on_front), column]))]
    gain = abs(best.values[metric] - cheapest.values[metric])
    parts = [
        f"{metric} goes from {cheapest.values[metric]:.3f} ({describe(cheapest)}) to {best.values[metric]:.3f} "
        f"({describe(best)})."
    ]
    if gain <= FLAT:
        parts.append(f"The front is nearly flat: all the extra cost buys {gain:.3f}, so take the cheapest point.")
    elif gain <= noise:
        parts.append(
            f"That gain is within the noise between seeds (± {noise:.3f}): it takes more steps or seeds to choose."
        )
    return parts


def _noise(front: Front, metric: str) -> float:
    """Half-width of the 95% interval of the difference of two points' means; 0 before two seeds."""
    spread = front.spreads.get(metric)
    if spread is None:
        return 0.0
    seeds = min(len(point.samples) for point in front.points if point.fresh or len(point.samples) > 1)
    return float(stats.t.ppf(0.5 + CONFIDENCE / 2, front.degrees)) * spread * math.sqrt(2 / seeds)


def _against_baselines(front: Front, metric: str, column: int, noise: float) -> str:
    found = [index for index in front.on_front if front.points[index].trial.record.kind == "search"]
    made = [
        index
        for index, point in enumerate(front.points)
        if point.trial.record.kind == "baseline" and front.objectives.feasible(point.values)
    ]
    if not found:
        return "No sampled configuration is on the front: the baselines are not beaten." if made else ""
    if not made:
        return ""
    ours = min(found, key=lambda index: front.minimised[index, column])
    theirs = min(made, key=lambda index: front.minimised[index, column])
    difference = front.points[ours].values[metric] - front.points[theirs].values[metric]
    better = front.minimised[ours, column] < front.minimised[theirs, column]
    name = front.points[theirs].trial.record.name
    if not front.spreads:
        return (
            f"The search's best differs by {difference:+.3f} from the best baseline ({name}); too few seeds to judge."
        )
    if abs(difference) <= noise:
        return (
            f"The search's best and the best baseline ({name}) do not differ significantly "
            f"({difference:+.3f} ± {noise:.3f})."
        )
    word = "better" if better else "worse"
    return f"The search's best is {word} than the best baseline ({name}): {difference:+.3f} ± {noise:.3f}."


def describe(point: Point) -> str:
    """A point in a few words."""
    record = point.trial.record
    what = record.name or "+".join(point.trial.plan.methods)
    return f"trial {record.number}, {what}, {point.trial.plan.trainable_parameters:,} parameters"


def report(front: Front, seed: int) -> dict[str, object]:
    """The front as JSON, as the job's progress holds it and `GET /jobs/{id}/front` serves it."""
    chances = probabilities(front, seed)
    knee_row = front.knee
    points = []
    for index, point in enumerate(front.points):
        values = point.values
        found = {name: interval(front, point, name) for name in front.objectives.names}
        points.append(
            {
                "trial": point.trial.number,
                "kind": point.trial.record.kind,
                "name": point.trial.record.name,
                "methods": list(point.trial.plan.methods),
                "configuration": point.trial.record.configuration,
                "objectives": {name: values[name] for name in front.objectives.names},
                "metrics": {name: value for name, value in values.items() if name in METRICS},
                "intervals": {name: list(bounds) for name, bounds in found.items() if bounds is not None},
                "probability": chances.get(index),
                "seeds": len(point.samples),
                "fresh": point.fresh,
                "test": point.test,
                "feasible": front.objectives.feasible(values),
                "on_front": index in front.on_front,
            }
        )
    return {
        "points": points,
        "order": [front.points[index].trial.number for index in front.on_front],
        "objectives": [{"metric": each.metric, "goal": each.goal} for each in front.objectives.objectives],
        "hypervolume": front.hypervolume,
        "baseline_hypervolume": front.baseline_hypervolume,
        "reference": {each.metric: each.reference for each in front.objectives.objectives},
        "knee": None if knee_row is None else front.points[knee_row].trial.number,
        "statement": statement(front),
    }
