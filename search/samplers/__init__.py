"""Samplers: what to try next.

To add one, write its module and name it in `_CLASSES` (one for plain Optuna studies: in `_STUDY_CLASSES`); a module is
imported when its sampler is created, so this package loads no tensor library by itself.
"""

from __future__ import annotations

import importlib
import inspect
from typing import TYPE_CHECKING, Any

from search.samplers.bayes.kinds import DEFAULT, check_kind
from search.samplers.sampler import Sampler
from space.errors import FieldError

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

    from search.objectives import Objectives
    from search.transfer.transfer import Transfer
    from space.space import SearchSpace

_CLASSES = {
    "random": ("search.samplers.random", "RandomSampler"),
    "sobol": ("search.samplers.sobol", "SobolSampler"),
    "tpe": ("search.samplers.optuna_adapter", "TPE"),
    "nsga2": ("search.samplers.optuna_adapter", "NSGA2"),
    "bayes": ("search.samplers.bayes.bayes", "BayesSampler"),
}
NAMES = tuple(_CLASSES)

_STUDY_CLASSES = {
    "random": ("search.samplers.as_optuna.independent", "RandomStudySampler"),
    "sobol": ("search.samplers.as_optuna.independent", "SobolStudySampler"),
    "bayes": ("search.samplers.as_optuna.bayes", "BayesStudySampler"),
}
_LEARN_FROM_SOURCES = ("bayes",)
"""Samplers whose model takes what earlier jobs measured; the others begin with the sources' fronts only."""
_OPTUNAS_OWN = {"tpe": "TPESampler", "nsga2": "NSGAIISampler"}


def create(
    name: str,
    space: SearchSpace,
    objectives: Objectives,
    seed: int,
    trials: int | None = None,
    surrogate: str = DEFAULT,
    transfer: Transfer | None = None,
) -> Sampler:
    """The sampler called `name`, for one job that may sample `trials` configurations (None: unknown).

    `surrogate`: the model of `bayes`; others have none. `transfer`: earlier jobs to learn from.

    Raises:
        FieldError: there is none of that name, or its surrogate needs packages that are not installed.
    """
    if name not in _CLASSES:
        raise FieldError("sampler.name", f"unknown sampler {name!r}; known: {', '.join(NAMES)}")
    module, attribute = _CLASSES[name]
    options: dict[str, Any] = {"surrogate": surrogate} if name == "bayes" else {}
    if options:
        check_kind(surrogate, "sampler.surrogate")
    if name in _LEARN_FROM_SOURCES:
        options["transfer"] = transfer
    sampler: Sampler = getattr(importlib.import_module(module), attribute)(space, objectives, seed, trials, **options)
    if transfer is None:
        return sampler
    wrapped: Sampler = importlib.import_module("search.samplers.transfer").begin_with(transfer, sampler, space)
    return wrapped


def create_sampler(name: str = "bayes", seed: int = 0, **options: Any) -> BaseSampler:
    """The sampler called `name` for a plain `optuna.create_study`, any define-by-run objective and directions.

    Its proposals are a function of `seed`, the trial's number and the study's stored trials, so a study goes on alike
    in another process. `options`: `constraints_func` as Optuna's own samplers take it (constraints that trials report
    by themselves count without it); for `bayes` also `n_startup_trials`, the size of the design that comes first,
    `reference_point`, in the objectives' units, and `surrogate`, one of gp, map-saas and saas.

    Raises:
        FieldError: there is no such sampler or option, or a value cannot be used.
    """
    if name in _OPTUNAS_OWN:
        raise FieldError("name", f"{name} is Optuna's own; use optuna.samplers.{_OPTUNAS_OWN[name]} in a study")
    if name not in _STUDY_CLASSES:
        raise FieldError("name", f"unknown sampler {name!r}; known: {', '.join(_STUDY_CLASSES)}")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise FieldError("seed", f"a whole number from 0 on, not {seed!r}: proposals repeat only from a known seed")
    module, attribute = _STUDY_CLASSES[name]
    made = getattr(importlib.import_module(module), attribute)
    known = list(inspect.signature(made).parameters)[1:]
    for option in options:
        if option not in known:
            raise FieldError(option, f"no option of {name}; it takes: {', '.join(known)}")
    sampler: BaseSampler = made(seed, **options)
    return sampler
