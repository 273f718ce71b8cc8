"""How a plain study begins: its design, what scales rest on, and what no fit goes on from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import optuna
import pytest

from search.samplers import create_sampler
from search.samplers.as_optuna import bayes
from search.samplers.as_optuna.study_history import REASON, STRATEGY
from search.samplers.as_optuna.study_objectives import study_objectives
from search.samplers.bayes import surrogate
from search.samplers.bayes.surrogate import starting_hyperparameters
from search.samplers.sampler import History

Objective = Callable[[optuna.Trial], tuple[float, ...]]


def study_of(name: str, seed: int = 0, goals: int = 2) -> optuna.Study:
    return optuna.create_study(directions=["minimize"] * goals, sampler=create_sampler(name, seed=seed))


def line(count: int) -> Objective:
    """Two goals of so many parameters."""

    def objective(trial: optuna.Trial) -> tuple[float, ...]:
        values = [trial.suggest_float(f"x{index}", 0, 1) for index in range(count)]
        return sum(values), sum((1 - value) ** 2 for value in values)

    return objective


def test_a_study_begins_with_the_middle_of_every_range() -> None:
    study = study_of("bayes")
    study.optimize(lambda t: (t.suggest_float("x", 0, 10), t.suggest_float("y", 1e-4, 1, log=True)), n_trials=2)
    assert study.trials[0].params == pytest.approx({"x": 5.0, "y": 1e-2})
    assert study.trials[0].system_attrs[REASON] == "the middle of every range"
    assert study.trials[1].params["x"] != pytest.approx(5.0)


def test_sobol_leaves_no_region_out() -> None:
    """Sixteen values of each parameter fall into sixteen equal parts of its range."""
    study = study_of("sobol", 3, goals=1)
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1) + trial.suggest_float("y", 0, 1), n_trials=16)
    for name in ("x", "y"):
        assert {int(16 * trial.params[name]) for trial in study.trials} == set(range(16))


def test_the_first_sobol_places_lie_on_no_diagonals() -> None:
    """Of four places, what order the two parameters are in differs from seed to seed: one does not follow the other."""

    def orders(seed: int) -> tuple[int, ...]:
        study = study_of("sobol", seed, goals=1)
        study.optimize(lambda trial: trial.suggest_float("x", 0, 1) + trial.suggest_float("y", 0, 1), n_trials=4)
        return tuple(t.params["y"] for t in sorted(study.trials, key=lambda t: t.params["x"]))

    found = {tuple(np.argsort(orders(seed)).tolist()) for seed in range(20)}
    assert len(found) > 4, "a shift modulo 1 of four places would only turn them"


def test_the_design_has_one_trial_a_parameter_five_to_eight() -> None:
    def places(objective: Objective) -> int:
        study = study_of("bayes")
        study.optimize(objective, n_trials=9)
        return sum(trial.system_attrs[STRATEGY].startswith("sobol") for trial in study.trials)

    assert [places(line(count)) for count in (2, 6, 12)] == [5, 6, 8]


def test_few_trials_give_no_fit_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    starts: dict[int, bool] = {}

    def starting(history: History) -> Mapping[str, Any]:
        found = starting_hyperparameters(history)
        starts[len(history.trials)] = bool(found)
        return found

    monkeypatch.setattr(surrogate, "starting_hyperparameters", starting)
    monkeypatch.setattr(bayes, "FIRST_KEPT", 8)
    study_of("bayes").optimize(line(6), n_trials=11)
    assert starts == {6: False, 7: False, 8: False, 9: True, 10: True}


def test_scales_rest_on_the_design_and_no_outlier_moves_them() -> None:
    study = study_of("random")
    for value in (3.0, 1.0, 4.0, 1e9, 2.0, 5.0, 6.0, 7.0):
        study.add_trial(optuna.trial.create_trial(params={}, distributions={}, values=[value, value]))
    for size, worst in ((5, 4.0), (8, 7.0)):
        first = study_objectives(study.trials, study.directions, None, size).objectives[0]
        assert (first.scale.best, first.scale.worst) == (1.0, worst)
        assert first.reference == 1.0 + 1.5 * (worst - 1.0), "half as far again: a design seldom shows a front's ends"
    told = study_objectives(study.trials, study.directions, (5.5, 5.5), 8).objectives[0]
    assert (told.scale.worst, told.reference) == (7.0, 5.5)
