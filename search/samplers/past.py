"""What every sampler reads from a history: the next trial's number, what was tried, values as if trained in full."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from search.objectives import Objectives
from search.samplers.sampler import History, PastTrial, Proposal
from space.encode import Point
from space.space import SearchSpace

Floats = NDArray[np.float64]

ATTEMPTS = 400
"""Draws for a point that was not tried yet."""


def next_number(history: History) -> int:
    return max((trial.number for trial in history.trials), default=-1) + 1


def rng_for(seed: int, number: int) -> np.random.Generator:
    """The random numbers of one trial: a function of the job's seed and the trial's number alone."""
    return np.random.default_rng([seed, number])


def tried(space: SearchSpace, history: History) -> set[str]:
    """Keys of the plans of every trial, failed and running ones included."""
    return {space.key(trial.point) for trial in history.trials}


def with_proposals(history: History, proposals: Iterable[Proposal]) -> History:
    """`history` as it will be once `proposals` run."""
    number = next_number(history)
    running = tuple(
        PastTrial(number + index, proposal.point, proposal.configuration, "running", (), proposal.attributes)
        for index, proposal in enumerate(proposals)
    )
    return replace(history, trials=history.trials + running)


def measured(history: History, objectives: Objectives) -> list[PastTrial]:
    """Sampled trials with at least one observation of every objective that did not end in failure."""
    return _measured(history.trials, objectives)


def evidence(history: History, objectives: Objectives) -> list[PastTrial]:
    """What a model learns from: the same, and those beside the search."""
    return _measured((*history.trials, *history.others), objectives)


def _measured(trials: Iterable[PastTrial], objectives: Objectives) -> list[PastTrial]:
    return [
        trial
        for trial in trials
        if trial.state != "failed" and any(objectives.measured(seen.values) for seen in trial.observations)
    ]


def full_values(trials: list[PastTrial], objectives: Objectives) -> tuple[Floats, Floats]:
    """Objectives and constraint violations of each trial at full fidelity, estimated where it was not trained in full.

    A short run's value is moved by the mean change from its fidelity to the next that trials measured at both show,
    rung by rung; so a promising short run is not taken for a bad full one. Several seeds at one fidelity count by their
    mean. Shapes [n, objectives] and [n, constraints].
    """
    rows: list[dict[float, Floats]] = []
    for trial in trials:
        seeds: dict[float, list[Floats]] = {}
        for seen in trial.observations:
            if objectives.measured(seen.values):
                found = np.concatenate([objectives.minimised(seen.values), objectives.violations(seen.values)])
                seeds.setdefault(seen.fidelity, []).append(found)
        rows.append({fidelity: np.mean(found, axis=0) for fidelity, found in seeds.items()})
    rungs = sorted({fidelity for row in rows for fidelity in row})
    to_next = [_change(rows, low, high) for low, high in pairwise(rungs)]
    values = []
    for row in rows:
        top = max(row)
        values.append(row[top] + sum(to_next[rungs.index(top) :], start=np.zeros_like(row[top])))
    width = len(objectives.objectives)
    array = np.array(values).reshape(len(trials), width + len(objectives.constraints))
    return array[:, :width], array[:, width:]


def _change(rows: list[dict[float, Floats]], low: float, high: float) -> Floats:
    both = [row[high] - row[low] for row in rows if low in row and high in row]
    return np.mean(both, axis=0) if both else np.zeros_like(next(iter(rows[0].values())))


def fresh_sample(space: SearchSpace, rng: np.random.Generator, seen: set[str], history: History) -> Point | None:
    """A random valid point whose plan is not in `seen`, or None where `ATTEMPTS` draws found none.

    Draws from the whole space first; in a space nearly used up, then among the neighbours of what was tried.
    """
    for _ in range(ATTEMPTS):
        point = space.sample(rng)
        if space.key(point) not in seen:
            return point
    for trial in history.trials[-50:]:
        for point in space.neighbours(trial.point, rng, 32):
            if space.key(point) not in seen:
                return point
    return None
