"""How much surer of full runs the surrogate is than it should be, told by the full runs themselves.

Each full run is predicted from all other rows, lower rungs of its own trial included: what a trial that waits on the
ladder is predicted from. Leaving one row out of a Gaussian process has a closed form (Rasmussen and Williams 2006,
equations 5.10 to 5.12), so this costs one inverse and no fit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from search.objectives import Objectives
from search.samplers.bayes.readings import full_places, line_at
from search.samplers.bayes.surrogate import Surrogate
from search.samplers.fidelity import FULL
from search.samplers.sampler import PastTrial

Floats = NDArray[np.float64]

CONFIDENCE = 0.95
HALF = float(stats.norm.ppf(0.5 + CONFIDENCE / 2))
"""Deviations on each side of a normal's mean that hold this share."""
UNKNOWN = 1.0
"""Standard deviation, on the metric's scale, of a full run of which the rung says nothing that could be checked."""


def errors(surrogate: Surrogate, fidelity_column: int) -> list[Floats]:
    """Of each metric, every full run's distance from its prediction without it, in predicted deviations."""
    found = []
    for model in cast(Any, surrogate.model).models:
        inputs, targets = model.train_inputs[0], model.train_targets
        with torch.no_grad():
            covariance = model.covar_module(inputs).to_dense()
            noise = model.likelihood.noise.unsqueeze(-1) * torch.eye(inputs.shape[-2], dtype=inputs.dtype)
            inverse = torch.linalg.inv(covariance + noise)
            weights = (inverse @ (targets - model.mean_module(inputs)).unsqueeze(-1)).squeeze(-1)
            standardised = weights / inverse.diagonal(dim1=-2, dim2=-1).clamp_min(1e-12).sqrt()
        rows, standardised = inputs.reshape(-1, *inputs.shape[-2:])[0], standardised.reshape(-1, inputs.shape[-2])
        full = rows[:, fidelity_column] == FULL
        found.append(standardised.mean(dim=0)[full].abs().numpy())
    return found


def typical(errors: Floats) -> float:
    """By what deviations must be stretched, at least 1, so that they are as large as the errors in root mean square."""
    return max(1.0, float(np.sqrt(np.mean(errors**2)))) if len(errors) else 1.0


def careful(errors: Floats) -> float:
    """By what deviations must be stretched, at least 1, so that an interval holds the next run with `CONFIDENCE`.

    A conformal quantile (Vovk 2015); the widest error where there are too few for one.
    """
    if not len(errors):
        return 1.0
    place = min(len(errors), math.ceil((len(errors) + 1) * CONFIDENCE))
    return max(1.0, float(np.sort(errors)[place - 1]) / HALF)


def doubts(trials: Sequence[PastTrial], objectives: Objectives, metrics: Sequence[str], waiting: Mapping[int, float],
           rng: np.random.Generator, draws: int) -> Floats:  # fmt: skip
    """What a short run alone leaves open of the full run's quality, as draws to add to the model's.

    Those that were trained in full were chosen for being good, so their errors say little of a trial that looks bad.
    This is the prediction error of the line from its rung to the full runs (`readings.Line`), which grows with the
    distance from them, Student-t for their number. `waiting`: fidelity of each trial's longest run; nothing is added
    before the first. Shape draws x waiting x metrics.
    """
    scales = {name: each.scale for name, each in objectives.learned.items() if each.quality}
    found = np.zeros((draws, len(waiting), len(metrics)))
    for column, metric in enumerate(metrics):
        if metric not in scales:
            continue
        full = full_places(trials, metric, scales[metric])
        lines = {fidelity: line_at(trials, fidelity, full) for fidelity in set(waiting.values()) if 0 < fidelity < 1}
        for row, (number, fidelity) in enumerate(waiting.items()):
            if fidelity not in lines:
                continue
            line = lines[fidelity]
            if line is None or number not in line.scores:
                found[:, row, column] = UNKNOWN * rng.standard_normal(draws)
            else:
                found[:, row, column] = line.doubt(number) * rng.standard_t(line.pairs - 2, draws)
    return found
