"""How much of a job's front an earlier job's configurations reach: AutoPEFT's question, answered with intervals.

Hypervolumes are the job's own (its objectives, scales and reference point), so they compare with its baselines and with
a search of the same task. The head alone, which costs no parameter, belongs to every set, or it would decide the
comparison: on a scale of log parameters it dominates most of what there is. Intervals are Monte Carlo over Student's
t errors of the reported means, with the spread between seeds pooled over all points (`search.front`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from search.front import Front
from search.objectives import Objectives
from search.pareto import hypervolume
from search.point import Point
from search.transfer.agreement import Agreement, agreement
from search.transfer.source import Source
from search.transfer.transfer import SOURCE, SOURCE_TRIAL

Floats = NDArray[np.float64]
Answer = Literal["transfers", "no significant difference", "does not transfer", "unknown"]

Row = tuple[Mapping[str, float], int]
"""A point's metrics, and the seeds that they are a mean over."""

CONFIDENCE = 0.95
DRAWS = 1000
SEED = 0
"""The same report of the same runs."""


@dataclass(frozen=True)
class Transferred:
    """One configuration, there and here."""

    source: Source
    source_trial: int
    there: Mapping[str, float]
    point: Point


@dataclass(frozen=True)
class Others:
    """Points that are no trials of the job: a search of the same task. `seeds`: that each is a mean over."""

    name: str
    values: Sequence[Mapping[str, float]]
    seeds: Sequence[int]


@dataclass(frozen=True)
class Compared:
    """The transferred points' hypervolume against another set's, the difference with its 95% interval."""

    against: str
    own: float
    """Hypervolume of the transferred points, with the head alone where it was trained."""
    hypervolume: float
    """Of the others, with the head alone too: it costs no parameter and nobody chooses it."""
    low: float | None
    high: float | None
    """Of the difference; None before two seeds."""

    @property
    def difference(self) -> float:
        return self.own - self.hypervolume

    @property
    def answer(self) -> Answer:
        if self.low is None or self.high is None:
            return "unknown"
        return "transfers" if self.low > 0 else "does not transfer" if self.high < 0 else "no significant difference"


@dataclass(frozen=True)
class Outcome:
    points: tuple[Transferred, ...]
    hypervolume: float
    """With the head alone, where it was trained."""
    free: bool
    """It was."""
    baselines: Compared | None
    search: Compared | None
    ordering: Agreement | None
    """Of the points by their first learned objective, there and here."""

    @property
    def answer(self) -> Answer:
        """Against the hand-made baselines, which any user has for nothing; without them against the search."""
        judge = self.baselines or self.search
        return "unknown" if judge is None else judge.answer


def outcome(front: Front, sources: Sequence[Source], others: Others | None = None) -> Outcome:
    """What the points that `sources` chose reach among those of `front`."""
    able = [point for point in front.points if front.objectives.feasible(point.values)]
    found = [each for each in (_transferred(point, sources) for point in front.points) if each is not None]
    ours = [_row(each.point) for each in found if each.point in able]
    made = [point for point in able if point.trial.record.kind == "baseline"]
    free = [_row(point) for point in made if not point.trial.plan.entries]
    hand_made = [_row(point) for point in made if point.trial.plan.entries]
    search = list(zip(others.values, others.seeds, strict=True)) if others is not None else []
    return Outcome(
        points=tuple(found),
        hypervolume=_compared("nothing", front, free, ours, []).own,
        free=bool(free),
        baselines=_compared("the hand-made baselines", front, free, ours, hand_made) if hand_made and found else None,
        search=_compared(others.name, front, free, ours, search) if others is not None and found else None,
        ordering=_ordering(found, front.objectives),
    )


def _row(point: Point) -> Row:
    return point.values, len(point.samples)


def _transferred(point: Point, sources: Sequence[Source]) -> Transferred | None:
    attributes = point.trial.record.attributes
    for source in sources:
        if attributes.get(SOURCE) == source.job:
            number = int(attributes[SOURCE_TRIAL])
            there = next((trial.reported for trial in source.trials if trial.number == number), {})
            return Transferred(source, number, there, point)
    return None


def _compared(name: str, front: Front, free: Sequence[Row], ours: Sequence[Row], theirs: Sequence[Row]) -> Compared:
    """Hypervolumes of `ours` and `theirs`, each together with `free`; the same draws of a free point count for both."""
    rows = [*free, *ours, *theirs]
    order = np.arange(len(rows))
    mine = order < len(free) + len(ours)
    other = (order < len(free)) | ~mine
    objectives = front.objectives
    places = np.array([objectives.minimised(values) for values, _ in rows]).reshape(len(rows), len(objectives.names))
    reference = objectives.reference
    own, against = hypervolume(places[mine], reference), hypervolume(places[other], reference)
    low: float | None = None
    high: float | None = None
    if front.spreads and theirs:
        differences = [
            hypervolume(draw[mine], reference) - hypervolume(draw[other], reference)
            for draw in _draws(front, rows, places)
        ]
        tail = (1 - CONFIDENCE) / 2
        low, high = (float(each) for each in np.quantile(differences, [tail, 1 - tail]))
    return Compared(name, own, against, low, high)


def _draws(front: Front, rows: Sequence[Row], places: Floats) -> Floats:
    """What the rows' means could be, given the spread between seeds. Shape DRAWS x rows x objectives."""
    generator = np.random.default_rng(SEED)
    drawn = np.repeat(places[None], DRAWS, axis=0)
    seeds = np.sqrt(np.array([seeds for _, seeds in rows], dtype=np.float64))
    for column, objective in enumerate(front.objectives.objectives):
        if spread := front.spreads.get(objective.metric):
            means = np.array([values[objective.metric] for values, _ in rows])
            noise = generator.standard_normal((DRAWS, len(means)))
            # The spread is itself an estimate: a draw of it goes with each draw of the errors.
            factors = np.sqrt(spread.degrees / generator.chisquare(spread.degrees, (DRAWS, 1)))
            drawn[:, :, column] = objective.scale.positions(means + spread.deviation * factors / seeds * noise)
    return drawn


def _ordering(found: Sequence[Transferred], objectives: Objectives) -> Agreement | None:
    """Kendall's correlation of what the points reached there and here, all sources alike; None where there is no common
    metric."""
    learned = [each.metric for each in objectives.objectives if not each.known]
    name = next((name for name in learned if found and all(name in each.there for each in found)), None)
    if name is None:
        return None
    return agreement([each.there[name] for each in found], [{1.0: each.point.values[name]} for each in found])


def statement(found: Outcome) -> str:
    """The outcome in words, also when it says little."""
    if not found.points:
        return "No transferred configuration has been trained in full yet."
    count = len(found.points)
    what = "The transferred configuration" if count == 1 else f"The {count} transferred configurations"
    verb = "dominates" if count == 1 else "dominate"
    free = ", the head alone counted in here and below" if found.free else ""
    parts = [f"{what} {verb} a hypervolume of {found.hypervolume:.4f}{free}."]
    if found.baselines is not None:
        parts.append(_against(found.baselines))
    if found.search is not None:
        parts.append(_share(found.hypervolume, found.search))
    if found.ordering is not None and count > 1:
        parts.append(f"Their order here against their order there: {found.ordering.words}.")
    judge = found.baselines or found.search
    if judge is not None:
        parts.append(_CONCLUSIONS[found.answer])
    return " ".join(parts)


_CONCLUSIONS: Mapping[Answer, str] = {
    "transfers": "The front transfers.",
    "no significant difference": "There is no significant difference.",
    "does not transfer": "The front does not transfer.",
    "unknown": "That takes two seeds to judge.",
}


def _against(compared: Compared) -> str:
    bounds = "" if compared.low is None else f" [{compared.low:+.4f}, {compared.high:+.4f}]"
    return f"Against {compared.against} ({compared.hypervolume:.4f}): {compared.difference:+.4f}{bounds}."


def _share(own: float, search: Compared) -> str:
    if search.hypervolume <= 0:
        return _against(search)
    share = own / search.hypervolume
    bounds = ""
    if search.low is not None and search.high is not None:
        low, high = (1 + each / search.hypervolume for each in (search.low, search.high))
        bounds = f" [{low:.1%}, {high:.1%}]"
    return f"That is {share:.1%}{bounds} of what {search.against} reached ({search.hypervolume:.4f})."
