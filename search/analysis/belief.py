"""What the search's model believes about a configuration, tried or not: values to expect, and its chances at the front.

The model is the `bayes` sampler's surrogate, fitted to the job's trials whatever sampler proposed them. Such a model is
surer than it should be of a space of many dimensions after some tens of trials. So it is asked about trials that were
kept from it, a fifth at a time, and its deviations are stretched until 95% of their full runs are within its intervals
(cross-conformal prediction, Vovk 2015). This module loads the tensor library; the web process asks for it in a process
of its own (`api.believe`).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from linear_operator.utils.warnings import NumericalWarning
from numpy.typing import NDArray

from search.objectives import Objectives
from search.samplers.bayes.draws import holds, objective_values
from search.samplers.bayes.encoding import Encoding
from search.samplers.bayes.forecasting import entering
from search.samplers.bayes.honesty import HALF, careful
from search.samplers.bayes.kinds import DEFAULT, quick
from search.samplers.bayes.surrogate import HYPERPARAMETERS, WORST_MODELLED, Surrogate
from search.samplers.past import evidence, measured
from search.samplers.sampler import History, Observation, PastTrial
from space.encode import Point
from space.space import SearchSpace

Floats = NDArray[np.float64]

DRAWS = 512
FOLDS = 5
SEED = 0
"""The same question to the same trials has the same answer."""


@dataclass(frozen=True)
class Expected:
    """What one full run is expected to measure, in the metric's units: the median, and a 95% interval of a single run,
    noise between runs included."""

    metric: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Belief:
    expected: tuple[Expected, ...]
    """Of each learned objective, then of each learned metric that is constrained only."""
    feasible: float
    """Probability that it holds every constraint and does not fail."""
    on_front: float
    """Probability that it would belong to the front: feasible, and dominated by no point that was trained in full."""
    gain: float
    """Hypervolume that it is expected to add to the front, on the job's scale."""


def believe(
    space: SearchSpace,
    objectives: Objectives,
    history: History,
    baselines: Floats,
    points: Sequence[Point],
    kind: str = DEFAULT,
) -> list[Belief]:
    """The belief about each of `points`, valid ones of the space, of a history in which at least two trials were
    measured.

    Chances are Monte Carlo over the model's joint posterior at full fidelity of a point and of every trial trained in
    full, so what is uncertain about those counts too; a trial of the same plan is left out. `baselines`: those on the
    front, which no sampler proposed, as reported, minimised; shape n x objectives. `kind`: the job's surrogate; one
    that takes minutes to fit is answered by its quick relation (`kinds.quick`).
    """
    encoding = Encoding(space, objectives)
    trials = evidence(history, objectives)
    sampled = measured(history, objectives)
    full = [trial.point for trial in sampled if any(seen.fidelity == 1.0 for seen in trial.observations)]
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", NumericalWarning)
        torch.manual_seed(SEED)
        surrogate = Surrogate(encoding, objectives, history, trials, quick(kind))
        stretch = _stretch(surrogate, encoding, objectives, history, trials)
        return [_belief(surrogate, stretch, encoding, space, objectives, full, baselines, point) for point in points]


def _stretch(
    surrogate: Surrogate, encoding: Encoding, objectives: Objectives, history: History, trials: list[PastTrial]
) -> Floats:
    """By what each of the surrogate's metrics must stretch its deviations, at least 1. Shape [metrics]."""
    scales = {metric: each.scale for metric, each in objectives.learned.items()}
    errors: dict[str, list[float]] = {metric: [] for metric in scales}
    for fold in range(FOLDS):
        asked = [trial for trial in trials[fold::FOLDS] if _full_run(trial) is not None]
        numbers = {trial.number for trial in trials[fold::FOLDS]}
        kept = [trial for trial in trials if trial.number not in numbers]
        if not asked or len(kept) < 2:
            continue
        rest = [trial for trial in history.trials if trial.number not in numbers]
        # Fitting goes on from the whole history's hyperparameters, as a suggestion does from an earlier trial's.
        rest[-1] = replace(rest[-1], attributes={**rest[-1].attributes, HYPERPARAMETERS: surrogate.hyperparameters})
        without = Surrogate(encoding, objectives, History(tuple(rest)), kept, surrogate.kind)
        with torch.no_grad():
            posterior = without.model.posterior(encoding.rows([trial.point for trial in asked]), observation_noise=True)
            means, deviations = posterior.mean.numpy(), posterior.variance.sqrt().numpy()
        for row, trial in enumerate(asked):
            run = _full_run(trial)
            assert run is not None
            for metric in errors:
                if metric in run.values:
                    column = without.metrics.index(metric)
                    place = min(scales[metric].position(run.values[metric]), WORST_MODELLED)
                    errors[metric].append(abs(place - means[row, column]) / deviations[row, column])
    return np.array([careful(np.array(errors.get(metric, []))) for metric in surrogate.metrics])


def _full_run(trial: PastTrial) -> Observation | None:
    return next((seen for seen in trial.observations if seen.fidelity == 1.0), None)


def _belief(
    surrogate: Surrogate,
    stretch: Floats,
    encoding: Encoding,
    space: SearchSpace,
    objectives: Objectives,
    full: Sequence[Point],
    baselines: Floats,
    point: Point,
) -> Belief:
    key = space.key(point)
    together = [point, *(each for each in full if space.key(each) != key)]
    rows = encoding.rows(together)
    torch.manual_seed(SEED)
    with torch.no_grad():
        single = surrogate.model.posterior(rows[:1], observation_noise=True)
        mean, deviation = single.mean[0].numpy(), stretch * single.variance[0].sqrt().numpy()
        posterior = surrogate.model.posterior(rows)
        centre = posterior.mean.numpy()
        drawn = centre + stretch * (posterior.rsample(torch.Size([DRAWS])).numpy() - centre)
    allowed = np.array([encoding.allowed(each) for each in together])
    feasible = allowed & holds(drawn, surrogate, objectives)
    values = objective_values(drawn, rows, surrogate, encoding, objectives)
    fixed = np.broadcast_to(baselines, (DRAWS, *baselines.shape))
    values = np.concatenate([values, fixed], axis=1)
    able = np.concatenate([feasible, np.ones(fixed.shape[:2], dtype=bool)], axis=1)
    on_front, gain = entering(values, able, 1, objectives.reference)
    return Belief(
        _expected(mean, deviation, surrogate, objectives),
        float(feasible[:, 0].mean()),
        float(on_front[0]),
        float(gain[0]),
    )


def _expected(means: Floats, deviations: Floats, surrogate: Surrogate, objectives: Objectives) -> tuple[Expected, ...]:
    found = []
    for metric, each in objectives.learned.items():
        place = surrogate.metrics.index(metric)
        mean, spread = float(means[place]), HALF * float(deviations[place])
        # Nothing is better than a scale's best.
        ends = sorted(each.scale.value(max(0.0, end)) for end in (mean - spread, mean + spread))
        found.append(Expected(metric, each.scale.value(max(0.0, mean)), *ends))
    return tuple(found)
