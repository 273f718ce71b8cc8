"""What a study's trials tell of its space: order, ranges, conditions, features; and points drawn from it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.samplers.as_optuna.inferred_space import InferredSpace, suggested_order
from search.samplers.as_optuna.parameter import Parameter, value_at

UNIT = FloatDistribution(0.0, 1.0)
METHOD = CategoricalDistribution(("lora", "prefix", "head"))
DISTRIBUTIONS: dict[str, BaseDistribution] = {
    "method": METHOD,
    "rank": IntDistribution(1, 64, log=True),
    "tied": CategoricalDistribution((None, True)),
    "alpha": UNIT,
    "count": IntDistribution(1, 4),
    **{f"size{index}": IntDistribution(2, 12, step=5) for index in range(4)},
    "rate": FloatDistribution(1e-5, 1e-1, log=True),
    "dropout": FloatDistribution(0.0, 0.5),
    "noise": UNIT,
}


def asked(rng: np.random.Generator) -> dict[str, Any]:
    """One run of an objective with nested conditions, a loop over a suggested count, and a threshold on a number."""
    params: dict[str, Any] = {}

    def suggest(name: str) -> Any:
        distribution = DISTRIBUTIONS[name]
        params[name] = distribution.to_external_repr(float(value_at(distribution, rng.random())))
        return params[name]

    method = suggest("method")
    if method == "lora":
        suggest("rank")
        if suggest("tied") is None:
            suggest("alpha")
    elif method == "prefix":
        for index in range(suggest("count")):
            suggest(f"size{index}")
    suggest("rate")
    if suggest("dropout") > 0.25:
        suggest("noise")
    return params


def trial(
    params: dict[str, Any],
    state: TrialState = TrialState.COMPLETE,
    distributions: dict[str, BaseDistribution] | None = None,
) -> FrozenTrial:
    known = {name: (distributions or DISTRIBUTIONS)[name] for name in params}
    values = [0.0] if state == TrialState.COMPLETE else None
    return create_trial(params=params, distributions=known, state=state, values=values)


@pytest.fixture(scope="module")
def space() -> InferredSpace:
    rng = np.random.default_rng(0)
    return InferredSpace([trial(asked(rng)) for _ in range(120)])


def consistent(point: dict[str, Any]) -> bool:
    """Whether the objective itself would ask for just these parameters."""
    wanted = {"method", "rate", "dropout"}
    if point["method"] == 0:
        wanted |= {"rank", "tied"} | ({"alpha"} if point["tied"] == 0 else set())
    elif point["method"] == 1:
        wanted |= {"count"} | {f"size{index}" for index in range(point["count"])}
    return set(point) - {"noise"} == wanted


def test_conditions_are_learned(space: InferredSpace) -> None:
    """Nested ones, a loop's, and a threshold's as exactly as the trials show it."""
    rng = np.random.default_rng(1)
    points = [space.sample(rng) for _ in range(300)]
    assert all(map(consistent, points))
    assert all(map(space.complete, points))
    sure = [point for point in points if abs(point["dropout"] - 0.25) > 0.02]
    assert all(("noise" in point) == (point["dropout"] > 0.25) for point in sure)


def test_neighbours_keep_to_the_conditions_and_are_new(space: InferredSpace) -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        point = space.sample(rng)
        near = space.neighbours(point, rng, 12)
        assert len({space.key(each) for each in (point, *near)}) == 13
        assert all(map(consistent, near))


def test_continuous_numbers_move_by_themselves_to_where_their_features_say(space: InferredSpace) -> None:
    rng = np.random.default_rng(6)
    for _ in range(30):
        point = space.sample(rng)
        columns = space.continuous(point)
        assert set(columns.values()) == {"rate", "dropout", "noise", "alpha"} & set(point)
        (before,) = space.features([point])
        places = {name: before[column] if name == "dropout" else 0.3 for column, name in columns.items()}
        moved = space.moved(point, places)
        assert space.features([moved])[0, list(columns)] == pytest.approx(list(places.values()))
        assert consistent(moved)
        stays = set(point) - set(columns.values())
        assert {name: moved[name] for name in stays} == {name: point[name] for name in stays}
    below = next(p for p in (space.sample(rng) for _ in range(100)) if p["dropout"] < 0.2)
    assert space.moved(below, {"dropout": 0.9})["noise"] == 0.5, "what is switched on is there"
    space.fix({"rate": 1e-3})
    try:
        assert "rate" not in space.continuous(below).values()
    finally:
        space.fix({})


def test_features_are_finite_flags_and_positions(space: InferredSpace) -> None:
    """Inactive numbers stand at one constant; a condition that no choice's own flag states has a flag."""
    rng = np.random.default_rng(3)
    points = [space.sample(rng) for _ in range(50)]
    matrix = space.features(points)
    assert matrix.shape == (50, len(space.feature_names))
    assert bool(((matrix >= 0) & (matrix <= 1)).all())
    assert {"method=0", "method=1", "method=2", "rank", "noise?", "size2?"} <= set(space.feature_names)
    assert "rank?" not in space.feature_names, "method=0 says it"
    column = matrix[:, space.feature_names.index("rank")]
    off = np.array(["rank" not in point for point in points])
    assert set(column[off]) == {0.5}


def test_values_come_back_as_optuna_shows_them(space: InferredSpace) -> None:
    rng = np.random.default_rng(4)
    for _ in range(50):
        point = space.sample(rng)
        shown = space.external(point)
        for name, value in shown.items():
            assert DISTRIBUTIONS[name]._contains(DISTRIBUTIONS[name].to_internal_repr(value))
        assert space.internal(shown) == point


def test_fixed_values_stay_and_decide_what_else_is_asked(space: InferredSpace) -> None:
    rng = np.random.default_rng(5)
    fixed = InferredSpace([trial(asked(rng)) for _ in range(120)])
    fixed.fix(fixed.internal({"method": "prefix", "count": 2}))
    points = [fixed.sample(rng) for _ in range(20)]
    points += [near for point in points[:5] for near in fixed.neighbours(point, rng, 6)]
    assert all(point["method"] == 1 and point["count"] == 2 and consistent(point) for point in points)


def test_an_unfinished_trial_proves_no_absence() -> None:
    """A run that failed before its second parameter does not make that one conditional; one that went past it does."""
    both = {"alpha": 0.2, "rate": 1e-3}
    cut = InferredSpace(
        [trial(both), trial({"alpha": 0.9}, TrialState.FAIL), trial({"alpha": 0.7}, TrialState.RUNNING)]
    )
    assert cut.presence["rate"].always
    past = [trial({"alpha": 0.1 * i, "noise": 0.5, "rate": 1e-3}) for i in range(4)]
    passed = InferredSpace([*past, trial({"alpha": 0.9, "rate": 1e-2}, TrialState.FAIL)])
    assert not passed.presence["noise"].always


def test_a_parameter_with_one_value_is_no_dimension() -> None:
    single = {"alpha": UNIT, "only": FloatDistribution(2.0, 2.0), "one": CategoricalDistribution(("x",))}
    found = InferredSpace([trial({"alpha": 0.1, "only": 2.0, "one": "x"}, distributions=single)])
    assert list(found.parameters) == ["alpha"]


def test_a_range_that_moves_is_followed() -> None:
    """New points come from the latest range; old ones keep their place on a scale that spans all."""
    first, second = {"alpha": FloatDistribution(0.0, 1.0)}, {"alpha": FloatDistribution(2.0, 4.0)}
    found = InferredSpace([trial({"alpha": 0.0}, distributions=first), trial({"alpha": 3.0}, distributions=second)])
    rng = np.random.default_rng(0)
    assert all(2 <= found.sample(rng)["alpha"] <= 4 for _ in range(20))
    assert all(2 <= near["alpha"] <= 4 for near in found.neighbours({"alpha": 0.0}, rng, 5))
    assert found.features([{"alpha": 0.0}, {"alpha": 1.0}, {"alpha": 4.0}]).ravel().tolist() == [0.0, 0.25, 1.0]


def test_the_order_fits_every_trials_own() -> None:
    names = [("a", "b", "z"), ("a", "c", "d", "z"), ("a", "c", "e", "z")]
    trials = [trial(dict.fromkeys(each, 0.5), distributions=dict.fromkeys("abcdez", UNIT)) for each in names]
    order = suggested_order(trials)
    assert sorted(order) == sorted("abcdez")
    assert all([name for name in order if name in each] == list(each) for each in names)


NUMBERS = [
    FloatDistribution(-3.0, 7.0),
    FloatDistribution(1e-6, 10.0, log=True),
    FloatDistribution(0.0, 1.0, step=0.1),
    IntDistribution(-4, 9),
    IntDistribution(1, 1000, log=True),
    IntDistribution(0, 28, step=7),
    CategoricalDistribution((None, "x", 2.5, True)),
]


@given(st.sampled_from(NUMBERS), st.floats(0, 1), st.integers(0, 2**20))
def test_positions_and_moves_stay_in_the_distribution(
    distribution: FloatDistribution | IntDistribution | CategoricalDistribution, position: float, seed: int
) -> None:
    ends = (0, len(distribution.choices) - 1) if isinstance(distribution, CategoricalDistribution) else None
    low, high = ends or (distribution.low, distribution.high)
    parameter = Parameter("p", distribution, float(low), float(high))
    value = parameter.at(position)
    near = parameter.near(value, np.random.default_rng(seed))
    for each in (value, near):
        assert distribution._contains(float(each))
        assert parameter.fits(each)
        assert -1e-12 <= parameter.position(each) <= 1 + 1e-12
    if not isinstance(distribution, FloatDistribution) or distribution.step is not None:
        assert near != value


@pytest.mark.parametrize("distribution", NUMBERS, ids=str)
def test_all_values_are_equally_likely_on_their_own_scale(distribution: BaseDistribution) -> None:
    """Held to Optuna's random sampler, by the share below each of its quantiles (Kolmogorov-Smirnov, 4,000 draws)."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    sampler = study.sampler
    frozen = trial({})
    theirs = [
        distribution.to_internal_repr(sampler.sample_independent(study, frozen, "p", distribution)) for _ in range(4000)
    ]
    ours = [float(value_at(distribution, (index + 0.5) / 4000)) for index in range(4000)]
    grid = np.unique(theirs)
    gap = np.abs(
        np.searchsorted(np.sort(theirs), grid + 1e-9, side="right")
        - np.searchsorted(np.sort(ours), grid + 1e-9, side="right")
    )
    assert gap.max() / 4000 < 1.63 / math.sqrt(4000)
