"""Samplers of a study that learn nothing: independent draws, and places of a Sobol sequence.

Every value is a function of the seed, the trial's number and the parameter, so a study that goes on in another process
goes on as if it had never stopped.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.samplers._base import _process_constraints_after_trial
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from scipy.stats import qmc

from search.samplers.as_optuna.parameter import value_at

ConstraintsFunction = Callable[[FrozenTrial], Sequence[float]]


class RandomStudySampler(BaseSampler):
    """Independent uniform draws (on a parameter's own scale)."""

    def __init__(self, seed: int, constraints_func: ConstraintsFunction | None = None) -> None:
        self._seed = seed
        self._constraints_func = constraints_func

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        position = self._position(study, trial, param_name)
        return param_distribution.to_external_repr(float(value_at(param_distribution, position)))

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        if self._constraints_func is not None:
            _process_constraints_after_trial(self._constraints_func, study, trial, state)

    def _position(self, study: Study, trial: FrozenTrial, name: str) -> float:
        return uniform_position(self._seed, trial.number, name)


class SobolStudySampler(RandomStudySampler):
    """Places of one scrambled Sobol sequence: a trial's number is its place, each parameter a dimension."""

    def _position(self, study: Study, trial: FrozenTrial, name: str) -> float:
        return sobol_position(self._seed, study.get_trials(deepcopy=False), trial, name)


def uniform_position(seed: int, number: int, name: str) -> float:
    return float(np.random.default_rng([seed, number, zlib.crc32(name.encode())]).random())


def sobol_position(seed: int, trials: Sequence[FrozenTrial], trial: FrozenTrial, name: str) -> float:
    """The parameter's coordinate of the trial's place; parameters are dimensions by the order in which the study
    first met them. Each is scrambled by itself (SciPy's linear matrix scramble and digital shift, after Matousek 1998),
    so that dimensions may still be met later. Only shifted, a sequence's first places would lie on diagonals.
    """
    met: dict[str, None] = {}
    for each in trials:
        if each.number < trial.number:
            met |= dict.fromkeys(each.params)
    met |= dict.fromkeys((*trial.params, name))
    dimension = list(met).index(name)
    sequence = qmc.Sobol(dimension + 1, scramble=True, rng=np.random.default_rng([seed, dimension]))
    if trial.number:
        sequence.fast_forward(trial.number)
    return float(sequence.random(1)[0, dimension])
