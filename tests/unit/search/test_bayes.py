"""The parts of the `bayes` sampler: exact known costs, fidelity as an input, failures, feasibility, warm starts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest
import torch
from botorch.models.model_list_gp_regression import ModelListGP

from benchmarks.synthetic_peft import encoder_table, measure
from search.job import JobSpec
from search.objectives import Objectives
from search.samplers import create
from search.samplers.as_optuna.inferred_space import InferredSpace
from search.samplers.bayes.acquisition import acquisition
from search.samplers.bayes.bayes import BayesSampler
from search.samplers.bayes.candidates import best_candidate
from search.samplers.bayes.design import initial_trials
from search.samplers.bayes.encoding import Encoding
from search.samplers.bayes.refinement import refined
from search.samplers.bayes.surrogate import FAILURE, HYPERPARAMETERS, REFIT_EVERY, Surrogate, starting_hyperparameters
from search.samplers.past import measured
from search.samplers.sampler import History, Observation, PastTrial
from space.load import load_space
from space.space import SearchSpace
from space.stored import stored_bytes

# The sampler silences these around its own calls.
pytestmark = pytest.mark.filterwarnings("ignore::linear_operator.utils.warnings.NumericalWarning")

DEPTH = 3
SPEC = {"methods": ["lora", "ia3", "serial-adapter"], "layers": "bits", "size": {"lora": [1, 2, 4, 8]}}


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return load_space(SPEC, encoder_table(DEPTH, 32))


def build(space: SearchSpace, metrics: Sequence[str], *constraints: dict) -> Objectives:
    spec = {
        "model": {"path": "model"},
        "task": {"data": {"path": "rows.jsonl"}},
        "objectives": [{"metric": metric} for metric in metrics],
        "constraints": constraints,
    }
    return Objectives.of(JobSpec.model_validate(spec), space.table, (0, 20_000), [0.25] * 4, space.known_metrics)


@pytest.fixture(scope="module")
def two(space: SearchSpace) -> Objectives:
    return build(space, ["quality", "trainable_parameters"])


def tried(space: SearchSpace, number: int, point: dict, *rungs: float, state: str = "completed") -> PastTrial:
    plan = space.plan(point)
    seen = tuple(Observation(rung, 0, measure(plan, DEPTH, rung)) for rung in rungs)
    return PastTrial(number, point, space.decode(point), state, seen)


@pytest.fixture(scope="module")
def history(space: SearchSpace) -> History:
    rng = np.random.default_rng(0)
    rungs = [(0.11,), (0.11, 0.33), (0.11, 0.33, 1.0)]
    return History(tuple(tried(space, number, space.sample(rng), *rungs[number % 3]) for number in range(24)))


def surrogate_of(space: SearchSpace, objectives: Objectives, history: History) -> tuple[Surrogate, Encoding]:
    encoding = Encoding(space, objectives)
    return Surrogate(encoding, objectives, history, measured(history, objectives)), encoding


def test_the_design_is_ten_to_sixteen_trials() -> None:
    assert [initial_trials(3, 1), initial_trials(20, 2), initial_trials(60, 4)] == [10, 14, 16]
    assert [initial_trials(20, 2, trials) for trials in (8, 40, 200)] == [5, 10, 14]


@pytest.mark.parametrize(("first", "size"), [(0.11, 10), (0.85, 9), (0.9, 8), (1.0, 8)])
def test_a_design_costs_eight_full_runs_at_most(space: SearchSpace, two: Objectives, first: float, size: int) -> None:
    """Before a run has ended, nobody knows that it is long."""
    sampler = BayesSampler(space, two, seed=0)
    rng = np.random.default_rng(0)
    trials = [tried(space, number, space.sample(rng), first) for number in range(size)]

    def strategy(done: int) -> str:
        return sampler.ask(History(tuple(trials[:done])), 1)[0].strategy

    assert strategy(0) == f"sobol: initial design 1 of {initial_trials(len(space.dimensions), 1)}"
    assert strategy(size - 1) == f"sobol: initial design {size} of {size}"
    assert strategy(size).startswith("bayes: ")


def test_known_costs_are_never_modelled(space: SearchSpace, history: History) -> None:
    surrogate, encoding = surrogate_of(
        space, build(space, ["quality", "trainable_parameters", "adapter_bytes"]), history
    )
    assert surrogate.metrics == ("accuracy", "adapter_bytes")
    points = [trial.point for trial in history.trials]
    values = encoding.rows(points)[:, encoding.inputs :].squeeze(-1).tolist()
    exact = [np.log10(1 + space.plan(point).trainable_parameters) / np.log10(1 + 20_000) for point in points]
    assert values == pytest.approx(exact)


@pytest.fixture(scope="module")
def sized() -> SearchSpace:
    """The same space on a model whose tensors' names in files are known: it knows the bytes of an adapter."""
    return load_space(SPEC, encoder_table(DEPTH, 32).model_copy(update={"backbone_path": "bert"}))


def test_bytes_are_exact_where_the_space_knows_them(sized: SearchSpace, history: History) -> None:
    metrics = ["quality", "adapter_bytes"]
    surrogate, encoding = surrogate_of(sized, build(sized, metrics), history)
    assert surrogate.metrics == ("accuracy",)
    points = [trial.point for trial in history.trials]
    ceiling = build(sized, metrics).objectives[1].scale.worst
    exact = [np.log10(1 + stored_bytes(sized.plan(point), sized.table)) / np.log10(1 + ceiling) for point in points]
    assert encoding.rows(points)[:, -1].tolist() == pytest.approx(exact)


def test_a_limit_on_bytes_that_no_trial_holds_is_found(sized: SearchSpace, history: History) -> None:
    bytes_of = partial(sized.known, metric="adapter_bytes")
    limit = min(bytes_of(trial.point) for trial in history.trials) - 1
    objectives = build(sized, ["quality", "adapter_bytes"], {"metric": "adapter_bytes", "max": limit})
    (proposal,) = BayesSampler(sized, objectives, seed=0).ask(history, 1)
    assert proposal.strategy == "limits: nearest to what is allowed"
    assert bytes_of(proposal.point) <= limit
    holds = History((*history.trials, tried(sized, len(history.trials), proposal.point, 1.0)))
    (following,) = BayesSampler(sized, objectives, seed=0).ask(holds, 1)
    assert following.strategy == "bayes: qLogNEHVI"
    assert bytes_of(following.point) <= limit


def test_a_limit_that_nothing_holds_is_approached(sized: SearchSpace, history: History) -> None:
    objectives = build(sized, ["quality", "adapter_bytes"], {"metric": "adapter_bytes", "max": 10})
    (proposal,) = BayesSampler(sized, objectives, seed=0).ask(history, 1)
    assert proposal.reason.endswith("this is nearest")
    assert sized.known(proposal.point, "adapter_bytes") < min(
        sized.known(trial.point, "adapter_bytes") for trial in history.trials
    )


def test_a_short_run_is_not_taken_for_a_full_one(space: SearchSpace, two: Objectives, history: History) -> None:
    """The model expects more of the full run than the short run measured, where only the lowest rung was seen."""
    surrogate, encoding = surrogate_of(space, two, history)
    good = [t for t in history.trials if t.best_observation.values["accuracy"] > 0.4 and len(t.observations) == 1]
    assert good
    short = [two.minimised(trial.observations[0].values)[0] for trial in good]
    full = surrogate.mean(encoding.rows([trial.point for trial in good])).squeeze(-1)
    assert (full.numpy() < np.array(short)).all(), "minimised: smaller is better"


def test_failures_are_modelled_once_there_are_several(space: SearchSpace, two: Objectives, history: History) -> None:
    fails = [
        tried(space, 24 + i, point, state="failed")
        for i, point in enumerate(p for p in many(space, 60) if p["method"] == "ia3")
    ]
    assert FAILURE not in surrogate_of(space, two, History(history.trials + tuple(fails[:1])))[0].metrics
    learned = History(tuple(t for t in history.trials if t.point["method"] != "ia3") + tuple(fails))
    surrogate, encoding = surrogate_of(space, two, learned)
    place = surrogate.metrics.index(FAILURE)
    fresh = many(space, 200)[100:]
    risk = surrogate.mean(encoding.rows(fresh))[:, place]
    is_ia3 = torch.tensor([point["method"] == "ia3" for point in fresh])
    assert float(risk[is_ia3].mean()) > float(risk[~is_ia3].mean()) + 0.5


def many(space: SearchSpace, count: int) -> list[dict]:
    rng = np.random.default_rng(1)
    return [space.sample(rng) for _ in range(count)]


@pytest.mark.parametrize(
    ("metrics", "constraints", "name"),
    [
        (["quality"], [], "qLogNEI"),
        (["quality", "trainable_parameters"], [], "qLogNEHVI"),
        (["quality", "trainable_parameters", "adapter_bytes", "training_memory"], [], "qLogNEHVI"),
        (["quality", "loss", "macro_f1", "adapter_bytes", "training_memory"], [], "qLogNParEGO"),
        (["quality", "trainable_parameters"], [{"metric": "quality", "min": 0.999}], "qLogProbabilityOfFeasibility"),
        (["quality", "trainable_parameters"], [{"metric": "quality", "min": 0.3}], "qLogNEHVI"),
    ],
)
def test_the_acquisition_suits_the_objectives(
    space: SearchSpace, history: History, metrics: list[str], constraints: list[dict], name: str
) -> None:
    objectives = build(space, metrics, *constraints)
    surrogate, encoding = surrogate_of(space, objectives, history)
    rows = encoding.rows([trial.point for trial in history.trials])
    running = encoding.rows(many(space, 2))
    chosen = acquisition(surrogate, encoding, objectives, rows, running, np.random.default_rng(0))
    assert chosen.name == name
    assert chosen.feasible == (name != "qLogProbabilityOfFeasibility")
    with torch.no_grad():
        values = chosen.function(encoding.rows(many(space, 5)).unsqueeze(-2))
    assert values.shape == (5,)
    assert bool(values.isfinite().all())


@pytest.mark.parametrize("metrics", [["quality", "trainable_parameters"], ["quality", "adapter_bytes"]])
def test_candidates_beside_shared_points_have_botorchs_own_posterior(
    space: SearchSpace, history: History, metrics: list[str]
) -> None:
    surrogate, encoding = surrogate_of(space, build(space, metrics), history)
    front = encoding.rows(many(space, 5))
    X = torch.cat([front.expand(20, 5, -1), encoding.rows(many(space, 25)[5:]).unsqueeze(1)], dim=1)
    with torch.no_grad():
        ours, theirs = surrogate.model.posterior(X), ModelListGP.posterior(surrogate.model, X)
        assert torch.allclose(ours.mean, theirs.mean, atol=1e-8)
        assert torch.allclose(ours.distribution.covariance_matrix, theirs.distribution.covariance_matrix, atol=1e-6)


def test_a_running_point_is_worth_little_more(space: SearchSpace, two: Objectives, history: History) -> None:
    surrogate, encoding = surrogate_of(space, two, history)
    rows = encoding.rows([trial.point for trial in history.trials])
    points = encoding.rows(many(space, 60))

    def values(running: torch.Tensor) -> torch.Tensor:
        chosen = acquisition(surrogate, encoding, two, rows, running, np.random.default_rng(0))
        with torch.no_grad():
            return chosen.function(points.unsqueeze(-2))

    alone = values(encoding.rows([]))
    best = int(alone.argmax())
    assert float(values(points[best : best + 1])[best]) < float(alone[best]) - 1


def test_a_constraint_on_a_known_cost_filters_candidates(space: SearchSpace, history: History) -> None:
    objectives = build(space, ["quality", "trainable_parameters"], {"metric": "trainable_parameters", "max": 300})
    for proposal in create("bayes", space, objectives, 0).ask(history, 3):
        assert proposal.strategy == "bayes: qLogNEHVI"
        assert space.plan(proposal.point).trainable_parameters <= 300


def test_constraints_turn_the_search_to_where_they_hold(space: SearchSpace) -> None:
    """Nothing tried holds the bound on bytes; the proposals go below all that was tried."""
    objectives = build(space, ["quality", "trainable_parameters"], {"metric": "adapter_bytes", "max": 1800})
    large = [p for p in many(space, 200) if measure(space.plan(p), DEPTH)["adapter_bytes"] > 3000][:16]
    past = History(tuple(tried(space, number, point, 1.0) for number, point in enumerate(large)))
    (proposal,) = create("bayes", space, objectives, 0).ask(past, 1)
    assert proposal.strategy == "bayes: qLogProbabilityOfFeasibility"
    assert "no trial is expected to hold every constraint yet" in proposal.reason
    assert measure(space.plan(proposal.point), DEPTH)["adapter_bytes"] < 3000


def test_the_next_fit_starts_from_what_the_history_keeps(space: SearchSpace, two: Objectives, history: History) -> None:
    sampler = create("bayes", space, two, 0)
    (proposal,) = sampler.ask(history, 1)
    kept = proposal.attributes[HYPERPARAMETERS]
    assert set(kept) == {"accuracy"}
    last = PastTrial(24, proposal.point, proposal.configuration, "running", (), proposal.attributes)
    assert starting_hyperparameters(History((*history.trials, last))) == kept
    refit = PastTrial(2 * REFIT_EVERY - 1, last.point, last.configuration, "running", (), proposal.attributes)
    assert starting_hyperparameters(History((*history.trials, refit))) == {}


def test_the_best_candidate_is_found_among_neighbours(space: SearchSpace) -> None:
    """A score with one peak, far from where the search starts."""
    target = {"method": "lora", "lora.size": 8}

    def score(points: Sequence[dict]) -> np.ndarray:
        return np.array(
            [
                sum(point.get(name) == value for name, value in target.items())
                - abs(np.log10(point.get("lora.learning_rate", 1.0) / 1e-3))
                for point in points
            ]
        )

    asked: list[list[dict]] = []

    def refine(points: Sequence[dict]) -> list[dict]:
        asked.append(list(points))
        return [{**points[0], "lora.learning_rate": 1e-3}]

    start = many(space, 2)
    found = best_candidate(space, score, start, np.random.default_rng(0), set(), lambda _: True, refine)
    assert found is not None
    assert found[1] == 2, "the best that was found, refined"
    assert score(asked[0])[0] > 1.9
    assert list(score(asked[0])) == sorted(score(asked[0]), reverse=True)
    everything = {space.plan(found[0]).key}
    again = best_candidate(space, score, [found[0]], np.random.default_rng(0), everything, lambda _: True, refine)
    assert again is not None
    assert space.plan(again[0]).key not in everything


@pytest.mark.parametrize("metrics", [["quality", "trainable_parameters"], ["quality", "training_memory"]])
def test_refined_learning_rates_stand_on_a_hilltop(space: SearchSpace, history: History, metrics: list[str]) -> None:
    objectives = build(space, metrics)
    surrogate, encoding = surrogate_of(space, objectives, history)
    rows = encoding.rows([trial.point for trial in history.trials])
    chosen = acquisition(surrogate, encoding, objectives, rows, encoding.rows([]), np.random.default_rng(0))

    def values(points: Sequence[dict]) -> np.ndarray:
        with torch.no_grad():
            return chosen.function(encoding.rows(points).unsqueeze(-2)).numpy()

    points = many(space, 6)
    moved = refined(points, space, encoding, chosen.function)
    origin = {tuple(p[name] for name in p if not name.endswith("rate")): p for p in points}
    gained = 0.0
    for there in moved:
        here = origin[tuple(there[name] for name in there if not name.endswith("rate"))]
        ((column, name),) = space.continuous(there).items()
        (before,), (after,) = values([here]), values([there])
        gained += after - before
        at = space.features([there])[0, column]
        around = [space.moved(there, {name: min(max(at + step, 0.0), 1.0)}) for step in (-0.02, 0.02)]
        assert values(around).max() < after + 0.02, "the logarithm of the acquisition function"
        assert after > before - 1e-3
    assert len(moved) == len(points)
    assert gained > 0.5


def test_what_has_no_continuous_number_is_left_out(two: Objectives, history: History, space: SearchSpace) -> None:
    encoding = Encoding(space, two)
    surrogate, _ = surrogate_of(space, two, history)
    rows = encoding.rows([trial.point for trial in history.trials])
    chosen = acquisition(surrogate, encoding, two, rows, encoding.rows([]), np.random.default_rng(0))
    still = InferredSpace([])
    assert refined([], space, encoding, chosen.function) == []
    assert refined([{}], still, encoding, chosen.function) == []


def test_botorch_does_not_compile_its_kernel() -> None:
    """Its loader must find that it was tried (`search.samplers.bayes.acquisition`); fails if BoTorch renames it."""
    from botorch.acquisition.multi_objective import logei

    assert "_load_attempted" in vars(logei)
    logei._try_load_fused_kernel()
    assert logei._C is None
