"""What a short run says of the full run's quality: its held-out loss, brought to the scale of the full runs.

A small sample's accuracy after few steps says little (many configurations still predict one class), the loss orders
runs earlier; but neither is on the scale of the full run. So the losses at a rung are ranked, the ranks turned into
normal scores (which no diverged run distorts), and these are moved onto the full runs' scale by the straight line that
fits the trials measured at both. A rung whose losses do not go with the full runs is left out. Loads no tensor library.
"""

from __future__ import annotations

from collections.abc import Sequence

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
    full = {trial.number: value for trial, fidelity, value in plain if fidelity == 1.0}
    rungs = sorted({fidelity for _, fidelity, _ in plain if fidelity < 1.0})
    moved = {fidelity: _moved(trials, fidelity, full) for fidelity in rungs}
    found: list[Reading] = []
    for trial, fidelity, value in plain:
        by_loss = moved.get(fidelity)
        if by_loss is None:
            found.append((trial, fidelity, value))
        elif trial.number in by_loss:
            found.append((trial, fidelity, by_loss[trial.number]))
    return found


def _moved(trials: Sequence[PastTrial], fidelity: float, full: dict[int, float]) -> dict[int, float] | None:
    """What the losses at a rung say of the full run, by trial; none of a rung that says nothing. None where there are
    too few full runs, or no losses, to tell."""
    losses = {
        trial.number: seen.values[LOSS]
        for trial in trials
        for seen in trial.observations
        if seen.fidelity == fidelity and LOSS in seen.values
    }
    both = sorted(losses.keys() & full.keys())
    if len(both) < ENOUGH_PAIRS:
        return None
    scores = dict(zip(losses, normal_scores(list(losses.values())), strict=True))
    low, high = np.array([scores[number] for number in both]), np.array([full[number] for number in both])
    spread = low.var()
    slope = float(((low - low.mean()) * (high - high.mean())).mean() / spread) if spread > 0 else 0.0
    if slope <= 0:
        return {}
    return {number: float(high.mean() + slope * (score - low.mean())) for number, score in scores.items()}


def normal_scores(values: Sequence[float]) -> NDArray[np.float64]:
    """Van der Waerden scores: the normal quantiles of the ranks, equal values sharing theirs."""
    return np.asarray(stats.norm.ppf(stats.rankdata(values) / (len(values) + 1)))
