"""Which waiting trial runs on, by the sampler's forecasts: the ladder's rule where there is a model."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from search.costs import Costs, Stretch, fit_costs
from search.ladder import Climb, Ladder
from search.ledger import Ledger, Trial
from search.outlook import Outlook
from search.samplers.forecast import Forecast
from search.worth import HOPELESS, Waiting, best, hopeless, words


@dataclass
class Thaw:
    """Rates the trials of one job that wait, those not yet begun included."""

    ladder: Ladder
    ledger: Ledger
    _costs: tuple[int, Costs] = field(default=(-1, Costs()), init=False)

    def choice(self, outlook: Outlook, seconds_left: float, *, last_call: bool) -> Climb | None:
        """What to run next; None when nothing may.

        Of the trials that the ladder would let climb, that of the best gain a second; while new configurations wait,
        only if that is no less than theirs. At the `last_call` nothing new waits, and all climb that may enter.
        """
        waiting = {each.trial: each for each in self._waiting(outlook)}
        climbs = list(self.ladder.promotions(self.ledger.of_kind("search"), last_call=last_call))
        paused = [waiting[climb.trial.number] for climb in climbs if climb.trial.number in waiting]
        new = [each for each in waiting.values() if each.forecast.fidelity == 0]
        likely = [each for each in paused if last_call or each.forecast.probability >= HOPELESS]
        chosen = best(likely, seconds_left)
        fresh = best(new, seconds_left)
        if chosen is not None and (fresh is None or chosen.rate >= fresh.rate):
            return self._climb(chosen)
        for climb in climbs:
            if climb.trial.number not in waiting:  # measured since the model was asked
                return climb
        return None if fresh is None else self._climb(fresh)

    def _climb(self, chosen: Waiting) -> Climb:
        trial = self.ledger.trials[chosen.trial]
        return Climb(trial, self._rungs_above(trial)[0], words(chosen))

    def dropped(self, outlook: Outlook) -> list[tuple[Trial, str]]:
        """Trials that leave the ladder, and why."""
        found = []
        for each in self._waiting(outlook):
            if hopeless(each.forecast, outlook.full_runs):
                why = (
                    f"enters the front with probability {each.forecast.probability:.3f}, carefully told, after "
                    f"{each.forecast.fidelity:.0%} of the full steps"
                )
                found.append((self.ledger.trials[each.trial], why))
        return found

    def _waiting(self, outlook: Outlook) -> list[Waiting]:
        """What waits now and stands where it stood when it was forecast."""
        return [
            self._priced(outlook.forecasts[number])
            for number in sorted(self.ledger.standing().waiting & outlook.forecasts.keys())
            if fidelity(self.ledger.trials[number]) == outlook.forecasts[number].fidelity
        ]

    def _priced(self, forecast: Forecast) -> Waiting:
        trial = self.ledger.trials[forecast.trial]
        reached = [step for step in self.ladder.steps if step <= forecast.fidelity * self.ladder.steps[-1] + 0.5]
        stops = [reached[-1] if reached else 0, *self.ladder.steps[len(reached) :]]
        stretches = [high - low for low, high in pairwise(stops)]
        return Waiting(forecast, self.costs.seconds(methods(trial), stretches))

    def _rungs_above(self, trial: Trial) -> list[int]:
        longest = max((record.stop_step for record, _ in trial.measured("rung")), default=0)
        return [step for step in self.ladder.steps if step > longest]

    @property
    def costs(self) -> Costs:
        """Fitted anew when an evaluation has ended since."""
        count = self.ledger.measured_on_rungs
        if self._costs[0] != count:
            trials = self.ledger.of_kind("search")
            self._costs = count, fit_costs([each for trial in trials for each in stretches(trial)])
        return self._costs[1]


def stretches(trial: Trial) -> list[Stretch]:
    """What each of the trial's rungs took; each goes on from the one below."""
    begin, found = 0, []
    for record, measurement in trial.measured("rung"):
        if record.stop_step > begin:
            found.append(Stretch(methods(trial), record.stop_step - begin, measurement.total_seconds))
            begin = record.stop_step
    return found


def methods(trial: Trial) -> str:
    return "+".join(trial.plan.methods)


def fidelity(trial: Trial) -> float:
    """Of the trial's longest run on a rung, 0 before its first."""
    return max((record.fidelity for record, _ in trial.measured("rung")), default=0.0)
