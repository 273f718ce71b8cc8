"""The `bayes` sampler finds a known front of a conditional space, and much faster than chance.

The problem (`benchmarks.synthetic_peft`): four methods with sizes of their own, a bit a layer, a learning rate for each
method with its own optimum, noise, and rungs that most trials never leave. Its front is known by listing.
"""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.synthetic_peft import encoder_table, measure, plans_at_best_rates
from search.job import JobSpec
from search.objectives import Objectives
from search.pareto import hypervolume
from search.samplers import create
from search.samplers.sampler import History, Observation, PastTrial
from space.load import load_space
from space.methods import METHODS
from space.space import SearchSpace

DEPTH = 4
RUNGS = (0.11, 0.33, 1.0)
NOISE = 0.01
SPEC = {
    "methods": ["lora", "ia3", "serial-adapter", "prefix-tuning"],
    "size": {"lora": [1, 2, 4, 8, 16], "serial-adapter": [2, 4, 8, 16, 32], "prefix-tuning": [1, 2, 5, 10]},
    "sites": {name: [list(METHODS[name].default_roles)] for name in ("lora", "ia3", "serial-adapter", "prefix-tuning")},
    "layers": "bits",
    "learning_rate": [1e-4, 3e-2],
}


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return load_space(SPEC, encoder_table(DEPTH, 64))


@pytest.fixture(scope="module")
def objectives(space: SearchSpace) -> Objectives:
    spec = JobSpec.model_validate({"model": {"path": "model"}, "task": {"data": {"path": "rows.jsonl"}}})
    return Objectives.of(spec, space.table, (0, 50_000), [0.2] * 5)


def regret(name: str, space: SearchSpace, objectives: Objectives, seed: int, trials: int) -> float:
    """Share of the known front's hypervolume missing from the noiseless front of what `name` tried."""
    sampler = create(name, space, objectives, seed)
    history: list[PastTrial] = []
    while len(history) < trials:
        (proposal,) = sampler.ask(History(tuple(history)), 1)
        number = len(history)
        plan = space.plan(proposal.point)
        climbed = RUNGS[: 3 if number % 4 == 0 else 2 if number % 2 == 0 else 1]
        seen = tuple(Observation(rung, 0, measure(plan, DEPTH, rung, NOISE)) for rung in climbed)
        history.append(
            PastTrial(number, proposal.point, proposal.configuration, "completed", seen, proposal.attributes)
        )
    best = hypervolume([objectives.minimised(values) for values in plans_at_best_rates(space)], objectives.reference)
    tried = [objectives.minimised(measure(space.plan(trial.point), DEPTH)) for trial in history]
    return 1 - hypervolume(tried, objectives.reference) / best


def test_bayes_is_well_ahead_of_random_after_thirty_trials(space: SearchSpace, objectives: Objectives) -> None:
    chance = np.mean([regret("random", space, objectives, seed, 30) for seed in range(10)])
    model_based = np.mean([regret("bayes", space, objectives, seed, 30) for seed in range(2)])
    assert model_based < 0.5 * chance


@pytest.mark.slow
def test_bayes_is_nearly_there_after_sixty_trials(space: SearchSpace, objectives: Objectives) -> None:
    regrets = [regret("bayes", space, objectives, seed, 60) for seed in range(5)]
    others = [regret(name, space, objectives, seed, 60) for name in ("tpe", "nsga2", "sobol") for seed in range(5)]
    assert max(regrets) < 0.05
    assert np.mean(regrets) < 0.25 * np.mean(others)
