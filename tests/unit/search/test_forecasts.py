"""Forecasts: known posteriors, errors that the model is told of, and that nothing with a chance is dropped."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import norm

from benchmarks.synthetic_peft import OPTIMUM, encoder_table, measure
from search.job import JobSpec
from search.objectives import Objectives
from search.pareto import non_dominated
from search.samplers.bayes.bayes import BayesSampler
from search.samplers.bayes.encoding import Encoding
from search.samplers.bayes.forecasting import entering
from search.samplers.bayes.honesty import careful, errors, typical
from search.samplers.bayes.surrogate import Surrogate
from search.samplers.forecast import Answer, Forecaster, Standing
from search.samplers.past import measured
from search.samplers.random import RandomSampler
from search.samplers.sampler import History, Observation, PastTrial
from search.worth import hopeless
from space.load import load_space
from space.space import SearchSpace

DEPTH = 4
LOW = 0.25
NOISE = 0.02


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return load_space({"methods": list(OPTIMUM), "layers": "last"}, encoder_table(DEPTH, 64))


@pytest.fixture(scope="module")
def objectives(space: SearchSpace) -> Objectives:
    spec = {
        "model": {"path": "model"},
        "task": {"data": {"path": "rows.jsonl"}},
        "objectives": [{"metric": "quality"}, {"metric": "trainable_parameters"}],
    }
    return Objectives.of(JobSpec.model_validate(spec), space.table, (0, 100_000), [0.25] * 4)


def history(space: SearchSpace, count: int, full: int, seed: int) -> History:
    """`count` random configurations at the low rung, of which the `full` of lowest loss there were trained in full."""
    rng = np.random.default_rng(seed)
    points = [space.sample(rng) for _ in range(count)]
    short = [measure(space.plan(point), DEPTH, LOW, NOISE) for point in points]
    best = set(np.argsort([values["loss"] for values in short])[:full].tolist())
    trials = []
    for number, (point, low) in enumerate(zip(points, short, strict=True)):
        seen = [Observation(LOW, 0, low)]
        if number in best:
            seen.append(Observation(1.0, 0, measure(space.plan(point), DEPTH, 1.0, NOISE)))
        trials.append(PastTrial(number, point, space.decode(point), "completed", tuple(seen)))
    return History(tuple(trials))


def waiting(known: History) -> Standing:
    return Standing(frozenset(trial.number for trial in known.trials if len(trial.observations) == 1))


def test_the_chance_and_the_gain_of_a_normal_are_the_closed_forms() -> None:
    """One learned objective, N(0.5, 0.1²), beside a known cost; one point of the front at the same cost."""
    draws = norm(0.5, 0.1).ppf((np.arange(4000) + 0.5) / 4000)
    values = np.empty((4000, 2, 2))
    values[:, 0] = np.column_stack([draws, np.full(4000, 0.3)])
    values[:, 1] = [0.45, 0.3]
    share, gain = entering(values, np.ones((4000, 2), dtype=bool), 1, np.array([1.0, 1.0]))
    z = (0.45 - 0.5) / 0.1
    assert share[0] == pytest.approx(norm.cdf(z), abs=1e-3)
    assert gain[0] == pytest.approx(0.1 * (z * norm.cdf(z) + norm.pdf(z)) * 0.7, rel=1e-2)


def test_what_breaks_a_constraint_neither_enters_nor_bars_the_way() -> None:
    values = np.array([[[0.5, 0.5], [0.6, 0.6], [0.1, 0.1]]])
    reference = np.array([1.0, 1.0])
    share, gain = entering(values, np.array([[False, True, False]]), 2, reference)
    assert share.tolist() == [0.0, 1.0]
    assert gain == pytest.approx([0.0, 0.16])
    share, _ = entering(values, np.array([[True, True, True]]), 2, reference)
    assert share.tolist() == [0.0, 0.0]


def test_each_errors_is_that_of_the_model_without_that_run(space: SearchSpace, objectives: Objectives) -> None:
    """The closed form against the same model, conditioned on all rows but one."""
    known = history(space, 20, 6, seed=3)
    encoding = Encoding(space, objectives)
    surrogate = Surrogate(encoding, objectives, known, measured(known, objectives))
    (found,) = errors(surrogate, encoding.inputs - 1)
    (model,) = surrogate.model.models
    X, Y = model.train_inputs[0], model.train_targets
    expected = []
    for row in np.flatnonzero((X[:, encoding.inputs - 1] == 1.0).numpy()):
        rest = torch.arange(len(X)) != row
        with torch.no_grad():
            K = model.covar_module(X).to_dense() + model.likelihood.noise * torch.eye(len(X), dtype=X.dtype)
            gain = torch.linalg.solve(K[rest][:, rest], K[rest, row])
            centre = model.mean_module(X)
            mean = centre[row] + gain @ (Y - centre)[rest]
            deviation = (K[row, row] - gain @ K[rest, row]).sqrt()
        expected.append(float(((Y[row] - mean) / deviation).abs()))
    assert len(found) == 6
    assert found == pytest.approx(expected, rel=1e-4)


def test_deviations_are_stretched_never_narrowed() -> None:
    assert typical(np.array([3.0, 3.0])) == pytest.approx(3.0)
    assert typical(np.array([0.1])) == typical(np.array([])) == careful(np.array([])) == 1.0
    assert careful(np.array([0.5, 4.0])) == pytest.approx(4.0 / 1.959964, rel=1e-5), "the widest, while few are known"
    many = np.concatenate([np.full(98, 0.5), [8.0, 9.0]])
    assert careful(many) == 1.0


def test_nothing_that_belongs_to_the_front_is_dropped(space: SearchSpace, objectives: Objectives) -> None:
    """Over four histories, no trial that would be on the front when trained in full is dropped; many others are."""
    lost, kept, dropped = 0, 0, 0
    for seed in range(4):
        known = history(space, 40, 12, seed)
        sampler = BayesSampler(space, objectives, 0)
        answer = sampler.ask_and_forecast(known, 0, waiting(known))
        assert answer.forecasts is not None
        truth = {
            trial.number: objectives.minimised(measure(space.plan(trial.point), DEPTH, 1.0, NOISE))
            for trial in known.trials
        }
        numbers = list(truth)
        on_front = {numbers[row] for row in np.flatnonzero(non_dominated(np.array(list(truth.values()))))}
        gone = {each.trial for each in answer.forecasts if hopeless(each, answer.full_runs)}
        assert all(each.probability > 0 for each in answer.forecasts if each.gain > 0)
        lost += len(gone & on_front)
        kept += len(on_front & waiting(known).waiting)
        dropped += len(gone)
    assert lost == 0
    assert kept >= 2, "fronts had members among those that waited"
    assert dropped >= 8


def test_the_promising_gain_more_than_the_rest(space: SearchSpace, objectives: Objectives) -> None:
    known = history(space, 40, 10, seed=21)
    answer = BayesSampler(space, objectives, 0).ask_and_forecast(known, 0, waiting(known))
    assert answer.forecasts is not None
    assert [each.trial for each in answer.forecasts] == sorted(waiting(known).waiting)
    done = [objectives.minimised(t.observations[-1].values) for t in known.trials if len(t.observations) == 2]
    truth = []
    for each in answer.forecasts:
        own = objectives.minimised(measure(space.plan(known.trials[each.trial].point), DEPTH))
        truth.append(bool(non_dominated(np.array([own, *done]))[0]))
    chances = np.array([each.probability for each in answer.forecasts])
    assert 0 < sum(truth) < len(truth)
    assert chances[truth].mean() > 2 * chances[np.logical_not(truth)].mean()


def test_same_history_same_answer_and_a_proposal_is_forecast_with_the_rest(
    space: SearchSpace, objectives: Objectives
) -> None:
    known = history(space, 24, 6, seed=2)
    first = BayesSampler(space, objectives, 5).ask_and_forecast(known, 1, waiting(known))
    assert first == BayesSampler(space, objectives, 5).ask_and_forecast(known, 1, waiting(known))
    assert first.proposals == BayesSampler(space, objectives, 5).ask(known, 1)
    assert first.forecasts is not None
    assert first.forecasts[-1].trial == 24
    assert first.forecasts[-1].fidelity == 0.0
    assert first.full_runs == 6


def test_a_run_under_way_to_the_end_counts_as_one_of_the_front(space: SearchSpace, objectives: Objectives) -> None:
    known = history(space, 24, 6, seed=2)
    sampler = BayesSampler(space, objectives, 0)
    before = sampler.ask_and_forecast(known, 0, waiting(known)).forecasts
    assert before is not None
    ahead = max(before, key=lambda each: each.gain)
    rest = waiting(known).waiting - {ahead.trial}
    after = sampler.ask_and_forecast(known, 0, Standing(rest, frozenset({ahead.trial}))).forecasts
    assert after is not None
    assert sum(each.gain for each in after) < sum(each.gain for each in before if each.trial != ahead.trial)


def test_a_baseline_bars_the_way_and_is_not_proposed_again(space: SearchSpace, objectives: Objectives) -> None:
    known = history(space, 24, 6, seed=2)
    sampler = BayesSampler(space, objectives, 0)
    alone = sampler.ask_and_forecast(known, 1, waiting(known))
    point = alone.proposals[0].point
    reached = {**measure(space.plan(point), DEPTH, 1.0, NOISE), "accuracy": 0.97, "loss": 0.1}
    seeds = tuple(Observation(1.0, seed, reached) for seed in (1, 2))
    baseline = PastTrial(99, point, alone.proposals[0].configuration, "completed", seeds)
    beside = sampler.ask_and_forecast(replace(known, others=(baseline,)), 1, waiting(known))
    assert space.key(beside.proposals[0].point) != space.key(point)
    assert "from 25 measured" in beside.proposals[0].reason
    assert alone.forecasts is not None
    assert beside.forecasts is not None
    gains = [{each.trial: each.gain for each in told} for told in (alone.forecasts, beside.forecasts)]
    shared = set(gains[0]) & waiting(known).waiting
    assert sum(gains[1][number] for number in shared) < 0.5 * sum(gains[0][number] for number in shared)


def test_no_forecast_before_there_is_a_front(space: SearchSpace, objectives: Objectives) -> None:
    known = history(space, 24, 1, seed=2)
    answer = BayesSampler(space, objectives, 0).ask_and_forecast(known, 0, waiting(known))
    assert answer == Answer([])
    assert isinstance(BayesSampler(space, objectives, 0), Forecaster)
    assert not isinstance(RandomSampler(space, objectives, 0), Forecaster)
