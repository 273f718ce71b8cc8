"""The model's choice of the next point, for any domain: a job's space as much as one inferred from a study's trials."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from botorch.exceptions.warnings import BotorchWarning
from linear_operator.utils.warnings import NumericalWarning
from numpy.typing import NDArray
from torch import Tensor

from search.objectives import Objectives
from search.pareto import ranks
from search.samplers.bayes.acquisition import HYPERVOLUME, Acquisition, acquisition
from search.samplers.bayes.candidates import Score, best_candidate
from search.samplers.bayes.domain import Domain
from search.samplers.bayes.encoding import Encoding
from search.samplers.bayes.refinement import refined
from search.samplers.bayes.surrogate import Surrogate
from search.samplers.past import full_values
from search.samplers.sampler import History, PastTrial
from space.encode import Point


@dataclass(frozen=True)
class Choice:
    """A point, with the name of the acquisition function that chose it and why, in words."""

    point: Point
    acquisition: str
    reason: str
    gain: float | None = None
    """Hypervolume that it is expected to add; None where the acquisition function says another thing."""


def choose(
    domain: Domain,
    encoding: Encoding,
    objectives: Objectives,
    history: History,
    trials: list[PastTrial],
    surrogate: Surrogate,
    rng: np.random.Generator,
    seen: set[str],
) -> Choice | None:
    """The best candidate found whose key is not in `seen`; None when there is none, or no trial holds the known limits.

    `trials`: what was measured (`past.evidence`); the other trials that run are pending points.
    """
    rows = encoding.rows([trial.point for trial in trials if encoding.allowed(trial.point)])
    have = {trial.number for trial in trials}
    waiting = [trial.point for trial in history.trials if trial.state == "running" and trial.number not in have]
    if not len(rows):
        return None
    chosen = acquisition(surrogate, encoding, objectives, rows, encoding.rows(waiting), rng)
    starts = best_first(trials, objectives)
    refine = partial(refined, domain=domain, encoding=encoding, function=chosen.function)
    best = best_candidate(domain, _scorer(chosen, encoding), starts, rng, seen, encoding.allowed, refine)
    if best is None:
        return None
    point, value = best
    gain = math.exp(value) if chosen.name == HYPERVOLUME else None
    said = f"log acquisition {value:.3g}" if gain is None else f"expected to add {gain:.2g} of hypervolume, judged"
    reason = f"{said} from {len(trials)} measured and {len(waiting)} running trials"
    if not chosen.feasible:
        reason += "; no trial is expected to hold every constraint yet"
    return Choice(point, chosen.name, reason, gain)


def best_first(trials: list[PastTrial], objectives: Objectives) -> list[Point]:
    """Points of the measured trials by estimated full value, the front's first; feasible ones before others."""
    values, violations = full_values(trials, objectives)
    broken = np.maximum(violations, 0).sum(axis=1)
    order = sorted(zip(broken, ranks(values), [-trial.number for trial in trials], range(len(trials)), strict=True))
    return [trials[index].point for *_, index in order]


def _scorer(chosen: Acquisition, encoding: Encoding) -> Score:
    def score(points: Sequence[Point]) -> NDArray[np.float64]:
        with torch.no_grad():
            values: Tensor = chosen.function(encoding.rows(points).unsqueeze(-2))
        return values.numpy()

    return score


@contextmanager
def reproducible(seed: int, number: int) -> Iterator[None]:
    """One thread and seeded torch numbers inside; as before outside.

    Results must not depend on the machine's cores, and small matrices are several times slower on many threads. Costs
    measured without noise make covariances that need jitter or slower sampling, which is no news to the user.
    """
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", NumericalWarning)
        warnings.filterwarnings("ignore", "Low-rank cholesky updates failed", BotorchWarning)
        torch.manual_seed(int(np.random.SeedSequence([seed, number]).generate_state(1)[0]))
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
