from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from space.allocators import ALLOCATORS, Demand
from space.configuration import Component, Configuration
from space.errors import FieldError
from space.load import load_space
from space.plan import Plan, PlanEntry
from space.resolve import resolve
from space.scores import ScoreTable
from space.sites import SiteTable
from space.sparsity import budget, buy

ALLOCATOR_NAMES = sorted(ALLOCATORS)
COMPONENTS = {
    "lora": (Component(method="lora", roles=("all-linear",), size=(8,)),),
    "rank-1": (Component(method="lora", size=(1,)),),
    "profile": (Component(method="serial-adapter", roles=("attention", "mlp"), size=("d/64", "d/8")),),
    "ia3": (Component(method="ia3"),),
    "union": (
        Component(method="serial-adapter", size=("d/16",)),
        Component(method="parallel-adapter", size=("d/8",)),
        Component(method="prefix-tuning", size=(12,)),
    ),
}


def _resolve(name: str, share: float, allocator: str, table: SiteTable, scores: ScoreTable | None) -> Plan:
    configuration = Configuration(components=COMPONENTS[name], sparsity=share, allocator=allocator)
    return resolve(configuration, table, scores)


@pytest.mark.parametrize("allocator", ALLOCATOR_NAMES)
@pytest.mark.parametrize("name", sorted(COMPONENTS))
def test_budgets_are_kept_in_whole_units_and_more_buys_more(
    name: str, allocator: str, table: SiteTable, scores: ScoreTable
) -> None:
    if allocator.startswith("heat") and name != "rank-1":
        with pytest.raises(FieldError, match=r"scores attention heads, and mlp.* has none") as caught:
            _resolve(name, 0.5, allocator, table, scores)
        assert caught.value.field == "allocator"
        return
    if allocator == "spt" and name not in ("lora", "rank-1"):
        with pytest.raises(FieldError, match="is no module at a matrix that can stand beside these; use 'spt-str"):
            _resolve(name, 0.5, allocator, table, scores)
        return
    dense = _resolve(name, 1.0, "uniform", table, None)
    sizes = {(entry.layer, entry.role, entry.method): entry.size for entry in dense.entries}
    dense_parameters = {(entry.layer, entry.role): entry.parameters for entry in dense.entries}
    spent = []
    for share in np.linspace(0.1, 0.99, 25):
        plan = _resolve(name, float(share), allocator, table, scores)
        assert 0 < plan.trainable_parameters <= share * dense.trainable_parameters
        places = [(entry.layer, entry.role, entry.method) for entry in plan.entries]
        assert len(set(places)) == len(places)
        for entry in plan.entries:
            if entry.method == "sensitive-entries":
                module = dense_parameters[entry.layer, entry.role]
                assert 0 < entry.size == entry.parameters < module / 10
                continue
            assert entry.size <= sizes[entry.layer, entry.role, entry.method]
            assert entry.parameters > 0
        spent.append(plan.trainable_parameters)
    assert spent == sorted(spent)


@given(
    prices=st.lists(st.lists(st.integers(1, 50), min_size=1, max_size=6), min_size=1, max_size=8),
    totals=st.lists(st.integers(0, 800), min_size=2, max_size=6),
    seed=st.integers(0, 1000),
)
def test_buying_never_overspends_and_never_spends_less_of_more(
    prices: list[list[int]], totals: list[int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    entry = PlanEntry(layer=0, role="mlp", method="lora", size=1, parameters=1)
    demands = [Demand(entry, np.cumsum(price)) for price in prices]
    priorities = [np.sort(rng.integers(0, 4, size=len(price))).astype(float) for price in prices]
    spent = []
    for total in sorted(totals):
        units = buy(demands, priorities, total)
        cost = sum(int(demand.parameters[n - 1]) for demand, n in zip(demands, units, strict=True) if n)
        assert cost <= total
        assert all(0 <= n <= len(price) for n, price in zip(units, prices, strict=True))
        affordable = [n < len(price) and price[n] <= total - cost for n, price in zip(units, prices, strict=True)]
        assert not any(affordable)
        spent.append(cost)
    assert spent == sorted(spent)


@given(share=st.decimals("0.01", "0.99", places=2), dense=st.integers(1, 10**9))
def test_the_budget_is_the_decimal_share_rounded_down(share: float, dense: int) -> None:
    exact = int(share * dense)
    assert budget(float(share), dense) == exact


def test_uniform_fills_every_site_to_the_same_level(table: SiteTable) -> None:
    half = _resolve("lora", 0.5, "uniform", table, None)
    assert {entry.size for entry in half.entries} == {4}


@pytest.mark.parametrize("family", ["bert", "gpt2"], indirect=True)
def test_uniform_spreads_what_it_cannot_split_over_the_depth(table: SiteTable) -> None:
    dense = _resolve("rank-1", 1.0, "uniform", table, None)
    half = _resolve("rank-1", 0.5, "uniform", table, None)
    assert len(half.entries) == len(dense.entries) // 2
    gaps = [after - before for before, after in pairwise(sorted({entry.layer for entry in half.entries}))]
    assert max(gaps) <= 3


def test_a_space_leaves_out_what_its_allocator_cannot_serve(table: SiteTable, scores: ScoreTable) -> None:
    spec = {
        "methods": ["lora"],
        "rank": [4],
        "sites": {"lora": [["attention.output"], ["mlp.down"]]},
        "sparsity": [0.5],
        "allocator": ["heat", "spt-structured"],
    }
    space = load_space(spec, table).with_scores(scores)
    rng = np.random.default_rng(0)
    points = [space.sample(rng) for _ in range(40)]
    assert {(point["allocator"], point["lora.sites"]) for point in points} == {
        ("heat", "attention.output"),
        ("spt-structured", "attention.output"),
        ("spt-structured", "mlp.down"),
    }
    with pytest.raises(FieldError, match=r"heat scores attention heads, and mlp\.down has none; place") as caught:
        load_space({**spec, "sites": {"lora": [["mlp.down"]]}, "allocator": ["heat"]}, table)
    assert caught.value.field == "space"


@pytest.mark.parametrize("name", [name for name in ALLOCATOR_NAMES if ALLOCATORS[name].needs_scores])
def test_an_allocator_without_its_scores_says_what_to_do(name: str, table: SiteTable) -> None:
    with pytest.raises(FieldError, match="uniform") as caught:
        _resolve("rank-1", 0.5, name, table, None)
    assert caught.value.field == "allocator"
    foreign = ScoreTable(seed=0, batches=1, sites=())
    with pytest.raises(FieldError, match="another model") as caught:
        _resolve("rank-1", 0.5, name, table, foreign)
    assert caught.value.field == "allocator"


def test_an_unknown_allocator_and_a_budget_of_nothing_are_refused(table: SiteTable) -> None:
    with pytest.raises(FieldError, match="sensitivity") as caught:
        _resolve("lora", 0.5, "random", table, None)
    assert caught.value.field == "allocator"
    with pytest.raises(FieldError, match="smallest unit costs") as caught:
        _resolve("rank-1", 0.001, "uniform", table, None)
    assert caught.value.field == "sparsity"


def test_spt_goes_with_no_treatment_that_wants_a_method_by_itself(table: SiteTable, scores: ScoreTable) -> None:
    configuration = Configuration(
        components=COMPONENTS["lora"], sparsity=0.5, allocator="spt", initialisation={"name": "pissa"}
    )
    with pytest.raises(FieldError, match=r"pissa cannot be combined with lora \+ sensitive-entries") as caught:
        resolve(configuration, table, scores)
    assert caught.value.field == "initialisation"
    structured = configuration.model_copy(update={"allocator": "spt-structured"})
    assert resolve(structured, table, scores).methods == ("lora",)
    spec = {
        "methods": ["lora"],
        "rank": [4],
        "sparsity": [0.5],
        "allocator": ["spt", "spt-structured"],
        "initialisation": ["none", "pissa"],
    }
    space = load_space(spec, table).with_scores(scores)
    rng = np.random.default_rng(0)
    points = [space.sample(rng) for _ in range(40)]
    assert {(point["allocator"], point["initialisation"]) for point in points} == {
        ("spt", "none"),
        ("spt-structured", "none"),
        ("spt-structured", "pissa"),
    }
    for point in points:
        assert space.parameters(point) == space.plan(point).trainable_parameters
