"""The ladder: which trial climbs to which rung next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from search.ledger import Trial
from search.objectives import Objectives
from search.promote import Floats, promotable, rung_trial, rung_values, tolerances


@dataclass(frozen=True)
class Climb:
    """`trial` is to be trained on to `stop_step`; why, in words for the user."""

    trial: Trial
    stop_step: int
    reason: str


@dataclass(frozen=True)
class Ladder:
    """Rungs by their last step, ascending; the last is the full run."""

    steps: tuple[int, ...]
    objectives: Objectives

    def promotion(self, trials: Sequence[Trial], *, last_call: bool) -> Climb | None:
        """The trial to promote now, from the highest rung that has one; None when none may climb yet.

        `last_call`: nothing new will be sampled, so every trial that can still enter the front climbs.
        """
        return next(iter(self.promotions(trials, last_call=last_call)), None)

    def promotions(self, trials: Sequence[Trial], *, last_call: bool) -> Iterator[Climb]:
        """All that may climb now, from the highest rung down, the best of a rung first."""
        alive = [trial for trial in trials if trial.record.state != "failed"]
        for level in range(len(self.steps) - 2, -1, -1):
            here, above = self.steps[level], self.steps[level + 1]
            measured = {
                trial.number: metrics
                for trial in alive
                if (metrics := rung_metrics(trial, here, self.objectives)) is not None
            }
            rung = [
                rung_trial(self.objectives, trial.number, measured[trial.number], self._climbed(trial, here))
                for trial in alive
                if trial.number in measured
            ]
            by_number = {trial.number: trial for trial in alive}
            order = promotable(rung, tolerances(self.objectives, self._pairs(alive, here)), last_call=last_call)
            for number in order:
                if not by_number[number].ended:
                    yield Climb(by_number[number], above, _words(here, len(rung), last_call=last_call))

    def why_left(self, trial: Trial) -> str:
        """Why a trial that was not trained in full is not trained on when the sampling has ended."""
        reached = max((record.stop_step for record, _ in trial.measured()), default=0)
        if not reached:
            return "the search ended before its turn"
        return f"at step {reached} others are better by more than the noise, or the search ended before its turn"

    def _climbed(self, trial: Trial, step: int) -> bool:
        return any(record.purpose == "rung" and record.stop_step > step for record in trial.evaluations.values())

    def _pairs(self, trials: Sequence[Trial], step: int) -> list[tuple[Floats, Floats]]:
        pairs: list[tuple[Floats, Floats]] = []
        for trial in trials:
            low = rung_metrics(trial, step, self.objectives)
            above = [rung_metrics(trial, each, self.objectives) for each in self.steps if each > step]
            higher = [metrics for metrics in above if metrics is not None]
            if low is not None and higher:
                pairs.append((rung_values(self.objectives, low), rung_values(self.objectives, higher[-1])))
        return pairs


def rung_metrics(trial: Trial, step: int, objectives: Objectives) -> dict[str, float] | None:
    """What the trial's rung that ends at `step` measured; None before it measured every objective."""
    for record, measurement in trial.measured("rung"):
        if record.stop_step == step and objectives.measured(measurement.metrics):
            return measurement.metrics
    return None


def _words(step: int, measured: int, *, last_call: bool) -> str:
    if last_call:
        return f"nothing new is sampled, and at step {step} no other is better by more than the noise"
    return f"among the best of {measured} measured at step {step}, by non-dominated sorting"
