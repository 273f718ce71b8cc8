"""Problems with known fronts, as objectives of a plain Optuna study.

Three from the literature, by BoTorch's own definitions (Branin and Currin, Belakaria et al. 2019; ZDT2, Zitzler et al.
2000; C2-DTLZ2, Jain and Deb 2014, constrained), and one define-by-run one with conditions, whose front is found by
listing. Run as a program, it prints what `bayes` and Optuna's random sampler reach.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import optuna
import torch
from botorch.test_functions.multi_objective import C2DTLZ2, ZDT2, BraninCurrin
from numpy.typing import NDArray

from search.pareto import hypervolume
from search.samplers import create_sampler

Objective = Callable[[optuna.Trial], Sequence[float]]


@dataclass(frozen=True)
class StudyProblem:
    """An objective with two values to minimise; `best` is the hypervolume of its front up to `reference`."""

    name: str
    objective: Objective
    reference: tuple[float, ...]
    best: float

    def reached(self, study: optuna.Study) -> float:
        """Share of `best` that the study's feasible trials reach."""
        done = study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.COMPLETE])
        feasible = [trial.values for trial in done if all(bound <= 0 for bound in trial.constraints.values())]
        return hypervolume(feasible, self.reference) / self.best if feasible else 0.0


def _from_botorch(problem: BraninCurrin | ZDT2 | C2DTLZ2) -> StudyProblem:
    bounds = problem.bounds.double().T.tolist()

    def objective(trial: optuna.Trial) -> list[float]:
        x = torch.tensor([[trial.suggest_float(f"x{i}", low, high) for i, (low, high) in enumerate(bounds)]]).double()
        if isinstance(problem, C2DTLZ2):
            for index, slack in enumerate(problem.evaluate_slack_true(x)[0].tolist()):
                trial.set_constraint(f"c{index}", -slack)
        values: list[float] = problem.evaluate_true(x)[0].tolist()
        return values

    return StudyProblem(type(problem).__name__, objective, tuple(problem.ref_point.tolist()), problem.max_hv)


def conditional_values(method: str, size: int, rate: float, layers: int, mode: str) -> tuple[float, float]:
    """Error and cost of one of four methods, each with a learning rate that suits it and its own gain from size."""
    optimum, floor, gain, unit = {
        "low-rank": (-3.0, 0.10, 0.30, 20.0),
        "bottleneck": (-3.5, 0.14, 0.22, 8.0),
        "prefix": (-2.0, 0.25, 0.10, 3.0),
        "scaling": (-2.2, 0.35, 0.0, 1.0),
    }[method]
    depth = 1 - layers / 6
    error = floor + gain / np.sqrt(size) + 0.15 * depth + 0.08 * min((np.log10(rate) - optimum) ** 2, 4.0)
    return float(error + (0.05 if mode == "after" else 0.0)), float(np.log10(1 + unit * size * layers))


def conditional(trial: optuna.Trial) -> tuple[float, float]:
    """Each method asks for parameters of its own; one of them only in one of its modes."""
    method = trial.suggest_categorical("method", ["low-rank", "bottleneck", "prefix", "scaling"])
    size, mode = 1, "beside"
    if method == "low-rank":
        size = trial.suggest_int("rank", 1, 64, log=True)
    elif method == "bottleneck":
        mode = trial.suggest_categorical("mode", ["beside", "after"])
        size = trial.suggest_int("width", 2, 128, log=True)
    elif method == "prefix":
        size = trial.suggest_int("tokens", 1, 41, step=4)
    rate = trial.suggest_float(f"{method}.rate", 1e-5, 1e-1, log=True)
    layers = 6 if trial.suggest_categorical("everywhere", [True, False]) else trial.suggest_int("layers", 1, 5)
    return conditional_values(method, size, rate, layers, mode)


def _conditional_plans() -> NDArray[np.float64]:
    rates = {"low-rank": 1e-3, "bottleneck": 10**-3.5, "prefix": 1e-2, "scaling": 10**-2.2}
    sizes: dict[str, Sequence[int]] = {
        "low-rank": range(1, 65),
        "bottleneck": range(2, 129),
        "prefix": range(1, 42, 4),
        "scaling": (1,),
    }
    return np.array(
        [
            conditional_values(method, size, rate, layers, "beside")
            for method, rate in rates.items()
            for size in sizes[method]
            for layers in range(1, 7)
        ]
    )


def problems() -> dict[str, StudyProblem]:
    """By name."""
    reference = (1.0, 4.0)
    found = [
        _from_botorch(BraninCurrin()),
        _from_botorch(ZDT2(dim=6)),
        _from_botorch(C2DTLZ2(dim=4)),
        StudyProblem("conditional", conditional, reference, hypervolume(_conditional_plans(), reference)),
    ]
    return {problem.name: problem for problem in found}


def main(trials: int = 40, seeds: int = 3) -> None:
    """Shares of the known fronts' hypervolumes after `trials`: the mean over `seeds`, and the worst."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    makers: dict[str, Callable[[int], optuna.samplers.BaseSampler]] = {
        "bayes": lambda seed: create_sampler("bayes", seed=seed),
        "RandomSampler": lambda seed: optuna.samplers.RandomSampler(seed=seed),
    }
    for problem in problems().values():
        for name, make in makers.items():
            shares = []
            for seed in range(seeds):
                study = optuna.create_study(directions=["minimize", "minimize"], sampler=make(seed))
                study.optimize(problem.objective, n_trials=trials)
                shares.append(problem.reached(study))
            print(f"{problem.name} {name}: {np.mean(shares):.3f} ({min(shares):.3f})", flush=True)


if __name__ == "__main__":
    main()
