"""The winner's curse: where the best of many noisy runs is looked at, what is reported is still right.

Searches are simulated whose truth is known: many configurations, one noisy run each, finalists with fresh seeds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from made_trials import FULL, OBJECTIVES, trial
from numpy.typing import NDArray

from search.finalists import finalists
from search.front import Front, build_front
from search.ledger import Trial
from search.pareto import contributions, hypervolume, non_dominated
from search.probability import probabilities

NOISE = 0.01
COUNT = 30
SEARCHES = 30
HAND_MADE = (0.4, 0.6, 0.65)
HAND_SIZES = (1, 3000, 50_000)


@dataclass
class Search:
    """One search with a known truth: its configurations, of which one costs more than another, and a few baselines."""

    seed: int

    def __post_init__(self) -> None:
        rng = np.random.default_rng([7, self.seed])
        self.sizes = np.round(10 ** rng.uniform(2, 6, COUNT)).astype(int)
        self.truth = 0.5 + 0.3 * (1 - np.exp(-np.log10(self.sizes) / 2.5)) + 0.005 * rng.standard_normal(COUNT)
        self.own = self.truth + NOISE * rng.standard_normal(COUNT)
        self.fresh = self.truth[:, None] + NOISE * rng.standard_normal((COUNT, 2))
        self.hand_made = np.array(HAND_MADE)[:, None] + NOISE * rng.standard_normal((3, 2))

    def front(self, confirmed: list[int]) -> Front:
        """After these trials were run again."""
        made = [
            trial(
                number,
                int(self.sizes[number]),
                {
                    ("rung", FULL, 0): float(self.own[number]),
                    **{("finalist", FULL, 1 + seed): float(self.fresh[number, seed])
                       for seed in (0, 1) if number in confirmed},
                },
            )
            for number in range(COUNT)
        ]  # fmt: skip
        for row, size in enumerate(HAND_SIZES):
            runs = {("baseline", FULL, 1 + seed): float(self.hand_made[row, seed]) for seed in (0, 1)}
            made.append(trial(COUNT + row, size, runs, kind="baseline"))
        return build_front(made, OBJECTIVES, FULL)

    def errors(self, front: Front) -> NDArray[np.float64]:
        """Of what is reported for each sampled point of the front, in units of the noise."""
        points = [front.points[index] for index in front.on_front if front.points[index].trial.number < COUNT]
        return np.array([(each.values["accuracy"] - self.truth[each.trial.number]) / NOISE for each in points])

    def true_hypervolume(self, chosen: list[Trial]) -> float:
        values = [
            OBJECTIVES.minimised(
                {"accuracy": self.truth[each.number], "trainable_parameters": float(self.sizes[each.number])}
            )
            for each in chosen
        ]
        return hypervolume(np.array(values), OBJECTIVES.reference)


@dataclass
class Searched:
    search: Search
    before: Front
    chosen: list[Trial]
    after: Front


@pytest.fixture(scope="module")
def searched() -> list[Searched]:
    found = []
    for seed in range(SEARCHES):
        search = Search(seed)
        before = search.front([])
        chosen = finalists(before, 5, seed=0)
        found.append(Searched(search, before, chosen, search.front([each.number for each in chosen])))
    return found


def test_the_run_that_selects_flatters(searched: list[Searched]) -> None:
    """What is reported elsewhere: the front of single runs. If this were not so, the other tests would show nothing."""
    naive = []
    for each in searched:
        measured = {point.trial.number: point.measured["accuracy"] for point in each.before.points}
        costs = np.log10(each.search.sizes)
        runs = np.array([measured[number] for number in range(COUNT)])
        best = [number for number in range(COUNT) if runs[number] >= runs[costs <= costs[number]].max()]
        naive += [(runs[number] - each.search.truth[number]) / NOISE for number in best]
    assert np.mean(naive) > 0.5


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_values_on_the_front_are_unbiased(searched: list[Searched], when: str) -> None:
    errors = np.concatenate([each.search.errors(getattr(each, when)) for each in searched])
    assert abs(errors.mean()) < 0.15


def test_the_finalists_as_a_whole_are_unbiased(searched: list[Searched]) -> None:
    errors = [
        point.values["accuracy"] - each.search.truth[point.trial.number]
        for each in searched
        for point in each.after.points
        if point.fresh and point.trial.number < COUNT
    ]
    assert len(errors) == 5 * SEARCHES
    assert abs(np.mean(errors)) < 3 * NOISE / np.sqrt(2 * len(errors))


def test_intervals_hold_the_truth_confirmed_or_not(searched: list[Searched]) -> None:
    held: dict[bool, list[bool]] = {True: [], False: []}
    for each in searched:
        for index in each.after.on_front:
            point = each.after.points[index]
            if point.trial.number < COUNT:
                low, high = point.estimates["accuracy"].interval
                held[point.fresh].append(low <= each.search.truth[point.trial.number] <= high)
    for found in held.values():
        assert len(found) > 50
        assert np.mean(found) > 0.9


def test_probabilities_of_the_front_come_true(searched: list[Searched]) -> None:
    """Of the points said to belong with a probability near p, a share near p does."""
    said, true = [], []
    for each in searched:
        chances = probabilities(each.after, seed=0)
        quality = np.append(each.search.truth, HAND_MADE)
        cost = np.append(each.search.sizes, HAND_SIZES)
        for index, point in enumerate(each.after.points):
            number = point.trial.number
            better = (quality >= quality[number]) & (cost <= cost[number])
            said.append(chances[index])
            true.append(better.sum() == 1)
    chances, came = np.array(said), np.array(true)
    for low, high in ((0.0, 0.1), (0.1, 0.4), (0.4, 0.7), (0.7, 1.01)):
        among = (chances >= low) & (chances < high)
        assert among.sum() > 80
        assert came[among].mean() == pytest.approx(chances[among].mean(), abs=0.12)


def test_the_finalists_make_a_better_front_than_the_best_looking_runs(searched: list[Searched]) -> None:
    gains = []
    for each in searched:
        front, search = each.before, each.search
        raw = np.array([OBJECTIVES.minimised(point.measured) for point in front.points])[:COUNT]
        share = contributions(raw, OBJECTIVES.reference)
        looking = [front.points[row].trial for row in np.argsort(-share, kind="stable")[:5]]
        gains.append(search.true_hypervolume(each.chosen) - search.true_hypervolume(looking))
    assert np.mean(gains) > 2 * np.std(gains, ddof=1) / np.sqrt(len(gains))


def test_a_run_that_just_missed_the_front_may_be_a_finalist(searched: list[Searched]) -> None:
    behind = 0
    for each in searched:
        runs = np.array([OBJECTIVES.minimised(point.measured) for point in each.before.points])
        on_front = set(np.flatnonzero(non_dominated(runs)).tolist())
        behind += sum(chosen.number not in on_front for chosen in each.chosen)
    assert behind > SEARCHES / 5


def test_where_the_front_has_few_points_the_likeliest_behind_it_follow() -> None:
    """One is cheaper and better than all; the next best may in truth be better than it."""
    runs = {0: 0.800, 1: 0.799, 2: 0.795, 3: 0.3}
    made = [trial(number, 100 + number, {("rung", FULL, 0): value}) for number, value in runs.items()]
    made.append(trial(9, 1, {("baseline", FULL, 1): 0.40, ("baseline", FULL, 2): 0.42}, kind="baseline"))
    front = build_front(made, OBJECTIVES, FULL)
    assert [each.number for each in finalists(front, 3, seed=0)] == [0, 1, 2]
    assert [each.number for each in finalists(front, 10, seed=0)] == [0, 1, 2]
