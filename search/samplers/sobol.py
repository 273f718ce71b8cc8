"""A scrambled Sobol sequence over the space's unit cube: draws that leave no region out."""

from __future__ import annotations

from collections.abc import Callable

from scipy.stats import qmc

from search.objectives import Objectives
from search.samplers.past import Floats, next_number, tried
from search.samplers.random import RandomSampler
from search.samplers.sampler import History, Proposal
from space.encode import Point
from space.space import SearchSpace

INDEX = "sobol_index"
"""Attribute of a proposal: its place in the sequence, from which the next trial goes on."""
ATTEMPTS = 256
"""Places of the sequence tried for one trial before a random draw takes over."""


class SobolSampler:
    """`Sampler` that walks one scrambled Sobol sequence, skipping places that are invalid or were tried."""

    def __init__(
        self,
        space: SearchSpace,
        objectives: Objectives,
        seed: int,
        trials: int | None = None,
        warp: Callable[[Floats], Floats] = lambda u: u,
    ) -> None:
        """`warp`: moves a place within the unit cube (shape [dimensions]) before a point is made of it."""
        self._space = space
        self._warp = warp
        self._seed = seed
        self._random = RandomSampler(space, objectives, seed)

    def ask(self, history: History, n: int) -> list[Proposal]:
        seen = tried(self._space, history)
        number = next_number(history)
        index = 1 + max((int(trial.attributes.get(INDEX, -1)) for trial in history.trials), default=-1)
        proposals: list[Proposal] = []
        while len(proposals) < n:
            found = self._next(index, seen)
            if found is None:
                why = f"none of {ATTEMPTS} further places of the Sobol sequence is valid and new"
                proposal = self._random.propose(history, seen, number + len(proposals), "random: sobol found none", why)
                if proposal is None:
                    break
                index += ATTEMPTS
            else:
                place, point = found
                reason = f"place {place} of a scrambled Sobol sequence"
                proposal = Proposal(point, self._space.decode(point), "sobol", reason, {INDEX: place})
                index = place + 1
            proposals.append(proposal)
            seen.add(self._space.plan(proposal.point).key)
        return proposals

    def _next(self, index: int, seen: set[str]) -> tuple[int, Point] | None:
        sequence = qmc.Sobol(len(self._space.dimensions), scramble=True, rng=self._seed)
        if index:
            sequence.fast_forward(index)
        for place in range(index, index + ATTEMPTS):
            point = self._space.from_unit(self._warp(sequence.random(1)[0]))
            if point is not None and self._space.plan(point).key not in seen:
                return place, point
        return None
