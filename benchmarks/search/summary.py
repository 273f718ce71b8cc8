"""What the runs on a problem say: final hypervolumes, paired differences, and the cost to reach what others reached."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.search.bootstrap import Interval, interval, mean_interval
from benchmarks.search.curve import Curve, cost_to_reach, mean_at
from benchmarks.search.outcome import Outcome

OURS = ("paretune", "bayes", "paretune-sampler", "paretune-random")
"""Paretune's own, each compared with all others."""
YARDSTICK = "random"
COST_DRAWS = 400
"""Fewer draws where each takes a search through curves."""


@dataclass(frozen=True)
class Searched:
    """All seeds of one search on one problem."""

    name: str
    outcomes: tuple[Outcome, ...]
    """By seed."""

    @property
    def curves(self) -> tuple[Curve, ...]:
        return tuple(each.curve for each in self.outcomes)

    @property
    def covers(self) -> float:
        """The cost that every seed was run to."""
        return min(curve.covers for curve in self.curves)

    @property
    def final(self) -> float:
        return mean_at(self.curves, self.covers)

    @property
    def final_interval(self) -> Interval:
        return mean_interval([curve.at(self.covers) for curve in self.curves])

    @property
    def thinking(self) -> float:
        """Processor seconds of one suggestion, on average: the median over seeds."""
        return statistics.median(each.run.thinking_seconds / max(each.run.asked, 1) for each in self.outcomes)


@dataclass(frozen=True)
class Paired:
    """Our hypervolume less theirs, over the seeds that both have, at one cost."""

    cost: float
    difference: float
    interval: Interval

    @property
    def significant(self) -> bool:
        return self.interval[0] > 0 or self.interval[1] < 0


@dataclass(frozen=True)
class Reached:
    """Our cost to reach what they have at the end of theirs, as a share of it."""

    share: float
    interval: Interval


@dataclass(frozen=True)
class Summary:
    problem: str
    workers: int
    best: float | None
    searched: tuple[Searched, ...]
    """Best first."""

    @property
    def ours(self) -> list[Searched]:
        """Paretune's own, the fullest first."""
        return sorted((each for each in self.searched if each.name in OURS), key=lambda each: OURS.index(each.name))

    @property
    def opponents(self) -> list[Searched]:
        return [each for each in self.searched if each.name not in OURS]

    @property
    def worker_words(self) -> str:
        return f"{self.workers} simulated worker{'s' if self.workers > 1 else ''}"


def summaries(outcomes: Sequence[Outcome]) -> list[Summary]:
    """One for each problem and number of workers.

    A search that was run with several budgets counts by its largest.
    """
    groups: dict[tuple[str, int], dict[str, list[Outcome]]] = defaultdict(lambda: defaultdict(list))
    for each in outcomes:
        groups[each.run.problem, each.run.workers][each.run.opponent].append(each)
    found = []
    for (problem, workers), by_name in groups.items():
        searched = sorted((_searched(name, own) for name, own in by_name.items()), key=lambda each: -each.final)
        found.append(Summary(problem, workers, searched[0].outcomes[0].run.best, tuple(searched)))
    return found


def _searched(name: str, outcomes: Sequence[Outcome]) -> Searched:
    def limits(outcome: Outcome) -> tuple[float, float]:
        return outcome.run.budget, outcome.run.suggestions or math.inf

    most = max(map(limits, outcomes))
    kept = [each for each in outcomes if limits(each) == most]
    return Searched(name, tuple(sorted(kept, key=lambda each: each.run.seed)))


def _pairs(ours: Searched, theirs: Searched) -> list[tuple[Curve, Curve]]:
    own = {each.run.seed: each.curve for each in ours.outcomes}
    other = {each.run.seed: each.curve for each in theirs.outcomes}
    return [(own[seed], other[seed]) for seed in sorted(own.keys() & other.keys())]


def paired(ours: Searched, theirs: Searched, share: float = 1.0) -> Paired | None:
    """At `share` of the cost that both cover; None without two seeds in common."""
    pairs = _pairs(ours, theirs)
    if len(pairs) < 2:
        return None
    cost = share * min(curve.covers for pair in pairs for curve in pair)
    differences = [own.at(cost) - other.at(cost) for own, other in pairs]
    return Paired(cost, statistics.fmean(differences), mean_interval(differences))


def reached(ours: Searched, theirs: Searched) -> Reached | None:
    """By the means' curves; seeds are drawn again for both together. None without two seeds in common."""
    pairs = _pairs(ours, theirs)
    if len(pairs) < 2:
        return None

    def share(places: Sequence[int]) -> float:
        own, other = [pairs[place][0] for place in places], [pairs[place][1] for place in places]
        covered = min(curve.covers for curve in other)
        return cost_to_reach(own, mean_at(other, covered)) / covered

    everyone = range(len(pairs))
    return Reached(share(everyone), interval(len(pairs), share, COST_DRAWS))
