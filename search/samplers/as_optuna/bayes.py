"""The `bayes` sampler in a plain Optuna study: the job's own model and acquisition over the space that trials show."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from search.objectives import Objectives
from search.samplers.as_optuna.independent import ConstraintsFunction, SobolStudySampler
from search.samplers.as_optuna.inferred_space import InferredSpace, parameters_of
from search.samplers.as_optuna.study_history import (
    ENQUEUED,
    KEPT_HYPERPARAMETERS,
    POINT,
    REASON,
    STRATEGY,
    keep,
    study_history,
)
from search.samplers.as_optuna.study_objectives import study_objectives
from search.samplers.bayes.choice import choose, reproducible
from search.samplers.bayes.design import FULL_RUNS, STUDY_LEAST, design_words, study_design
from search.samplers.bayes.encoding import Encoding
from search.samplers.bayes.kinds import DEFAULT, check_kind
from search.samplers.bayes.surrogate import Surrogate
from search.samplers.past import measured, rng_for
from search.samplers.sampler import History, PastTrial
from space.encode import Point
from space.errors import FieldError

_one_at_a_time = threading.Lock()
"""Threads of one study (`n_jobs`) wait for each other, so that each sees what the others were just given."""

FIRST_KEPT = 48
"""The first trial whose hyperparameters are kept for the next fit to go on from: what few trials say of them leads that
one astray, and with few trials a fit from the start is quick."""

MIDDLE = 0.5
"""Where the study's first trial lies in every range: ranges are mostly given around a value that works."""


class BayesStudySampler(SobolStudySampler):
    """The middle of every range and a Sobol design, then for each trial the candidate of best log noisy expected
    hypervolume improvement.

    Parameters, their ranges and the conditions under which each is asked for are learned from the study's trials.
    What no trial told of is a place of the Sobol sequence, and every trial says in its system attributes what made its
    proposal and why (`paretune:strategy`, `paretune:reason`).
    """

    def __init__(
        self,
        seed: int,
        constraints_func: ConstraintsFunction | None = None,
        n_startup_trials: int | None = None,
        reference_point: Sequence[float] | None = None,
        surrogate: str = DEFAULT,
    ) -> None:
        super().__init__(seed, constraints_func)
        if n_startup_trials is not None and n_startup_trials < 1:
            usual = f"leave it out for one a parameter, {STUDY_LEAST} to {FULL_RUNS}"
            raise FieldError("n_startup_trials", f"the design needs at least 1 trial; {usual}")
        check_kind(surrogate, "surrogate")
        self._startup = n_startup_trials
        self._surrogate = surrogate
        self._reference = None if reference_point is None else tuple(map(float, reference_point))

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {name: parameter.distribution for name, parameter in parameters_of(_others(study, trial)).items()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        self._check(study)
        with _one_at_a_time:
            trials = _others(study, trial)
            space = InferredSpace(trials)
            space.fix(space.internal({**trial.system_attrs.get(ENQUEUED, {}), **trial.params}))
            history = study_history(trials, space, len(study.directions))
            size = self._startup or study_design(len(space.parameters))
            objectives = study_objectives(trials, study.directions, self._reference, size)
            results = measured(history, objectives)
            place = 1 + sum(each.state != TrialState.WAITING for each in trials)
            design = design_words(place, size, len(results))
            if design is not None:
                reason = "a place of a scrambled Sobol sequence" if trial.number else "the middle of every range"
                keep(study, trial, {STRATEGY: f"sobol: {design}", REASON: reason})
                return {}
            with reproducible(self._seed, trial.number):
                point = self._choose(study, trial, space, objectives, history, results)
        return {name: value for name, value in space.external(point).items() if name in search_space}

    def _choose(
        self,
        study: Study,
        trial: FrozenTrial,
        space: InferredSpace,
        objectives: Objectives,
        history: History,
        results: list[PastTrial],
    ) -> Point:
        encoding = Encoding(space, objectives)
        rng = rng_for(self._seed, trial.number)
        surrogate = Surrogate(encoding, objectives, history, results, self._surrogate)
        seen = {space.key(each.point) for each in history.trials}
        found = choose(space, encoding, objectives, history, results, surrogate, rng, seen)
        repeated = ""
        if found is None:
            repeated = "; every candidate found was tried before, so the most promising is tried again"
            found = choose(space, encoding, objectives, history, results, surrogate, rng, set())
        if found is None:
            point, strategy, reason = space.sample(rng), "random: nothing to choose from", "one value for everything"
        else:
            point, strategy, reason = found.point, f"bayes: {found.acquisition}", found.reason + repeated
        kept: dict[str, Any] = {POINT: point, STRATEGY: strategy, REASON: reason}
        if trial.number >= FIRST_KEPT:
            kept[KEPT_HYPERPARAMETERS] = surrogate.hyperparameters
        keep(study, trial, kept)
        return point

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        value = super().sample_independent(study, trial, param_name, param_distribution)
        if POINT in study._storage.get_trial_system_attrs(trial._trial_id):
            keep(study, trial, {f"{STRATEGY}:{param_name}": "sobol: no trial so far showed that it is asked for here"})
        return value

    def _position(self, study: Study, trial: FrozenTrial, name: str) -> float:
        return super()._position(study, trial, name) if trial.number else MIDDLE

    def _check(self, study: Study) -> None:
        """Raises FieldError where the reference point is not of the study's objectives."""
        if self._reference is not None and len(self._reference) != len(study.directions):
            raise FieldError(
                "reference_point",
                f"one number for each of the study's {len(study.directions)} objectives, in their order, "
                f"not {len(self._reference)}",
            )


def _others(study: Study, trial: FrozenTrial) -> list[FrozenTrial]:
    """The study's trials but this one, by number."""
    found = [each for each in study.get_trials(deepcopy=False) if each.number != trial.number]
    return sorted(found, key=lambda each: each.number)
