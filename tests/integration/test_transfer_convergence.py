"""A related source saves trials, also from a model of another depth; a source that says the opposite is dropped, and
costs no more than the trials that it began with.

The problem (`benchmarks.synthetic_peft`) has a known front. The source is a deeper and wider model on which accuracies
are lower and not in proportion; or the same with accuracy turned around.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from benchmarks.synthetic_peft import encoder_table, known_front, measure
from search.job import JobSpec
from search.objectives import Objectives
from search.pareto import hypervolume
from search.samplers import create
from search.samplers.sampler import History, Observation, PastTrial
from search.transfer.source import Source, SourceTrial
from search.transfer.transfer import SOURCE, Transfer
from space.load import load_space
from space.methods import METHODS
from space.plan import Plan
from space.space import SearchSpace

DEPTH, SOURCE_DEPTH = 4, 6
NOISE = 0.01
WARM = 4
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


def related(plan: Plan) -> dict[str, float]:
    values = measure(plan, SOURCE_DEPTH, noise=NOISE)
    return {**values, "accuracy": 0.6 * values["accuracy"] ** 1.5, "loss": 1.5 * values["loss"]}


def opposite(plan: Plan) -> dict[str, float]:
    values = related(plan)
    return {**values, "accuracy": 0.6 - values["accuracy"], "loss": 3.0 - values["loss"]}


def source(name: str, measured: Callable[[Plan], dict[str, float]], trials: int = 40) -> Source:
    """What a random search of a deeper model found."""
    space = load_space(SPEC, encoder_table(SOURCE_DEPTH, 128))
    rng = np.random.default_rng(7)
    found = []
    for number in range(trials):
        point = space.sample(rng)
        values = measured(space.plan(point))
        seen = (Observation(1.0, 0, values),)
        found.append(
            SourceTrial(number=number, configuration=space.decode(point), observations=seen, reported=values, seeds=1)
        )
    return Source(job=name, name=name, data="other", model="deeper", trials=tuple(found))


def search(
    space: SearchSpace, objectives: Objectives, sources: Sequence[Source], seed: int, trials: int
) -> tuple[list[PastTrial], list[float], Transfer | None]:
    """A search's trials, and the share of the known front's hypervolume that is reached after each."""
    transfer = Transfer(sources, space, objectives, WARM) if sources else None
    sampler = create("bayes", space, objectives, seed, trials, transfer)
    best = hypervolume([objectives.minimised(values) for values in known_front(space)], objectives.reference)
    history: list[PastTrial] = []
    rows, reached = [], []
    while len(history) < trials:
        (proposal,) = sampler.ask(History(tuple(history)), 1)
        plan = space.plan(proposal.point)
        seen = (Observation(1.0, 0, measure(plan, DEPTH, noise=NOISE)),)
        history.append(
            PastTrial(len(history), proposal.point, proposal.configuration, "completed", seen, proposal.attributes)
        )
        rows.append(objectives.minimised(measure(plan, DEPTH)))
        reached.append(hypervolume(rows, objectives.reference) / best)
    return history, reached, transfer


def test_a_related_source_saves_trials(space: SearchSpace, objectives: Objectives) -> None:
    _, with_source, _ = search(space, objectives, [source("friend", related)], 1, 8)
    _, alone, _ = search(space, objectives, [], 1, 10)
    assert with_source[-1] > alone[-1] + 0.1


def test_a_source_that_says_the_opposite_costs_no_more_than_its_own_trials(
    space: SearchSpace, objectives: Objectives
) -> None:
    foe = source("foe", opposite)
    alone, _, _ = search(space, objectives, [], 1, 5)
    begun = len(Transfer([foe], space, objectives, WARM).candidates)
    history, _, transfer = search(space, objectives, [foe], 1, begun + 5)
    assert transfer is not None
    assert [trial.attributes.get(SOURCE) for trial in history] == ["foe"] * begun + [None] * 5
    # Then the search goes on as it would have begun, and the model that follows knows nothing of the source.
    assert [trial.point for trial in history[begun:]] == [trial.point for trial in alone]
    (verdict,) = transfer.verdicts(History(tuple(history)))
    assert (verdict.state, verdict.weight) == ("dropped", 0.0)


@pytest.mark.slow
def test_over_seeds_a_related_source_helps_and_an_opposite_one_does_not_harm(
    space: SearchSpace, objectives: Objectives
) -> None:
    alone = np.array([search(space, objectives, [], seed, 20)[1] for seed in range(4)]).mean(axis=0)
    friend = np.array([search(space, objectives, [source("friend", related)], seed, 20)[1] for seed in range(4)])
    foe = np.array([search(space, objectives, [source("foe", opposite)], seed, 20)[1] for seed in range(4)])
    assert (friend.mean(axis=0)[[7, 11, 15, 19]] > alone[[7, 11, 15, 19]]).all()
    assert foe.mean(axis=0)[19] > alone[19 - WARM] - 0.05
