"""Each allocator against its rule, on sites small enough to count by hand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from space.allocators import Demand
from space.errors import FieldError
from space.plan import PlanEntry
from space.scores import HeadScores, ScoreTable, SiteScore
from space.sparsity import allocate


def _two_sites(counts: tuple[tuple[int, ...], tuple[int, ...]], norms: tuple[float, float]) -> ScoreTable:
    return ScoreTable(
        seed=0,
        batches=8,
        edges=(1e-9, 1e-6, 1e-3),
        sites=tuple(
            SiteScore(layer=layer, role="mlp", sensitivity=1, magnitude=norms[layer], sensitivity_counts=counts[layer])
            for layer in (0, 1)
        ),
    )


def _two_demands() -> list[Demand]:
    """Ten units of ten parameters at each of two sites."""
    prices = np.arange(10, 101, 10)
    entries = [PlanEntry(layer=layer, role="mlp", method="lora", size=10, parameters=100) for layer in (0, 1)]
    return [Demand(entry, prices) for entry in entries]


def _bought(entries: list[PlanEntry]) -> dict[int, int]:
    return {entry.layer: entry.size for entry in entries}


def test_sensitivity_gives_each_site_as_many_parameters_as_it_has_of_the_most_sensitive_weights() -> None:
    scores = _two_sites(((9000, 900, 75), (9900, 75, 25)), (1, 1))
    # τ = 100: the 100 most sensitive weights are the top bin's, 75 and 25 of them; 7 and 2 units, the rest in order.
    assert _bought(allocate(_two_demands(), 0.5, "sensitivity", scores)) == {0: 8, 1: 2}


def test_sensitivity_stops_at_the_dense_size_and_passes_the_rest_on() -> None:
    scores = _two_sites(((0, 0, 1000), (1000, 0, 0)), (1, 1))
    assert _bought(allocate(_two_demands(), 0.75, "sensitivity", scores)) == {0: 10, 1: 5}


def test_magnitude_gives_in_proportion_to_the_norm() -> None:
    scores = _two_sites(((), ()), (30, 10))
    assert _bought(allocate(_two_demands(), 0.4, "magnitude", scores)) == {0: 6, 1: 2}


def test_spts_structured_part_gives_whole_modules_where_a_tenth_of_their_parameters_are_sensitive_weights() -> None:
    # A module of 100 parameters at a matrix is due at 10 sensitive weights: at τ = 40 in layer 1, τ = 13⅓ in layer 0.
    scores = _two_sites(((9000, 900, 75), (9900, 75, 25)), (1, 1))
    for share, bought in ((0.5, {0: 10}), (0.9, {0: 10}), (0.99, {0: 10})):
        assert _bought(allocate(_two_demands(), share, "spt-structured", scores)) == bought
    other = _two_sites(((9900, 90, 9), (9000, 900, 1000)), (1, 1))
    assert _bought(allocate(_two_demands(), 0.5, "spt-structured", other)) == {1: 10}
    with pytest.raises(FieldError, match="the smallest unit costs 100"):
        allocate(_two_demands(), 0.4, "spt-structured", scores)


@dataclass(frozen=True)
class _Sweep:
    """Six matrices whose every weight's squared gradient is known, and a module for each."""

    squares: list[NDArray[np.float64]]
    prices: list[int]
    demands: list[Demand]
    scores: ScoreTable

    @classmethod
    def random(cls) -> _Sweep:
        rng = np.random.default_rng(0)
        size, edges = 4000, tuple(float(edge) for edge in np.logspace(-6, 2, 4001))
        prices = [200, 300, 400, 500, 600, 700]
        squares = [rng.lognormal(mean=rng.normal(-3, 1), size=size) for _ in prices]
        entries = [
            PlanEntry(layer=layer, role="attention.query", method="lora", size=2, parameters=price)
            for layer, price in enumerate(prices)
        ]
        found = tuple(
            SiteScore(
                layer=layer,
                role="attention.query",
                sensitivity=float(each.sum()),
                magnitude=1,
                sensitivity_counts=tuple(np.bincount(np.digitize(each, edges[1:]), minlength=len(edges)).tolist()),
            )
            for layer, each in enumerate(squares)
        )
        demands = [Demand(entry, np.array([entry.parameters // 2, entry.parameters])) for entry in entries]
        return cls(squares, prices, demands, ScoreTable(seed=0, batches=8, edges=edges, sites=found))

    def marked(self, tau: int) -> list[int]:
        """How many of the τ most sensitive weights each matrix holds."""
        threshold = np.sort(np.concatenate(self.squares))[-tau]
        return [int((each >= threshold).sum()) for each in self.squares]

    def bought(self, cost: int, name: str) -> list[PlanEntry]:
        return allocate(self.demands, round(cost / sum(self.prices) + 1e-6, 6), name, self.scores)


def test_spts_structured_part_is_the_sweep_over_tau_of_its_authors() -> None:
    """Modules that are due at each τ, from every weight's squared gradient, against those bought for their price."""
    sweep, seen = _Sweep.random(), set()
    for tau in range(5, 3000, 15):
        marked = sweep.marked(tau)
        due = {layer for layer, price in enumerate(sweep.prices) if marked[layer] >= price / 10}
        if not due or len(due) == len(marked):
            continue
        seen.add(len(due))
        # A budget of just these modules buys just these.
        kept = sweep.bought(sum(sweep.prices[layer] for layer in due), "spt-structured")
        assert {entry.layer for entry in kept} == due
        assert {entry.size for entry in kept} == {2}
    assert len(seen) >= 4


def test_spt_is_the_sweep_over_tau_of_its_authors() -> None:
    """At each τ a module where a tenth of its parameters are marked, elsewhere the marked weights, and no more."""
    sweep, both = _Sweep.random(), 0
    for tau in range(5, 700, 5):
        marked = sweep.marked(tau)
        due = {layer for layer, price in enumerate(sweep.prices) if marked[layer] >= price / 10}
        if len(due) == len(marked):
            break
        cost = sum(price if layer in due else marked[layer] for layer, price in enumerate(sweep.prices))
        kept = sweep.bought(cost, "spt")
        assert sum(entry.parameters for entry in kept) == cost
        modules = {entry.layer for entry in kept if entry.method == "lora"}
        sparse = {entry.layer: entry for entry in kept if entry.method == "sensitive-entries"}
        assert modules == due
        assert all(entry.size == entry.parameters and entry.options == {"batches": 8} for entry in sparse.values())
        # Within a bin of the histogram the order is not known.
        assert all(abs(sparse[layer].size - marked[layer]) <= 2 for layer in sparse)
        assert all(marked[layer] <= 2 for layer in range(len(marked)) if layer not in {*modules, *sparse})
        both += bool(modules and sparse)
    assert both > 20


def test_spt_leaves_a_matrix_its_entries_where_the_module_is_too_dear() -> None:
    scores = _two_sites(((9000, 900, 75), (9900, 75, 25)), (1, 1))
    # Modules are due at ten marked weights. 80 parameters pay for none, so both matrices keep the nine before.
    kept = allocate(_two_demands(), 0.4, "spt", scores)
    assert {(entry.layer, entry.method, entry.size) for entry in kept} == {
        (0, "sensitive-entries", 9),
        (1, "sensitive-entries", 9),
    }
    kept = allocate(_two_demands(), 0.53, "spt", scores)
    assert {(entry.layer, entry.method, entry.size) for entry in kept} == {(0, "lora", 10), (1, "sensitive-entries", 6)}


def test_spt_gives_matrices_of_two_methods_one_mask() -> None:
    first = _two_demands()
    other = [Demand(each.entry.model_copy(update={"method": "dsee"}), each.parameters) for each in first]
    scores = _two_sites(((9000, 900, 75), (9900, 75, 25)), (1, 1))
    kept = allocate([*first, *other], 0.05, "spt", scores)
    assert sum(entry.parameters for entry in kept) == 20
    assert len({entry.layer for entry in kept}) == len(kept)
    assert {entry.method for entry in kept} == {"sensitive-entries"}


def _heads(*layers: tuple[float, ...]) -> ScoreTable:
    """Scores of one attention matrix a layer, its heads scored the same in all three ways."""
    sites = tuple(
        SiteScore(layer=layer, role="attention.value", sensitivity=1, magnitude=1) for layer in range(len(layers))
    )
    heads = tuple(
        HeadScores(layer=layer, weights=each, group=each[::-1], output=tuple(1 - score for score in each))
        for layer, each in enumerate(layers)
    )
    return ScoreTable(seed=0, batches=8, sites=sites, heads=heads)


def _head_demands(units: int) -> list[Demand]:
    entries = [
        PlanEntry(layer=layer, role="attention.value", method="lora", size=units, parameters=10 * units)
        for layer in (0, 1)
    ]
    return [Demand(entry, np.arange(10, 10 * units + 1, 10)) for entry in entries]


def test_heat_gives_a_layer_the_share_that_it_has_of_the_strong_heads() -> None:
    # Of the four strongest heads three are in layer 1: at half the budget it gets three quarters of its ranks.
    scores = _heads((0.9, 0.3, 0.2, 0.1), (0.8, 0.7, 0.6, 0.05))
    for name in ("heat", "heat-group"):
        assert _bought(allocate(_head_demands(8), 0.5, name, scores)) == {0: 2, 1: 6}
    # The other way round by the third score: 0.95, 0.9, 0.8 and 0.7 are the strong ones.
    assert _bought(allocate(_head_demands(8), 0.5, "heat-output", scores)) == {0: 6, 1: 2}


def test_heat_without_heads_is_refused() -> None:
    scores = _heads((0.9, 0.3), (0.8, 0.7)).model_copy(update={"heads": ()})
    with pytest.raises(FieldError, match="no scores of the heads of layer 0") as caught:
        allocate(_head_demands(4), 0.5, "heat", scores)
    assert caught.value.field == "allocator"


@pytest.mark.parametrize("name", ["sensitivity", "spt", "spt-structured"])
def test_sensitivity_without_a_histogram_is_refused(name: str) -> None:
    with pytest.raises(FieldError, match="histogram") as caught:
        allocate(_two_demands(), 0.5, name, _two_sites(((), ()), (1, 1)))
    assert caught.value.field == "allocator"
