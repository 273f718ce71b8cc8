"""Forecasts of the trials that wait, by Monte Carlo over the surrogate's joint posterior at full fidelity."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from search.objectives import Objectives
from search.pareto import hypervolume
from search.samplers.bayes.draws import Floats, holds, objective_values
from search.samplers.bayes.encoding import Encoding
from search.samplers.bayes.honesty import careful, doubts, errors, typical
from search.samplers.bayes.surrogate import Surrogate
from search.samplers.forecast import Forecast, Standing, fidelity_of
from search.samplers.past import evidence
from search.samplers.sampler import History

DRAWS = 256


def forecasts(
    surrogate: Surrogate,
    encoding: Encoding,
    objectives: Objectives,
    history: History,
    standing: Standing,
    rng: np.random.Generator,
) -> list[Forecast]:
    """What to expect of `standing.waiting`, by number. Known objectives and constraints are exact.

    The gain is of the model with its typical error, as an estimate should be; the probability, which decides who leaves
    the ladder, of the model stretched with care and with what its short run leaves open (`honesty`); at least that of
    the former.
    """
    fidelity = fidelity_of(history, sorted(standing.waiting))
    if not fidelity:
        return []
    by_number = {trial.number: trial.point for trial in history.trials}
    full = [
        trial.point
        for trial in (*history.trials, *history.others)
        if trial.state != "failed"
        and (trial.number in standing.finishing or any(seen.fidelity == 1.0 for seen in trial.observations))
    ]
    points = [*(by_number[number] for number in fidelity), *full]
    rows = encoding.rows(points)
    allowed = np.array([encoding.allowed(point) for point in points])
    centre, drawn = _draw(surrogate, rows)
    wrong = errors(surrogate, encoding.inputs - 1)
    open_still = doubts(evidence(history, objectives), objectives, surrogate.metrics, fidelity, rng, DRAWS)
    gains, chances = np.zeros(len(fidelity)), np.zeros(len(fidelity))
    for stretch in (typical, careful):
        factor = np.array([stretch(each) for each in wrong])
        stretched = centre + factor * (drawn - centre)
        if stretch is careful:
            stretched[:, : len(fidelity)] += open_still
        able = allowed & holds(stretched, surrogate, objectives)
        values = objective_values(stretched, rows, surrogate, encoding, objectives)
        enters, gained = entering(values, able, len(fidelity), objectives.reference)
        gains = gained if stretch is typical else gains
        chances = np.maximum(chances, enters)
    return [
        Forecast(number, fidelity[number], round(float(chance), 4), float(f"{gain:.4g}"))
        for number, chance, gain in zip(fidelity, chances, gains, strict=True)
    ]


def _draw(surrogate: Surrogate, rows: Tensor) -> tuple[Floats, Floats]:
    """Posterior means (points x metrics) and joint draws (draws x points x metrics); torch's own random numbers."""
    with torch.no_grad():
        posterior = surrogate.model.posterior(rows)
        return posterior.mean.numpy(), posterior.rsample(torch.Size([DRAWS])).numpy()


def entering(values: Floats, able: NDArray[np.bool_], candidates: int, reference: Floats) -> tuple[Floats, Floats]:
    """Of each of the first `candidates` points: the share of draws in which it joins the front of the points after
    them, and the hypervolume that it adds on average.

    values: draws x points x objectives, minimised; able: draws x points, whether it is feasible. A candidate joins by
    itself: what the other candidates do is left open, since they may never be trained in full.
    """
    share, gained = np.zeros(candidates), np.zeros(candidates)
    for draw, may in zip(values, able, strict=True):
        front = draw[candidates:][may[candidates:]]
        tried, places = draw[:candidates][may[:candidates]], np.flatnonzero(may[:candidates])
        no_worse = (front[None] <= tried[:, None]).all(axis=-1)
        better = (front[None] < tried[:, None]).any(axis=-1)
        joins = ~(no_worse & better).any(axis=1)
        before = hypervolume(front, reference)
        for place, point in zip(places[joins], tried[joins], strict=True):
            share[place] += 1
            if (point < reference).all():
                gained[place] += hypervolume(np.vstack([front, point]), reference) - before
    return share / len(values), gained / len(values)
