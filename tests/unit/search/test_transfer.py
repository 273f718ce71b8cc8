"""Sources: what of them is carried over, what they say, and when they are no longer believed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from botorch.models import SingleTaskGP
from botorch.models.transforms.outcome import Standardize

from benchmarks.synthetic_peft import encoder_table, measure
from search.job import JobSpec
from search.objectives import Objectives
from search.samplers import create
from search.samplers.bayes.encoding import Encoding
from search.samplers.bayes.source_prior import SourcePrior, source_priors
from search.samplers.bayes.surrogate import Surrogate
from search.samplers.forecast import Forecaster, Standing
from search.samplers.sampler import History, Observation, PastTrial
from search.transfer.carried import carry, front_points
from search.transfer.source import Source, SourceTrial
from search.transfer.source_model import SourceModel
from search.transfer.transfer import SOURCE, SOURCE_TRIAL, Transfer
from space.configuration import Component, Configuration
from space.load import load_space
from space.parameters import ParameterLimits
from space.plan import Plan
from space.space import SearchSpace

DEPTH, DEEPER = 4, 8
SPEC = {
    "methods": ["lora", "serial-adapter"],
    "size": {"lora": [1, 2, 4, 8], "serial-adapter": ["d/16", "d/8"]},
    "layers": "bits",
    "learning_rate": [1e-4, 3e-2],
}
Measured = Callable[[Plan], dict[str, float]]


def good(plan: Plan) -> dict[str, float]:
    return measure(plan, DEEPER)


def bad(plan: Plan) -> dict[str, float]:
    """The same, turned around."""
    values = measure(plan, DEEPER)
    return {**values, "accuracy": 1 - values["accuracy"], "loss": 5 - values["loss"]}


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return load_space(SPEC, encoder_table(DEPTH, 32))


@pytest.fixture(scope="module")
def deeper() -> SearchSpace:
    return load_space(SPEC, encoder_table(DEEPER, 64))


@pytest.fixture(scope="module")
def objectives(space: SearchSpace) -> Objectives:
    spec = JobSpec.model_validate({"model": {"path": "model"}, "task": {"data": {"path": "rows.jsonl"}}})
    return Objectives.of(spec, space.table, (0, 20_000), [0.2] * 5)


def source_of(deeper: SearchSpace, name: str = "earlier", measured: Measured = good, trials: int = 25) -> Source:
    rng = np.random.default_rng(5)
    found = []
    for number in range(trials):
        point = deeper.sample(rng)
        values = measured(deeper.plan(point))
        found.append(
            SourceTrial(
                number=number,
                configuration=deeper.decode(point),
                observations=(Observation(1.0, 0, values),),
                reported=values,
                seeds=1,
            )
        )
    return Source(job=name, name=name, data="rows", model="deeper", trials=tuple(found))


def history_of(space: SearchSpace, trials: int, seed: int = 9, noise: float = 0.0) -> History:
    """Random trials of the job itself."""
    rng = np.random.default_rng(seed)
    points = [space.sample(rng) for _ in range(trials)]
    return History(
        tuple(
            PastTrial(
                number,
                point,
                space.decode(point),
                "completed",
                (Observation(1.0, 0, measure(space.plan(point), DEPTH, noise=noise)),),
            )
            for number, point in enumerate(points)
        )
    )


def test_configurations_follow_depth_and_width(space: SearchSpace, deeper: SearchSpace) -> None:
    last_half = tuple(layer >= DEEPER // 2 for layer in range(DEEPER))
    adapter = Configuration(
        components=(Component(method="serial-adapter", size=("d/8",)),), layers=last_half, learning_rate=1e-3
    )
    source = Source(
        job="a", name="a", data="rows", model="deeper",
        trials=(SourceTrial(number=3, configuration=adapter, observations=(), reported={"accuracy": 0.5}),),
    )  # fmt: skip
    (carried,) = carry(source, space).trials
    assert space.bits(carried.point) == (False, False, True, True)
    assert {entry.size for entry in space.plan(carried.point).entries} == {32 // 8}
    assert {entry.size for entry in deeper.plan(deeper.encode(adapter)).entries} == {64 // 8}


def test_what_the_space_does_not_hold_is_counted_and_said(space: SearchSpace, deeper: SearchSpace) -> None:
    source = source_of(deeper)
    narrow = load_space({**SPEC, "methods": ["lora"], "size": {"lora": [1, 2, 4, 8]}}, space.table)
    carried = carry(source, narrow)
    lora = [each for each in source.trials if each.configuration.components[0].method == "lora"]
    assert 0 < len(carried.trials) <= len(lora) < len(source.trials)
    assert len(carried.trials) + len(carried.refused) == len(source.trials)
    assert "the first of the others does not: trial" in carried.statement
    limited = SearchSpace(space.choices, space.table, ParameterLimits(high=300))
    kept = carry(source, limited).trials
    assert kept
    assert all(limited.plan(each.point).trainable_parameters <= 300 for each in kept)


def test_the_points_to_begin_with_are_the_sources_front_the_knee_first(
    space: SearchSpace, deeper: SearchSpace, objectives: Objectives
) -> None:
    source = source_of(deeper)
    carried = carry(source, space)
    chosen = front_points(carried, space, objectives, 4)
    values = {
        each.trial.number: (
            space.plan(each.point).trainable_parameters,
            -each.trial.reported["accuracy"],
        )
        for each in carried.trials
    }
    for each in chosen:
        own = values[each.trial.number]
        assert not any(a <= own[0] and b <= own[1] and (a, b) != own for a, b in values.values())
    assert len({each.trial.number for each in chosen}) == len(chosen) <= 4
    transfer = Transfer([source], space, objectives, warm_start=4)
    assert [each.number for each in transfer.candidates] == [each.trial.number for each in chosen]
    assert "knee of its front" in transfer.candidates[0].reason
    assert f"trial {chosen[0].trial.number} of job earlier" in transfer.candidates[0].reason


def test_a_metric_that_a_source_lacks_is_read_off_its_loss(
    space: SearchSpace, deeper: SearchSpace, objectives: Objectives
) -> None:
    def regression(plan: Plan) -> dict[str, float]:
        return {name: value for name, value in good(plan).items() if name not in ("accuracy", "macro_f1")}

    source = source_of(deeper, measured=regression)
    assert source.stands_for("accuracy") == "loss"
    transfer = Transfer([source], space, objectives, warm_start=3)
    assert len(transfer.candidates) == 3
    (verdict,) = transfer.verdicts(history_of(space, 12))
    assert verdict.agreement.kendall > 0.3


def test_a_source_that_agrees_is_kept_and_one_that_contradicts_is_dropped(
    space: SearchSpace, deeper: SearchSpace, objectives: Objectives
) -> None:
    transfer = Transfer([source_of(deeper, "friend"), source_of(deeper, "foe", bad)], space, objectives, warm_start=4)
    early = {each.source.job: each for each in transfer.verdicts(history_of(space, 3))}
    assert {each.state for each in early.values()} == {"learning"}
    assert "believed until 5 trials can be compared (3 so far)" in early["foe"].statement
    late = {each.source.job: each for each in transfer.verdicts(history_of(space, 12))}
    assert (late["friend"].state, late["friend"].weight) == ("kept", 1.0)
    assert (late["foe"].state, late["foe"].weight) == ("dropped", 0.0)
    assert late["foe"].agreement.high < 0.2
    assert late["foe"].statement.startswith("dropped after 12 trials: Kendall -")
    assert transfer.dropped(history_of(space, 12)) == {"foe"}


def test_of_two_sources_the_better_one_has_the_larger_say(
    space: SearchSpace, deeper: SearchSpace, objectives: Objectives
) -> None:
    def blurred(plan: Plan) -> dict[str, float]:
        return measure(plan, DEEPER, noise=0.25)

    sources = [source_of(deeper, "blurred", blurred), source_of(deeper, "clear")]
    found = {
        each.source.job: each.weight for each in Transfer(sources, space, objectives).verdicts(history_of(space, 20))
    }
    assert found["clear"] > 0.6
    assert sum(found.values()) == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["random", "sobol", "bayes"])
def test_any_sampler_begins_with_the_sources_points(
    name: str, space: SearchSpace, deeper: SearchSpace, objectives: Objectives
) -> None:
    transfer = Transfer([source_of(deeper)], space, objectives, warm_start=2)
    sampler = create(name, space, objectives, 3, 20, transfer=transfer)
    first = sampler.ask(History(), 3)
    assert [each.strategy for each in first[:2]] == ["transfer: front of earlier"] * 2
    assert [each.attributes[SOURCE_TRIAL] for each in first[:2]] == [each.number for each in transfer.candidates]
    assert not first[2].strategy.startswith("transfer")
    assert len({space.key(each.point) for each in first}) == 3
    # Asked one at a time after a restart, the same.
    history: tuple[PastTrial, ...] = ()
    for proposal in first:
        again = create(
            name, space, objectives, 3, 20, transfer=Transfer([source_of(deeper)], space, objectives, warm_start=2)
        ).ask(History(history), 1)
        assert again[0].point == proposal.point
        history += (
            PastTrial(len(history), proposal.point, proposal.configuration, "running", (), proposal.attributes),
        )


def test_a_dropped_sources_points_are_not_tried_any_more(
    space: SearchSpace, deeper: SearchSpace, objectives: Objectives
) -> None:
    transfer = Transfer([source_of(deeper, "foe", bad)], space, objectives, warm_start=20)
    sampler = create("random", space, objectives, 3, 40, transfer=transfer)
    assert sampler.ask(history_of(space, 2), 1)[0].attributes[SOURCE] == "foe"
    assert SOURCE not in sampler.ask(history_of(space, 12), 1)[0].attributes


def test_the_sources_points_are_forecast_as_the_samplers_own(
    space: SearchSpace, deeper: SearchSpace, objectives: Objectives
) -> None:
    transfer = Transfer([source_of(deeper)], space, objectives, warm_start=2)
    sampler = create("bayes", space, objectives, 3, 20, transfer=transfer)
    assert isinstance(sampler, Forecaster)
    measured = history_of(space, 20).trials
    short = replace(measured[0], number=20, observations=(replace(measured[0].observations[0], fidelity=0.25),))
    answer = sampler.ask_and_forecast(History((*measured, short)), 3, Standing(frozenset({20})))
    assert [each.strategy.split(":")[0] for each in answer.proposals] == ["transfer", "transfer", "bayes"]
    assert [each.trial for each in answer.forecasts or ()] == [20, 21, 22, 23]
    # Without a search of its own there is no ladder to have a say on.
    only = Transfer([source_of(deeper)], space, objectives, warm_start=2, only=True)
    assert not isinstance(create("bayes", space, objectives, 3, 20, transfer=only), Forecaster)


def test_where_nothing_else_is_wanted_it_ends_with_the_front(
    space: SearchSpace, deeper: SearchSpace, objectives: Objectives
) -> None:
    transfer = Transfer([source_of(deeper)], space, objectives, warm_start=50, only=True)
    found = create("bayes", space, objectives, 3, 50, transfer=transfer).ask(History(), 50)
    assert len(found) == len(transfer.candidates) < 25
    tried = tuple(
        PastTrial(number, each.point, each.configuration, "running", (), each.attributes)
        for number, each in enumerate(found)
    )
    assert create("bayes", space, objectives, 3, 50, transfer=transfer).ask(History(tried), 1) == []


def error(space: SearchSpace, objectives: Objectives, sources: list[Source], history: History) -> float:
    """Mean absolute error of the surrogate's predictions for points that it has not seen."""
    encoding = Encoding(space, objectives)
    transfer = Transfer(sources, space, objectives)
    priors = source_priors(transfer, history, encoding.inputs)
    surrogate = Surrogate(encoding, objectives, history, list(history.trials), priors=priors)
    new = history_of(space, 40, seed=77)
    rows = encoding.rows([trial.point for trial in new.trials])
    column = surrogate.metrics.index("accuracy")
    truth = [objectives.minimised(trial.observations[0].values)[0] for trial in new.trials]
    return float(np.abs(surrogate.mean(rows)[:, column].numpy() - truth).mean())


def test_the_surrogate_starts_from_what_a_source_measured(
    space: SearchSpace, deeper: SearchSpace, objectives: Objectives
) -> None:
    torch.manual_seed(0)
    history = history_of(space, 8)
    alone = error(space, objectives, [], history)
    assert error(space, objectives, [source_of(deeper, trials=40)], history) < 0.8 * alone
    # The opposite is dropped by twelve trials, and then the model is the plain one to the last digit.
    longer = history_of(space, 12)
    assert error(space, objectives, [source_of(deeper, "foe", bad)], longer) == error(space, objectives, [], longer)


def test_what_is_taken_off_the_values_is_added_to_the_predictions() -> None:
    rng = np.random.default_rng(0)
    X = rng.random((20, 3))
    model = SourceModel(X, 2 * X[:, 0])
    rows = torch.from_numpy(np.column_stack([X, np.zeros(20)]))
    Y = torch.from_numpy(5 + 3 * X[:, :1])
    prior = SourcePrior([(1.0, model)], inputs=3)
    left = prior.taken_off(Y, rows)
    assert float(left.std()) < 0.25 * float(Y.std())
    assert torch.equal(prior(Y, X=rows)[0], left)
    assert torch.allclose(prior.untransform(left, X=rows)[0], Y)


@pytest.mark.parametrize("members", [1, 3])
def test_any_kind_of_model_predicts_the_whole(members: int) -> None:
    """A single process and an ensemble, whose posterior has a dimension of members."""
    X = torch.from_numpy(np.random.default_rng(0).random((12, 3)))
    prior = SourcePrior([(1.0, SourceModel(X.numpy(), 2 * X[:, 0].numpy()))], inputs=3)
    Y = 5 + 3 * X[:, :1]
    left = prior.taken_off(Y, X)
    shape = torch.Size([members]) if members > 1 else torch.Size()
    model = SingleTaskGP(
        X.expand(*shape, 12, 3), left.expand(*shape, 12, 1), outcome_transform=Standardize(1, batch_shape=shape)
    )
    new = torch.from_numpy(np.random.default_rng(1).random((4, 3))).expand(*shape, 4, 3)
    with torch.no_grad():
        rest = model.posterior(new)
        prior.put_before(model)
        whole = model.posterior(new)
    assert torch.allclose(whole.mean - rest.mean, prior.untransform(torch.zeros_like(rest.mean), X=new)[0])
    assert torch.allclose(whole.variance, rest.variance)


def test_a_source_that_points_the_wrong_way_has_no_slope() -> None:
    rng = np.random.default_rng(0)
    X = rng.random((20, 3))
    prior = SourcePrior([(1.0, SourceModel(X, 2 * X[:, 0]))], inputs=3)
    Y = torch.from_numpy(-3 * X[:, :1])
    assert torch.equal(prior.taken_off(Y, torch.from_numpy(X)), Y)
    assert prior.slope == 0.0


def test_behind_sources_a_sampler_forecasts_as_before(
    space: SearchSpace, deeper: SearchSpace, objectives: Objectives
) -> None:
    transfer = Transfer([source_of(deeper)], space, objectives, warm_start=2)
    sampler = create("bayes", space, objectives, 3, 20, transfer=transfer)
    assert isinstance(sampler, Forecaster)
    history = history_of(space, 12)
    answer = sampler.ask_and_forecast(history, 2, Standing())
    assert [each.point for each in answer.proposals] == [each.point for each in sampler.ask(history, 2)]
    assert [each.trial for each in answer.forecasts or []] == [12, 13]
    only = Transfer([source_of(deeper)], space, objectives, warm_start=2, only=True)
    assert not isinstance(create("bayes", space, objectives, 3, 2, transfer=only), Forecaster)
