"""How the hypervolume grew over a search's trials, and what that lets expect of further ones.

Gains come as jumps of the hypervolume, ever rarer and smaller. The trials of the second half of the search so far, k of
w of which brought something, bound the rate at which jumps still come (the exact upper limit of a Poisson mean,
Garwood 1936); a jump is taken for as large as the last ones were, by their root mean square. Both err towards more: for
independent draws the expected gain can only fall, since the hypervolume is submodular, so the half behind is an
overestimate of what lies ahead. A sampler that improves may yet find more than it ever did; where it has a model, what
that expects stands beside the record, and the rule listens to both. Loads no tensor library.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np
from scipy import stats

from search.gain import AHEAD, Gain
from search.ledger import Trial
from search.objectives import Objectives
from search.pareto import hypervolume
from search.point import point_of
from search.samplers.sampler import EXPECTED_GAIN

ENOUGH = 20
"""Trials before which the record says too little."""
JUMPS = 5
"""Gains, the last ones, whose size counts where the half of the search holds fewer."""
CONFIDENCE = 0.95


def expected_gain(hypervolumes: Sequence[float], model: float | None = None) -> Gain | None:
    """The gain ahead; None before `ENOUGH` trials, or while they reached nothing.

    `hypervolumes`: after each trial (`after_trials`). `model`: the hypervolume that the model expected the last trial
    it chose to add.
    """
    count = len(hypervolumes)
    if count < ENOUGH or hypervolumes[-1] <= 0:
        return None
    gains = np.diff(np.asarray([0.0, *hypervolumes]))
    half = gains[-(count // 2) :]
    jumps = half[half > 0]
    counted = jumps if len(jumps) >= JUMPS else gains[gains > 0][-JUMPS:]
    rate = stats.chi2.ppf(CONFIDENCE, 2 * (len(jumps) + 1)) / 2 / len(half)
    size = float(np.sqrt(np.mean(counted**2)))
    now = hypervolumes[-1]
    return Gain(
        expected=float(AHEAD * half.mean() / now),
        most=float(AHEAD * rate * size / now),
        modelled=None if model is None else AHEAD * model / now,
    )


def gain_of(trials: Sequence[Trial], objectives: Objectives, full_steps: int) -> Gain | None:
    """The gain that a job of these trials, its baselines among them, has ahead."""
    told = {trial.number: trial.record.attributes.get(EXPECTED_GAIN) for trial in trials}
    known = [gain for _, gain in sorted(told.items()) if gain is not None]
    return expected_gain(after_trials(trials, objectives, full_steps), float(known[-1]) if known else None)


def after_trials(trials: Sequence[Trial], objectives: Objectives, full_steps: int) -> list[float]:
    """The hypervolume after each sampled trial, in the order in which their first runs ended, failed ones too.

    What a trial adds counts once it is measured in full, so that a trial that never climbs adds nothing. Baselines are
    taken as known from the start: when they run says nothing of the search.
    """
    search = [trial for trial in trials if trial.record.kind == "search"]
    runs = sorted(
        (record.ended_at, trial.number, record.stop_step, record.id)
        for trial in search
        for record in trial.evaluations.values()
        if record.purpose == "rung" and record.state in ("completed", "failed") and record.ended_at is not None
    )
    full = {evaluation: metrics for *_, evaluation, metrics in _full_runs(search, objectives, full_steps)}
    reached = _Reached(objectives)
    for trial in trials:
        point = point_of(trial, objectives, full_steps) if trial.record.kind == "baseline" else None
        if point is not None:
            reached.add(point.measured)
    begun: set[int] = set()
    after: list[float] = []
    for _, number, _, evaluation in runs:
        if evaluation in full:
            reached.add(full[evaluation])
        if number in begun:
            after[-1] = reached.hypervolume
        else:
            begun.add(number)
            after.append(reached.hypervolume)
    return after


def after_full_runs(trials: Sequence[Trial], objectives: Objectives, full_steps: int) -> list[float]:
    """The hypervolume after each full run of the sampled trials, by these alone, in the order in which they ended."""
    reached = _Reached(objectives)
    after: list[float] = []
    for *_, metrics in _full_runs(trials, objectives, full_steps):
        reached.add(metrics)
        after.append(reached.hypervolume)
    return after


def _full_runs(
    trials: Sequence[Trial], objectives: Objectives, full_steps: int
) -> list[tuple[datetime, int, str, Mapping[str, float]]]:
    """The end, trial, evaluation and metrics of each full run of the search, by its end."""
    runs = [
        (record.ended_at, trial.number, record.id, measured.metrics)
        for trial in trials
        if trial.record.kind == "search"
        for record, measured in trial.measured("rung")
        if record.stop_step == full_steps and record.ended_at is not None and objectives.measured(measured.metrics)
    ]
    return sorted(runs, key=lambda run: run[:3])


class _Reached:
    """The front of what was added so far."""

    def __init__(self, objectives: Objectives) -> None:
        self._objectives = objectives
        self._front = np.zeros((0, len(objectives.names)))
        self.hypervolume = 0.0

    def add(self, metrics: Mapping[str, float]) -> None:
        if not self._objectives.feasible(metrics):
            return
        row = self._objectives.minimised(metrics)
        if (self._front <= row).all(axis=1).any():  # most add nothing, and volumes are dear
            return
        self._front = np.vstack([self._front[~(row <= self._front).all(axis=1)], row])
        self.hypervolume = hypervolume(self._front, self._objectives.reference)
