"""The `bayes` sampler: a Sobol design, then the candidate of best log noisy expected hypervolume improvement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.objectives import Objectives
from search.samplers.bayes.candidates import best_candidate
from search.samplers.bayes.choice import best_first, choose, reproducible
from search.samplers.bayes.design import affordable, around_defaults, design_words, initial_trials
from search.samplers.bayes.encoding import Encoding
from search.samplers.bayes.forecasting import forecasts
from search.samplers.bayes.kinds import DEFAULT
from search.samplers.bayes.source_prior import source_priors
from search.samplers.bayes.surrogate import HYPERPARAMETERS, Surrogate
from search.samplers.forecast import Answer, Standing
from search.samplers.past import evidence, measured, next_number, rng_for, tried, with_proposals
from search.samplers.random import RandomSampler
from search.samplers.sampler import EXPECTED_GAIN, History, Proposal
from search.samplers.sobol import SobolSampler
from search.transfer.transfer import Transfer
from space.encode import Point
from space.space import SearchSpace

FEWEST_FULL = 2
"""Full runs that the model has seen before it forecasts: without any it knows no front."""


class BayesSampler:
    """`Sampler` by multi-objective Bayesian optimisation over valid configurations.

    Keeps no state: hyperparameters to start the next fit from travel in the proposals' attributes.
    """

    def __init__(
        self,
        space: SearchSpace,
        objectives: Objectives,
        seed: int,
        trials: int | None = None,
        surrogate: str = DEFAULT,
        transfer: Transfer | None = None,
    ) -> None:
        """`transfer`: earlier jobs, whose models the surrogate starts from."""
        self._space = space
        self._objectives = objectives
        self._seed = seed
        self._surrogate = surrogate
        self._encoding = Encoding(space, objectives)
        self._sobol = SobolSampler(space, objectives, seed, warp=around_defaults(space))
        self._random = RandomSampler(space, objectives, seed)
        learned = sum(not objective.known for objective in objectives.objectives)
        self._transfer = transfer
        self._initial = initial_trials(len(space.dimensions), learned, trials)

    def ask(self, history: History, n: int) -> list[Proposal]:
        return self._ask(history, n)[0]

    def ask_and_forecast(self, history: History, n: int, standing: Standing) -> Answer:
        proposals, surrogate = self._ask(history, n)
        extended = with_proposals(history, proposals)
        trials = measured(extended, self._objectives)
        full = sum(any(seen.fidelity == 1.0 for seen in trial.observations) for trial in trials)
        if full < FEWEST_FULL or len(extended.trials) < self._design_size(extended):
            return Answer(proposals)
        new = range(next_number(history), next_number(extended))
        waiting = Standing(standing.waiting | frozenset(new), standing.finishing)
        with reproducible(self._seed, next_number(extended)):
            surrogate = surrogate or self._model(extended)
            rng = rng_for(self._seed, next_number(extended))
            found = forecasts(surrogate, self._encoding, self._objectives, extended, waiting, rng)
        return Answer(proposals, found, full)

    def _ask(self, history: History, n: int) -> tuple[list[Proposal], Surrogate | None]:
        """The proposals, and the model that they were made with, if it was one."""
        proposals: list[Proposal] = []
        surrogate: Surrogate | None = None
        while len(proposals) < n:
            extended = with_proposals(history, proposals)
            trials = measured(extended, self._objectives)
            place = len(extended.trials) + 1
            size = self._design_size(extended) + self._beside_design(extended)
            design = design_words(place, size, len(trials))
            if design is not None:
                proposal = self._design(extended, design)
            else:
                with reproducible(self._seed, next_number(extended)):
                    surrogate = surrogate or self._model(extended)
                    proposal = self._model_based(extended, surrogate)
            if proposal is None:
                break
            proposals.append(proposal)
        return proposals, surrogate

    def _design_size(self, history: History) -> int:
        """Once a first run has ended, no more than the design may cost."""
        first = [seen.fidelity for trial in history.trials for seen in trial.observations]
        return affordable(self._initial, min(first)) if first else self._initial

    def _beside_design(self, history: History) -> int:
        """Trials that fill no place of the design: of sources that nothing speaks for so far."""
        return 0 if self._transfer is None else len(self._transfer.unproven(history))

    def _model(self, history: History) -> Surrogate:
        trials = evidence(history, self._objectives)
        transfer = self._transfer
        priors = {} if transfer is None else source_priors(transfer, history, self._encoding.inputs)
        return Surrogate(self._encoding, self._objectives, history, trials, self._surrogate, priors)

    def _design(self, history: History, what: str) -> Proposal | None:
        found = self._sobol.ask(history, 1)
        if not found:
            return None
        drawn = found[0]
        around = ", learning rates drawn around the methods' own defaults" if drawn.strategy == "sobol" else ""
        return replace(drawn, strategy=f"{drawn.strategy.split(':')[0]}: {what}", reason=drawn.reason + around)

    def _towards_limits(self, starts: Sequence[Point], rng: np.random.Generator, seen: set[str]) -> Proposal | None:
        """No trial holds the limits on what is known before training: what comes nearest to them."""

        def score(points: Sequence[Point]) -> NDArray[np.float64]:
            return -np.array([self._encoding.excess(point) for point in points])

        found = best_candidate(self._space, score, starts, rng, seen, lambda _: True, lambda _: ())
        if found is None:
            return None
        point, value = found
        which = "this one does" if value == 0 else "of the points found, none does, and this is nearest"
        reason = f"no trial holds the limits yet; {which}"
        return Proposal(point, self._space.decode(point), "limits: nearest to what is allowed", reason)

    def _model_based(self, history: History, surrogate: Surrogate) -> Proposal | None:
        number = next_number(history)
        trials = evidence(history, self._objectives)
        rng = rng_for(self._seed, number)
        seen = tried(self._space, history) | {self._space.key(trial.point) for trial in history.others}
        if not any(self._encoding.allowed(trial.point) for trial in trials):
            return self._towards_limits(best_first(trials, self._objectives), rng, seen)
        found = choose(self._space, self._encoding, self._objectives, history, trials, surrogate, rng, seen)
        if found is None:
            why = "every candidate around the front and of the random draws was tried before"
            return self._random.propose(history, seen, number, "random: space nearly exhausted", why)
        attributes: dict[str, Any] = {HYPERPARAMETERS: surrogate.hyperparameters}
        if found.gain is not None:
            attributes[EXPECTED_GAIN] = found.gain
        configuration = self._space.decode(found.point)
        return Proposal(found.point, configuration, f"bayes: {found.acquisition}", found.reason, attributes)
