"""What every sampler owes: valid, new and reproducible proposals from a history that may hold anything."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.synthetic_peft import encoder_table, measure
from search.job import JobSpec
from search.objectives import Objectives
from search.samplers import NAMES, create
from search.samplers.sampler import EXPECTED_GAIN, History, Observation, PastTrial, Proposal, Sampler
from space.configuration import Configuration
from space.errors import FieldError
from space.load import load_space
from space.parameters import ParameterLimits
from space.space import SearchSpace

DEPTH = 3
CONDITIONAL = {
    "methods": ["lora", "ia3", "serial-adapter"],
    "size": {"lora": [1, 2, 4, 8], "serial-adapter": [4, 8, 16]},
    "layers": "bits",
    "learning_rate": {"lora": [1e-4, 5e-3], "ia3": [1e-3, 5e-2], "serial-adapter": [1e-4, 1e-2]},
}
TINY = {
    "methods": ["lora"],
    "size": {"lora": [1, 2, 4]},
    "sites": {"lora": [["attention.query"]]},
    "layers": "last",
    "learning_rate": [1e-3, 1e-3],
}
RUNGS = (0.11, 0.33, 1.0)
SUBSTITUTES = ("sobol", "random")
"""Strategies that a sampler falls back on, and says so."""


def space_of(spec: Mapping[str, object], limits: ParameterLimits | None = None) -> SearchSpace:
    return load_space(spec, encoder_table(DEPTH, 32), limits or ParameterLimits())


def objectives_of(space: SearchSpace, *metrics: str, constraints: tuple[dict, ...] = ()) -> Objectives:
    spec = JobSpec.model_validate(
        {
            "model": {"path": "model"},
            "task": {"data": {"path": "rows.jsonl"}},
            "objectives": [{"metric": metric} for metric in metrics or ("quality", "trainable_parameters")],
            "constraints": constraints,
        }
    )
    return Objectives.of(spec, space.table, (0, 100_000), [0.25] * 4)


def past(space: SearchSpace, number: int, proposal: Proposal, state: str, rungs: tuple[float, ...] = ()) -> PastTrial:
    plan = space.plan(proposal.point)
    seen = tuple(Observation(rung, 0, measure(plan, DEPTH, rung)) for rung in rungs)
    return PastTrial(number, proposal.point, proposal.configuration, state, seen, proposal.attributes)


def explained(proposal: Proposal, name: str) -> bool:
    """It says what made it, the sampler asked or the one that took its place, and why, in a sentence of its own."""
    known = proposal.strategy.split(":")[0] in {name, *SUBSTITUTES}
    return known and len(proposal.reason.split()) > 2 and proposal.reason != proposal.strategy


def mixed_history(space: SearchSpace, objectives: Objectives, sampler: Sampler, count: int) -> History:
    """`count` trials the way a job leaves them: full runs, short ones, failures, and the last two still running."""
    trials: list[PastTrial] = []
    for number in range(count):
        (proposal,) = sampler.ask(History(tuple(trials)), 1)
        if number >= count - 2:
            trials.append(past(space, number, proposal, "running", RUNGS[: number % 2]))
        elif number % 7 == 3:
            trials.append(past(space, number, proposal, "failed"))
        else:
            trials.append(past(space, number, proposal, "completed", RUNGS[: 1 + number % 3]))
    return History(tuple(trials))


def through_json(history: History) -> History:
    """As it comes back from a store."""

    def back(trial: PastTrial) -> PastTrial:
        stored = json.loads(json.dumps({"point": trial.point, "attributes": dict(trial.attributes)}))
        configuration = Configuration.model_validate_json(trial.configuration.model_dump_json())
        return replace(trial, point=stored["point"], attributes=stored["attributes"], configuration=configuration)

    return History(tuple(back(trial) for trial in history.trials))


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return space_of(CONDITIONAL)


@pytest.fixture(scope="module")
def objectives(space: SearchSpace) -> Objectives:
    return objectives_of(space)


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def history(name: str, space: SearchSpace, objectives: Objectives) -> History:
    return mixed_history(space, objectives, create(name, space, objectives, seed=3), 24)


@pytest.fixture
def sampler(name: str, space: SearchSpace, objectives: Objectives) -> Sampler:
    return create(name, space, objectives, seed=3)


def test_first_proposals_are_valid_and_explained(name: str, sampler: Sampler, space: SearchSpace) -> None:
    for proposal in sampler.ask(History(), 3):
        assert space.check(proposal.point) is None
        assert space.decode(proposal.point) == proposal.configuration
        assert explained(proposal, name)
        json.dumps(dict(proposal.attributes), allow_nan=False)


def test_proposals_are_new_whatever_became_of_the_others(
    name: str, sampler: Sampler, space: SearchSpace, history: History
) -> None:
    """Neither finished, running nor failed trials come again, nor does one proposal within an answer."""
    proposals = sampler.ask(history, 4)
    assert all(explained(proposal, name) for proposal in proposals)
    keys = [space.plan(trial.point).key for trial in history.trials]
    keys += [space.plan(proposal.point).key for proposal in proposals]
    assert len(proposals) == 4
    assert len(set(keys)) == len(history.trials) + 4


def test_the_same_stored_history_gives_the_same_proposals(
    name: str, sampler: Sampler, space: SearchSpace, objectives: Objectives, history: History
) -> None:
    """Across instances, whatever an instance was asked before, and through JSON."""
    first = sampler.ask(history, 2)
    sampler.ask(History(history.trials[:5]), 1)
    assert sampler.ask(history, 2) == first
    assert create(name, space, objectives, seed=3).ask(through_json(history), 2) == first


def test_another_seed_gives_another_start(
    name: str, sampler: Sampler, space: SearchSpace, objectives: Objectives
) -> None:
    other = create(name, space, objectives, seed=4)
    assert [p.point for p in other.ask(History(), 3)] != [p.point for p in sampler.ask(History(), 3)]


def test_proposals_keep_to_the_limits(name: str, objectives: Objectives) -> None:
    tight = space_of(CONDITIONAL, ParameterLimits(high=600))
    history = mixed_history(tight, objectives, create(name, tight, objectives, seed=0), 14)
    for proposal in create(name, tight, objectives, seed=0).ask(history, 3):
        assert tight.plan(proposal.point).trainable_parameters <= 600
        assert explained(proposal, name)


def test_a_tiny_space_is_used_up_and_then_nothing_is_proposed(name: str) -> None:
    tiny = space_of(TINY)
    objectives = objectives_of(tiny)
    sampler = create(name, tiny, objectives, seed=0)
    trials: list[PastTrial] = []
    while proposals := sampler.ask(History(tuple(trials)), 1):
        assert explained(proposals[0], name)
        trials.append(past(tiny, len(trials), proposals[0], "completed", (1.0,)))
    assert len({space_key(tiny, trial) for trial in trials}) == len(trials) == tiny.size() == 3 * DEPTH
    assert sampler.ask(History(tuple(trials)), 2) == []


def space_key(space: SearchSpace, trial: PastTrial) -> str:
    return space.plan(trial.point).key


@pytest.mark.parametrize(
    "metrics",
    [
        ("quality",),
        ("quality", "adapter_bytes", "training_memory"),
        ("quality", "macro_f1", "loss", "adapter_bytes", "trainable_parameters", "step_seconds"),
    ],
    ids=lambda metrics: str(len(metrics)),
)
def test_any_number_of_objectives(name: str, space: SearchSpace, metrics: tuple[str, ...]) -> None:
    objectives = objectives_of(space, *metrics)
    history = mixed_history(space, objectives, create("random", space, objectives, seed=0), 18)
    proposals = create(name, space, objectives, seed=0).ask(history, 2)
    assert all(space.check(proposal.point) is None and explained(proposal, name) for proposal in proposals)
    gains = [proposal.attributes.get(EXPECTED_GAIN) for proposal in proposals]
    assert all((gain is not None) == (name == "bayes" and 1 < len(metrics) < 5) for gain in gains)
    assert all(0 <= gain < np.prod(objectives.reference) for gain in gains if gain is not None)


def test_a_start_where_nothing_is_feasible(name: str, space: SearchSpace) -> None:
    """Constraints on learned metrics that no trial holds yet, and one that none can."""
    for bound in ({"metric": "adapter_bytes", "max": 900}, {"metric": "quality", "min": 0.999}):
        objectives = objectives_of(space, constraints=(bound,))
        history = mixed_history(space, objectives, create("random", space, objectives, seed=0), 16)
        proposals = create(name, space, objectives, seed=0).ask(history, 2)
        assert all(space.check(proposal.point) is None and explained(proposal, name) for proposal in proposals)


def test_a_history_of_failures_alone(name: str, space: SearchSpace, objectives: Objectives) -> None:
    sampler = create(name, space, objectives, seed=0)
    trials: list[PastTrial] = []
    for number in range(20):
        (proposal,) = sampler.ask(History(tuple(trials)), 1)
        assert explained(proposal, name)
        trials.append(past(space, number, proposal, "failed"))
    assert len({space_key(space, trial) for trial in trials}) == 20


def test_numbers_may_have_gaps(sampler: Sampler, space: SearchSpace, history: History) -> None:
    """Baselines are trials of the job too, and are not part of a sampler's history."""
    gaps = History(tuple(replace(trial, number=3 * trial.number + 2) for trial in history.trials))
    assert all(space.check(proposal.point) is None for proposal in sampler.ask(gaps, 2))


def test_an_unknown_sampler_names_the_known_ones(space: SearchSpace, objectives: Objectives) -> None:
    with pytest.raises(FieldError, match=r"sampler\.name.*random, sobol, tpe, nsga2, bayes"):
        create("anneal", space, objectives, seed=0)


def test_the_package_loads_no_tensor_library() -> None:
    code = "import sys, search.samplers, search.objectives, search.promote, search.stop, search.pareto; " + (
        "print([name for name in ('torch', 'botorch', 'optuna', 'peft') if name in sys.modules])"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
