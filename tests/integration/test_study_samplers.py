"""Our samplers in plain Optuna studies: what a user of Optuna does with any sampler works with them."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from search.samplers import create_sampler
from search.samplers.as_optuna.inferred_space import InferredSpace
from search.samplers.as_optuna.study_history import POINT, REASON, STRATEGY, study_history
from search.samplers.as_optuna.study_objectives import study_objectives
from search.samplers.past import measured
from space.errors import FieldError

NAMES = ("random", "sobol", "bayes")
BOTH = ["minimize", "minimize"]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield
    optuna.logging.set_verbosity(before)


def conditional(trial: optuna.Trial) -> tuple[float, float]:
    """Two branches with parameters of every kind; the front lies in `a`."""
    if trial.suggest_categorical("branch", ["a", "b"]) == "a":
        x = trial.suggest_float("x", 0.0, 1.0)
        size = trial.suggest_int("size", 1, 64, log=True)
        return (x - 0.3) ** 2 + 1 / size, size * (1 + x)
    rate = trial.suggest_float("rate", 1e-4, 1.0, log=True)
    return 2 + trial.suggest_float("half", 0.0, 2.0, step=0.5) + rate, 40.0 * trial.suggest_int("even", 2, 8, step=2)


def study_of(sampler: optuna.samplers.BaseSampler, directions: Sequence[str] = BOTH, **more: Any) -> optuna.Study:
    return optuna.create_study(directions=list(directions), sampler=sampler, **more)


def bayes(**options: Any) -> optuna.samplers.BaseSampler:
    return create_sampler("bayes", seed=0, **{"n_startup_trials": 6, **options})


def strategies(study: optuna.Study) -> list[str]:
    return [trial.system_attrs.get(STRATEGY, "") for trial in study.trials]


@pytest.mark.parametrize("name", NAMES)
def test_any_objective_is_served(name: str) -> None:
    study = study_of(create_sampler(name, seed=0))
    study.optimize(conditional, n_trials=12)
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}
    assert {trial.params["branch"] for trial in study.trials} == {"a", "b"}
    assert len({repr(trial.params) for trial in study.trials}) == 12


def test_every_trial_says_what_made_it_and_why() -> None:
    study = study_of(bayes())
    study.optimize(conditional, n_trials=8)
    assert strategies(study)[:6] == [f"sobol: initial design {place} of 6" for place in range(1, 7)]
    assert strategies(study)[6:] == ["bayes: qLogNEHVI"] * 2
    assert "from 7 measured and 0 running trials" in study.trials[7].system_attrs[REASON]


RESTART = """
import json, sys, optuna
optuna.logging.set_verbosity(optuna.logging.WARNING)
from test_study_samplers import NAMES, conditional, going_on
for name in NAMES:
    study = optuna.load_study(study_name=name, storage=sys.argv[1], sampler=going_on(name))
    study.optimize(conditional, n_trials=2)
    print(json.dumps([trial.params for trial in study.trials[-2:]]))
"""


def going_on(name: str) -> optuna.samplers.BaseSampler:
    return create_sampler(name, seed=7, **({"n_startup_trials": 5} if name == "bayes" else {}))


def test_a_study_goes_on_alike_in_another_process(tmp_path: Path) -> None:
    """The same stored trials and the same number give the same proposal, from a new sampler on a new storage object."""
    storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path}/study.db")
    studies = [study_of(going_on(name), study_name=name, storage=storage) for name in NAMES]
    for study in studies:
        study.optimize(conditional, n_trials=6)
    shutil.copy(tmp_path / "study.db", tmp_path / "copy.db")
    for study in studies:
        study.optimize(conditional, n_trials=2)
    root = Path(__file__).parents[2]
    code = f"import sys; sys.path[:0] = [{str(root)!r}, {str(Path(__file__).parent)!r}]\n{RESTART}"
    call = [sys.executable, "-c", code, f"sqlite:///{tmp_path}/copy.db"]
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    alike = [json.dumps([trial.params for trial in study.trials[-2:]]) for study in studies]
    assert done.stdout.split("\n")[:-1] == alike


def test_another_seed_gives_another_study() -> None:
    studies = [study_of(create_sampler("sobol", seed=seed)) for seed in (0, 1)]
    for study in studies:
        study.optimize(conditional, n_trials=3)
    assert [t.params for t in studies[0].trials] != [t.params for t in studies[1].trials]


def test_ask_and_tell_with_pending_trials() -> None:
    """Asked for together, proposals keep away from each other; each is pending before it has asked for a value."""
    study = study_of(bayes(), ["minimize"])
    study.optimize(lambda trial: (trial.suggest_float("x", 0, 1) - 0.37) ** 2, n_trials=7)
    distribution = {"x": optuna.distributions.FloatDistribution(0, 1)}
    asked = [study.ask(distribution) for _ in range(3)]
    assert [trial.system_attrs[REASON].split("and ")[1] for trial in study.trials[-3:]] == [
        f"{running} running trials" for running in range(3)
    ]
    places = sorted(trial.params["x"] for trial in asked)
    assert min(np.diff(places)) > 1e-3
    for trial in asked:
        study.tell(trial, (trial.params["x"] - 0.37) ** 2)
    assert study.ask(distribution).params


def test_a_trial_that_has_asked_for_nothing_yet_is_pending() -> None:
    study = study_of(bayes())
    study.optimize(conditional, n_trials=7)
    running = study.ask()
    assert running.relative_params
    trials = study.trials
    assert not trials[-1].params
    past = study_history(trials, InferredSpace(trials), 2).trials[-1]
    assert past.state == "running"
    assert past.point == trials[-1].system_attrs[POINT]


def test_two_jobs_at_once() -> None:
    study = study_of(bayes())
    study.optimize(conditional, n_trials=10, n_jobs=2)
    assert len(study.trials) == 10
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}
    assert sum("qLogNEHVI" in each for each in strategies(study)) >= 3


def test_enqueued_values_stand_and_the_rest_suits_them() -> None:
    study = study_of(bayes())
    study.optimize(conditional, n_trials=7)
    study.enqueue_trial({"branch": "b", "half": 1.5})
    study.enqueue_trial({"branch": "a", "x": 0.25, "size": 9})
    study.optimize(conditional, n_trials=2)
    partly, wholly = study.trials[-2:]
    assert partly.params["branch"] == "b"
    assert partly.params["half"] == 1.5
    assert partly.system_attrs[STRATEGY] == "bayes: qLogNEHVI"
    assert set(partly.system_attrs[POINT]) == {"branch", "rate", "half", "even"}
    assert wholly.params == {"branch": "a", "x": 0.25, "size": 9}


def infeasible_below(trial: FrozenTrial) -> Sequence[float]:
    return [0.6 - trial.params["x"]]


def told(trial: optuna.Trial) -> float:
    x = trial.suggest_float("x", 0, 1)
    trial.set_constraint("far enough", 0.6 - x)
    return x


@pytest.mark.parametrize("how", ["constraints_func", "set_constraint"])
def test_constraints(how: str) -> None:
    """The least x that holds `x >= 0.6` is approached from where it holds."""
    if how == "set_constraint":
        study = study_of(bayes(), ["minimize"])
        study.optimize(told, n_trials=14)
    else:
        study = study_of(bayes(constraints_func=infeasible_below), ["minimize"])
        study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=14)
    assert all(len(trial.constraints) == 1 for trial in study.trials)
    assert 0.6 <= study.best_value < 0.63


def test_nothing_feasible_yet_turns_the_search_to_where_constraints_hold() -> None:
    study = study_of(bayes(constraints_func=lambda trial: [trial.params["x"] - 0.02]))
    for x in np.linspace(0.3, 1, 7):
        study.enqueue_trial({"x": x, "y": 0.5})
    objective: Callable[[optuna.Trial], Any] = lambda t: (t.suggest_float("x", 0, 1), t.suggest_float("y", 0, 1))  # noqa: E731
    study.optimize(objective, n_trials=8)
    assert strategies(study)[-1] == "bayes: qLogProbabilityOfFeasibility"
    assert study.trials[-1].params["x"] < 0.3


def test_one_objective_to_maximise() -> None:
    study = study_of(bayes(), ["maximize"])
    study.optimize(lambda trial: -((trial.suggest_float("x", -5, 5) - 2) ** 2), n_trials=14)
    assert study.best_value > -0.05


def test_more_objectives_than_hypervolume_can_bear() -> None:
    study = study_of(bayes(), ["minimize", "maximize"] * 2 + ["minimize"])
    study.optimize(lambda trial: [abs(trial.suggest_float("x", 0, 1) - place / 4) for place in range(5)], n_trials=8)
    assert strategies(study)[-1] == "bayes: qLogNParEGO"


def test_failures_are_learned() -> None:
    """One branch always fails; once that is seen the other is asked for."""

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        found = conditional(trial)
        if trial.params["branch"] == "a":
            raise RuntimeError("out of memory")
        return found

    study = study_of(create_sampler("bayes", seed=1, n_startup_trials=6))
    study.optimize(objective, n_trials=14, catch=(RuntimeError,))
    assert [trial.params["branch"] for trial in study.trials[8:]] == ["b"] * 6


def test_pruned_trials_count_by_what_they_reported() -> None:
    """As runs of half the length, beside what whole runs had reported by then: from these the model learns the rest."""

    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        for step in range(4):
            trial.report((x - 0.4) ** 2 + 1 / (step + 1), step)
            if step == 1 and trial.number % 3 == 0:
                raise optuna.TrialPruned
        return (x - 0.4) ** 2 + 0.25

    study = study_of(bayes(), ["minimize"], pruner=optuna.pruners.NopPruner())
    study.optimize(objective, n_trials=12)
    trials = study.trials
    history = study_history(trials, InferredSpace(trials), 1)
    results = measured(history, study_objectives(trials, study.directions))
    assert [trial.number for trial in results] == list(range(12))
    assert [each.fidelity for each in results[0].observations] == [0.5]
    assert [each.fidelity for each in results[1].observations] == [1.0, 0.5]
    assert abs(study.best_params["x"] - 0.4) < 0.1


def test_brackets_of_hyperband() -> None:
    """Its pruner shows the sampler one bracket's trials only, numbered with gaps."""

    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        for step in range(9):
            trial.report(x + 1 / (step + 1), step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return x

    study = study_of(bayes(n_startup_trials=3), ["minimize"], pruner=optuna.pruners.HyperbandPruner(1, 9))
    study.optimize(objective, n_trials=16)
    assert any(each.startswith("bayes") for each in strategies(study))
    assert {trial.state for trial in study.trials} <= {TrialState.COMPLETE, TrialState.PRUNED}


def test_infinite_constraints_are_borne() -> None:
    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        trial.set_constraint("far", float("inf") if x < 0.2 else 0.3 - x)
        return x

    study = study_of(bayes(), ["minimize"])
    study.optimize(objective, n_trials=10)
    assert strategies(study)[-1] == "bayes: qLogNEI"
    assert study.best_value < 0.45


def test_a_sampler_can_be_copied_to_other_processes() -> None:
    study = study_of(pickle.loads(pickle.dumps(bayes())))
    study.optimize(conditional, n_trials=2)


def test_pruned_trials_of_several_objectives_are_no_results() -> None:
    study = study_of(bayes())
    study.optimize(conditional, n_trials=6)
    trial = study.ask()
    conditional(trial)
    study.tell(trial, state=TrialState.PRUNED)
    study.optimize(conditional, n_trials=1)
    assert "from 6 measured and 0 running" in study.trials[-1].system_attrs[REASON]


def test_a_parameter_first_seen_late_joins_the_model() -> None:
    def objective(trial: optuna.Trial) -> tuple[float, float]:
        x = trial.suggest_float("x", 0, 1)
        late = trial.suggest_float("late", 0, 1) if trial.number >= 8 else 0.5
        return x + late, 1 - x + late

    study = study_of(bayes())
    study.optimize(objective, n_trials=11)
    assert set(study.trials[7].system_attrs[POINT]) == {"x"}
    assert f"{STRATEGY}:late" in study.trials[8].system_attrs, "nobody knew of it"
    assert set(study.trials[10].system_attrs[POINT]) == {"x", "late"}


def test_a_range_may_change() -> None:
    def objective(trial: optuna.Trial) -> float:
        return trial.suggest_float("x", 0.0, 1.0 if trial.number < 7 else 2.0)

    study = study_of(bayes(), ["maximize"])
    study.optimize(objective, n_trials=12)
    assert study.best_value > 1


def test_infinite_values_and_ones_all_alike_do_not_stop_the_search() -> None:
    def objective(trial: optuna.Trial) -> tuple[float, float]:
        x = trial.suggest_float("x", 0, 1)
        return (float("inf") if x < 0.3 else x), 1.0

    study = study_of(bayes())
    study.optimize(objective, n_trials=9)
    assert strategies(study)[-1] == "bayes: qLogNEHVI"


def test_a_space_that_is_used_up_is_tried_again() -> None:
    study = study_of(bayes(n_startup_trials=3), ["minimize"])
    study.optimize(lambda trial: float(trial.suggest_int("n", 1, 3)), n_trials=9)
    assert "tried again" in study.trials[-1].system_attrs[REASON]
    assert {trial.params["n"] for trial in study.trials} == {1, 2, 3}


def test_an_objective_without_parameters_runs() -> None:
    study = study_of(bayes(), ["minimize"])
    study.optimize(lambda trial: 1.0, n_trials=8)
    study.optimize(lambda trial: trial.suggest_float("only", 2, 2), n_trials=2)
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
    assert len(study.trials) == 13


def test_trials_of_another_sampler_are_built_upon() -> None:
    study = study_of(optuna.samplers.RandomSampler(seed=0))
    study.optimize(conditional, n_trials=8)
    study.sampler = bayes()
    study.optimize(conditional, n_trials=1)
    assert strategies(study)[-1] == "bayes: qLogNEHVI"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("anneal",), "unknown sampler 'anneal'; known: random, sobol, bayes"),
        (("tpe",), "use optuna.samplers.TPESampler"),
        (("bayes", -1), "seed: a whole number from 0 on"),
    ],
)
def test_what_is_not_served_is_said(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(FieldError, match=message):
        create_sampler(*arguments)


def test_options_are_checked() -> None:
    with pytest.raises(FieldError, match="no option of sobol; it takes: constraints_func"):
        create_sampler("sobol", n_startup_trials=3)
    with pytest.raises(FieldError, match="at least 1 trial"):
        create_sampler("bayes", n_startup_trials=0)
    study = study_of(create_sampler("bayes", reference_point=[1.0]))
    with pytest.raises(FieldError, match="each of the study's 2 objectives"):
        study.optimize(conditional, n_trials=1)


def test_samplers_that_need_no_model_load_no_tensor_library() -> None:
    code = "import sys; from search.samplers import create_sampler; create_sampler('random'); create_sampler('sobol'); "
    code += "assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=True)
