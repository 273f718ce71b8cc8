"""The harness that compares searches: equal cost, equal mapping, paired seeds, and figures that can be checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from benchmarks.search.bootstrap import interval, mean_interval
from benchmarks.search.curve import Curve, cost_to_reach, curve_of
from benchmarks.search.kept_runs import KeptRuns
from benchmarks.search.loop_run import run_loop
from benchmarks.search.opponents import RUNGS, make_opponent
from benchmarks.search.opponents.flat import flatten, unflatten
from benchmarks.search.opponents.opponent import Opponent
from benchmarks.search.outcome import outcome_of, reported, updated
from benchmarks.search.problems.box import Box
from benchmarks.search.problems.conditional import Conditional
from benchmarks.search.problems.problem import Point, Shown
from benchmarks.search.report import write_report
from benchmarks.search.run import Completion, Run, simulate
from benchmarks.search.summary import paired, reached, summaries
from search.pareto import hypervolume
from space.dimension import walk


@pytest.fixture(scope="module")
def conditional() -> Conditional:
    return Conditional()


def run(problem: str, opponent: str, seed: int = 0, workers: int = 1, budget: int = 10, **fields: Any) -> Run:
    return Run(problem, opponent, seed, workers, budget, fields.pop("suggestions", None), **fields)


def simulated(name: str, problem: Conditional, workers: int = 1, budget: int = 10) -> Run:
    found = run(problem.name, name, workers=workers, budget=budget, full_seconds=problem.full_seconds)
    found.reference = problem.reference
    simulate(found, problem, make_opponent(name, problem, 0, budget))
    return found


def looped(problem: Conditional, sampler: str, rungs: tuple[float, ...], workers: int = 1) -> Run:
    found = run(problem.name, sampler, workers=workers, budget=6, full_seconds=problem.full_seconds)
    found.reference = problem.reference
    run_loop(found, problem, sampler, tuple(round(rung * problem.steps[-1]) for rung in rungs))
    return found


# Problems


@pytest.mark.parametrize(
    ("name", "point", "values", "slack"),
    [
        ("branin-currin", [0.5, 0.5], None, []),
        ("zdt2", [0.25, 0, 0, 0, 0, 0], [0.25, 1 - 0.25**2], []),
        ("zdt2", [1, 1, 1, 1, 1, 1], [1, 10 * (1 - 0.01)], []),
        ("c2dtlz2", [0, 0.5, 0.5, 0.5, 0.5, 0.5], [1, 0], []),
    ],
)
def test_boxes_are_the_published_functions(name: str, point: list[float], values: Any, slack: list[float]) -> None:
    problem = Box(name)
    shown = problem.place({f"x{index}": value for index, value in enumerate(point)}).train(0, 1)
    if values is not None:
        assert shown.values == pytest.approx(values, abs=1e-9)
    assert len(shown.violations) == problem.constraints
    assert shown.feasible


def test_a_box_without_its_constraint_is_not_feasible() -> None:
    between = {**dict.fromkeys((f"x{index}" for index in range(6)), 0.5), "x0": 0.25}  # two of its circles
    shown = Box("c2dtlz2").place(between).train(0, 1)
    assert shown.values == pytest.approx((np.cos(np.pi / 8), np.sin(np.pi / 8)))
    assert not shown.feasible
    assert shown.violations[0] > 0


def test_the_known_front_of_the_conditional_problem_is_its_best(conditional: Conditional) -> None:
    assert conditional.best is not None
    rng = np.random.default_rng(0)
    scored = [conditional.place(conditional.space.sample(rng)).scored for _ in range(300)]
    assert 0.5 * conditional.best < hypervolume(scored, conditional.reference) < conditional.best


def test_a_candidate_without_a_layer_gets_the_last_one(conditional: Conditional) -> None:
    point = conditional.space.sample(np.random.default_rng(1))
    off = {**point, **{f"layer.{layer}": False for layer in range(6)}}
    placed = conditional.place(off)
    assert {name: value for name, value in placed.point.items() if value != off[name]} == {"layer.5": True}
    assert conditional.space.check(placed.point) is None


# What opponents are told


def test_flat_rows_are_points_again_and_equal_points_are_equal_rows(conditional: Conditional) -> None:
    for seed in range(20):
        point = conditional.space.sample(np.random.default_rng(seed))
        row = flatten(conditional.dimensions, point)
        assert row.keys() == {dimension.name for dimension in conditional.dimensions}
        assert unflatten(conditional.dimensions, row) == point
        assert flatten(conditional.dimensions, dict(point)) == row


class Climber(Opponent):
    """Goes on with every other candidate."""

    def __init__(self, problem: Conditional) -> None:
        super().__init__(problem, 0, 10)
        self.told: list[tuple[int, int]] = []
        self.begun: dict[int, Point] = {}
        self._rng = np.random.default_rng(0)

    @property
    def steps(self) -> tuple[int, ...]:
        return (8, 128)

    def ask(self) -> Point:
        return walk(self.problem.dimensions, lambda dimension: dimension.at(self._rng.random()))

    def begin(self, number: int, point: Point) -> None:
        self.begun[number] = point

    def tell(self, number: int, step: int, shown: Shown) -> bool:
        self.told.append((number, step))
        return number % 2 == 0


def test_a_search_pays_for_every_stretch_and_full_runs_count(conditional: Conditional) -> None:
    found = run("conditional", "climber", full_seconds=conditional.full_seconds)
    climber = Climber(conditional)
    simulate(found, conditional, climber)
    costs = [
        conditional.place(climber.begun[number]).train(0 if step == 8 else 8, step).seconds
        for number, step in climber.told
    ]
    ends = np.cumsum(costs)[[index for index, (_, step) in enumerate(climber.told) if step == 128]]
    assert [each.seconds for each in found.completions] == pytest.approx(ends.tolist())
    assert found.evaluations == len(climber.told)
    assert ends[-1] <= found.seconds


@pytest.mark.parametrize("name", ["random", "optuna-tpe", "optuna-nsga2"])
def test_the_same_seed_is_the_same_search_within_its_budget(conditional: Conditional, name: str) -> None:
    first, second = simulated(name, conditional, workers=3), simulated(name, conditional, workers=3)
    assert first.completions == second.completions
    assert 6 <= len(first.completions) <= 14
    assert first.completions[-1].seconds <= first.seconds == 10 * conditional.full_seconds / 3


def test_suggestions_are_an_end_of_their_own(conditional: Conditional) -> None:
    found = run("conditional", "random", suggestions=4, full_seconds=conditional.full_seconds)
    simulate(found, conditional, make_opponent("random", conditional, 0, 10))
    assert (found.asked, len(found.completions)) == (4, 4)


# Paretune's own loop


def test_the_loop_in_simulated_time_repeats_itself_and_climbs_rungs(conditional: Conditional) -> None:
    first, second = (looped(conditional, "random", RUNGS, workers=2) for _ in range(2))
    assert first.completions == second.completions
    assert first.evaluations == second.evaluations > first.asked > len(first.completions) > 0
    assert first.completions[-1].seconds <= first.seconds


def test_one_rung_is_a_search_at_full_fidelity(conditional: Conditional) -> None:
    found = looped(conditional, "random", (1.0,))
    assert len(found.completions) in (found.evaluations, found.evaluations - 1)
    assert 4 <= len(found.completions) <= 9
    for each in found.completions:
        assert each.shown != each.scored
        assert each.shown == pytest.approx(each.scored, abs=0.08)


# Figures


def completions(*rows: tuple[float, float, float]) -> list[Completion]:
    """Of one second's cost a unit: when, and the same two values shown and scored."""
    return [Completion(when, (a, b), (a, b), True) for when, a, b in rows]


def test_a_curve_is_the_hypervolume_of_what_was_chosen_so_far() -> None:
    found = run("p", "o", full_seconds=2.0, reference=(1.0, 1.0))
    found.completions = [
        *completions((2, 0.5, 0.5), (4, 0.6, 0.6), (6, 0.2, 0.9)),
        Completion(8, (0.1, 0.1), (0.1, 0.1), feasible=False),
        Completion(10, (0.4, 0.4), (0.9, 0.9), feasible=True),
    ]
    curve = curve_of(found)
    assert curve.costs == (1, 3, 5)
    assert curve.values == pytest.approx((0.25, 0.25 + 0.03, 0.08))  # chosen by what is shown, to its cost
    assert [curve.at(cost) for cost in (0.5, 1, 4)] == pytest.approx([0, 0.25, 0.28])


def test_a_search_with_few_suggestions_covers_what_it_came_to() -> None:
    found = run("p", "o", suggestions=2, full_seconds=2.0, reference=(1.0, 1.0))
    found.asked, found.completions = 2, completions((3, 0.5, 0.5), (6, 0.4, 0.4))
    assert curve_of(found).covers == 3.0


def test_a_target_is_reached_where_the_mean_first_does() -> None:
    curves = [Curve((1, 3), (0.2, 0.4), 10), Curve((2,), (0.4,), 10)]
    assert cost_to_reach(curves, 0.3) == 2
    assert cost_to_reach(curves, 0.4) == 3
    assert cost_to_reach(curves, 0.5) == float("inf")
    assert cost_to_reach([Curve((1, 3), (0.2, 0.4), 2)], 0.3) == float("inf")


def test_intervals_are_those_of_scipy() -> None:
    values = np.random.default_rng(3).gamma(2.0, size=10).tolist()
    expected = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=9999, rng=1).confidence_interval
    assert mean_interval(values) == pytest.approx(tuple(expected), rel=0.03)
    found = interval(10, lambda places: float(np.mean([values[place] for place in places])))
    assert found == pytest.approx(tuple(expected), rel=0.03)


def kept(folder: Path) -> KeptRuns:
    """Ours halves the distance to the best at each unit of cost, random at every fourth."""
    runs = KeptRuns(folder / "runs.jsonl")
    for name, pace in (("paretune", 1), ("random", 4)):
        for seed in range(5):
            made = run("p", name, seed, budget=16, full_seconds=1.0, reference=(1.0, 1.0), best=1.0)
            made.completions = completions(
                *((pace * n, 0.5**n + seed / 1000, 0.5**n) for n in range(1, 16 // pace + 1))
            )
            made.asked = len(made.completions)
            runs.add(made)
    return runs


def test_paired_differences_and_the_share_of_the_cost(tmp_path: Path) -> None:
    (summary,) = summaries(list(map(outcome_of, kept(tmp_path).all())))
    ours, yardstick = summary.searched
    assert (ours.name, yardstick.name) == ("paretune", "random")
    found = reached(ours, yardstick)
    assert found is not None
    assert found.share == found.interval[0] == found.interval[1] == 4 / 16
    pair = paired(ours, yardstick, 0.25)
    assert pair is not None
    assert (pair.cost, pair.significant) == (4, True)
    assert pair.difference == pytest.approx((1 - 0.5**4) ** 2 - 0.25, abs=0.005)


def test_runs_are_kept_and_a_torn_line_is_made_again(tmp_path: Path) -> None:
    first = kept(tmp_path)
    path = tmp_path / "runs.jsonl"
    assert KeptRuns(path).all() == first.all()
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:-1], lines[-1][:40]]))
    again = KeptRuns(path)
    assert len(again.all()) == len(first.all()) - 1
    assert first.all()[-1] not in again


def test_the_report_names_the_bars_and_keeps_the_curves(tmp_path: Path) -> None:
    write_report(list(map(outcome_of, kept(tmp_path).all())), tmp_path)
    text = (tmp_path / "search.md").read_text()
    assert "random's hypervolume after 16 full evaluations is reached (bar: 0.125): 0.250 [0.250, 0.250]" in text
    assert "**+" in text
    content = json.loads((tmp_path / "search.json").read_text())
    assert len(content["runs"]) == 10
    assert content["runs"][0]["values"][0] == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize("ours", ["paretune", "bayes"])
def test_the_report_of_one_seed_says_that_it_is_too_few(ours: str, tmp_path: Path) -> None:
    runs = [run("p", name, 0, budget=16, full_seconds=1.0, reference=(1.0, 1.0), best=1.0) for name in (ours, "random")]
    for each in runs:
        each.completions, each.asked = completions((1, 0.5, 0.5)), 1
    write_report(list(map(outcome_of, runs)), tmp_path)
    bars = [line for line in (tmp_path / "search.md").read_text().splitlines() if line.startswith("- ")]
    assert bars
    assert all(line.endswith("too few seeds.") for line in bars)


def test_a_report_goes_on_from_one_that_is_there(tmp_path: Path) -> None:
    runs = kept(tmp_path).all()
    write_report(list(map(outcome_of, runs)), tmp_path / "first")
    before = reported(tmp_path / "first" / "search.json")
    for each in runs[:2]:
        each.completions = completions((1, 0.3, 0.3))
    write_report(updated(before, runs[:2]), tmp_path / "again")
    write_report(list(map(outcome_of, runs)), tmp_path / "anew")
    again, anew = ((tmp_path / name / "search.json").read_text() for name in ("again", "anew"))
    assert again == anew != (tmp_path / "first" / "search.json").read_text()
