"""What a short run says of the full run's quality: its held-out loss, brought to the scale of the full runs.

A small sample's accuracy after few steps says little (many configurations still predict one class), the loss orders
runs earlier; but neither is on the scale of the full run. So the losses at a rung are ranked, the ranks turned into
normal scores (which no diverged run distorts), and these are moved onto the full runs' scale by the straight line that
fits the trials measured at both. A rung whose losses do not go with the full runs is left out. Loads no tensor library.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from search.samplers.sampler import PastTrial
from search.scales import Scale

ENOUGH_PAIRS = 4
"""Trials measured at a rung and in full before a line is fitted; until then the metric itself is taken."""
LOSS = "loss"

Reading = tuple[PastTrial, float, float]
"""A trial, the fidelity of one of its runs, and the value there, on the metric's scale."""


def readings(trials: Sequence[PastTrial], metric: str, scale: Scale, *, quality: bool) -> list[Reading]:
    """One of every run in which `metric` was measured; of a quality below the full run, by its held-out loss."""
    plain = [
        (trial, seen.fidelity, scale.position(seen.values[metric]))
        for trial in trials
        for seen in trial.observations
        if metric in seen.values
    ]
    if not quality:
        return plain
    full = full_places(trials, metric, scale)
    rungs = sorted({fidelity for _, fidelity, _ in plain if fidelity < 1.0})
    lines = {fidelity: line_at(trials, fidelity, full) for fidelity in rungs}
    found: list[Reading] = []
    for trial, fidelity, value in plain:
        line = lines.get(fidelity)
        if line is None:
            found.append((trial, fidelity, value))
        elif line.slope > 0 and trial.number in line.scores:
            found.append((trial, fidelity, line.at(line.scores[trial.number])))
    return found


@dataclass(frozen=True)
class Line:
    """From a rung's normal scores of loss to the full run, by least squares over the trials measured at both."""

    scores: Mapping[int, float]
    """Of every trial measured at the rung, by number."""
    slope: float
    score: float
    """Mean score of those measured at both."""
    value: float
    """Their mean value in full."""
    spread: float
    """Their sum of squared distances from the mean score."""
    residual: float
    """Standard deviation around the line."""
    pairs: int

    def at(self, score: float) -> float:
        return self.value + self.slope * (score - self.score)

    def doubt(self, number: int) -> float:
        """Standard error of predicting this trial's full run by the line: it grows away from those that climbed,
        which were chosen for being good."""
        away = (self.scores[number] - self.score) ** 2 / self.spread if self.spread > 0 else np.inf
        return float(self.residual * np.sqrt(1 + 1 / self.pairs + away))


def full_places(trials: Sequence[PastTrial], metric: str, scale: Scale) -> dict[int, float]:
    """The mean of each trial's full runs on the scale, by its number."""
    found: dict[int, list[float]] = {}
    for trial in trials:
        for seen in trial.observations:
            if seen.fidelity == 1.0 and metric in seen.values:
                found.setdefault(trial.number, []).append(scale.position(seen.values[metric]))
    return {number: float(np.mean(places)) for number, places in found.items()}


def line_at(trials: Sequence[PastTrial], fidelity: float, full: Mapping[int, float]) -> Line | None:
    """None where too few full runs, or no losses, are known to tell."""
    losses = {
        trial.number: seen.values[LOSS]
        for trial in trials
        for seen in trial.observations
        if seen.fidelity == fidelity and LOSS in seen.values
    }
    both = sorted(losses.keys() & full.keys())
    if len(both) < ENOUGH_PAIRS:
        return None
    scores = dict(zip(losses, normal_scores(list(losses.values())).tolist(), strict=True))
    low, high = np.array([scores[number] for number in both]), np.array([full[number] for number in both])
    spread = float(((low - low.mean()) ** 2).sum())
    slope = float(((low - low.mean()) * (high - high.mean())).sum() / spread) if spread > 0 else 0.0
    apart = high - high.mean() - slope * (low - low.mean())
    residual = float(np.sqrt((apart**2).sum() / (len(both) - 2)))
    return Line(scores, slope, float(low.mean()), float(high.mean()), spread, residual, len(both))


def normal_scores(values: Sequence[float]) -> NDArray[np.float64]:
    """Van der Waerden scores: the normal quantiles of the ranks, equal values sharing theirs."""
    return np.asarray(stats.norm.ppf(stats.rankdata(values) / (len(values) + 1)))
