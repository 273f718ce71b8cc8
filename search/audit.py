"""The proxy audits itself: how well do short runs order configurations as full ones do?

What climbs the ladder was selected, so it cannot answer. A random slice of the sampled trials is therefore audited:
each climbs to the top whatever its rank. At every rung below, the value that trials are ranked by there (the held-out
loss in place of a quality, `search.promote.rung_values`) is correlated with the job's quality at the top, and with the
loss there.

- Which trials are audited is a function of the job's seed and the trial's place among the sampled ones, one in each
  stretch of 1/share trials, drawn at random within it.
- Audits take at most `STEPS_PER_SHARE` times their share of the search's steps: a tenth of the trials, a fifth of the
  steps. One that has no room waits, in the order of the trials.
- Only audited trials before the first that is still on its way count: one that got to the top earlier by its rank must
  not come in before those that did not.
- Where even the upper end of the lowest rung's interval is below `SHORT`, from `ENOUGH` trials on, and the next rung
  does better, new trials start at the next rung. A rung once left is not taken up again, and the last rung but one is
  never left: without comparisons there is no ladder.

Loads no tensor library.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from search.correlation import Correlation, kendall, spearman
from search.ladder import Climb, rung_metrics
from search.ledger import Trial
from search.objectives import Objective, Objectives
from search.promote import rung_values

STEPS_PER_SHARE = 2.0
"""Times `share`: of the steps of all sampled trials, the most that audited ones take beyond their first rung."""
ENOUGH = 8
"""Audited trials from which on the lowest rung may be left."""
SHORT = 0.5
"""Spearman correlation with the quality in full that a rung should have."""
REASON = "drawn at random for the audit of short runs, which trains it in full whatever its rank"
"""Why an audited trial climbs, in words for the user."""


@dataclass(frozen=True)
class Agreement:
    """How a rung's order agrees with that of `metric` in full; None before there are enough pairs."""

    metric: str
    spearman: Correlation | None
    kendall: Correlation | None


@dataclass(frozen=True)
class RungAudit:
    """One rung below the top, over the audited trials that were measured at both."""

    step: int
    pairs: int
    agreements: tuple[Agreement, ...]
    """With the job's quality first, then, where that is another metric, with what rungs are ranked by."""


@dataclass(frozen=True)
class Rise:
    """New trials start at `step`; why, in words for the user."""

    step: int
    words: str


@lru_cache(maxsize=1 << 16)
def is_audited(seed: int, place: int, share: float) -> bool:
    """Whether the sampled trial at `place` (counted from 0, baselines left out) is audited, of a `share` in [0, 1]."""
    if share <= 0:
        return False
    stretch = math.floor(place * share)
    first, end = math.ceil(stretch / share), math.ceil((stretch + 1) / share)
    # A third number keeps these draws apart from the samplers', which are seeded by (seed, trial number).
    return place == int(np.random.default_rng([seed, stretch, 1]).integers(first, end))


@dataclass(frozen=True)
class Audit:
    """Of one job. `steps`: the rungs' last steps, ascending, the last the full run; with a single one there is nothing
    to audit."""

    steps: tuple[int, ...]
    objectives: Objectives
    seed: int
    share: float

    @property
    def on(self) -> bool:
        return self.share > 0 and len(self.steps) > 1

    @property
    def objective(self) -> Objective:
        """What rungs should foretell: the first quality, else the first objective that training decides."""
        learned = [each for each in self.objectives.objectives if not each.known]
        return next((each for each in learned if each.quality), learned[0])

    def audited(self, trials: Sequence[Trial]) -> list[Trial]:
        """Of the job's sampled trials, in their order."""
        if not self.on:
            return []
        return [trial for place, trial in enumerate(trials) if is_audited(self.seed, place, self.share)]

    def counted(self, trials: Sequence[Trial]) -> list[Trial]:
        """The audited trials that the correlations are taken over; those that failed say nothing."""
        found: list[Trial] = []
        for trial in self.audited(trials):
            if trial.record.state in ("failed", "cancelled"):
                continue
            if rung_metrics(trial, self.steps[-1], self.objectives) is None:
                break
            found.append(trial)
        return found

    def climb(self, trials: Sequence[Trial]) -> Climb | None:
        """The next audited trial's next rung, where there is room for it. `trials`: all sampled ones."""
        beyond = sum(self._beyond_first(trial) for trial in self.audited(trials))
        most = min(1.0, STEPS_PER_SHARE * self.share)
        room = most * sum(max(_rungs(trial), default=0) for trial in trials) - beyond
        for trial in self.audited(trials):
            reached = max(_rungs(trial), default=None)
            if trial.ended or trial.active or reached is None or reached >= self.steps[-1]:
                continue
            above = next(step for step in self.steps if step > reached)
            # What a climb adds is added to both sides.
            return Climb(trial, above, REASON) if (1 - most) * (above - reached) <= room else None
        return None

    def rungs(self, trials: Sequence[Trial]) -> list[RungAudit]:
        """Each rung below the top, from the lowest."""
        counted = self.counted(trials)
        return [self._rung(counted, step) for step in self.steps[:-1]] if self.on else []

    def rise(self, trials: Sequence[Trial], lowest: int) -> Rise | None:
        """Whether new trials no longer start at the step `lowest`, and why."""
        index = self.steps.index(lowest)
        if not self.on or index + 2 >= len(self.steps):
            return None
        here, above = self.rungs(trials)[index : index + 2]
        found, better = here.agreements[0].spearman, above.agreements[0].spearman
        if found is None or better is None or here.pairs < ENOUGH:
            return None
        if found.high >= SHORT or better.value <= found.value:
            return None
        full = self.steps[-1]
        words = (
            f"the rung at {lowest / full:.0%} of the steps orders configurations too unlike full runs: Spearman "
            f"{found.value:.2f} (95% from {found.low:.2f} to {found.high:.2f}) with {self.objective.metric} in full, "
            f"over {here.pairs} audited trials, where {SHORT:g} is wanted; new configurations start at "
            f"{above.step / full:.0%} ({better.value:.2f})"
        )
        return Rise(above.step, words)

    def _rung(self, counted: Sequence[Trial], step: int) -> RungAudit:
        column = self.objectives.names.index(self.objective.metric)
        rows: list[tuple[float, float, float]] = []
        for trial in counted:
            low, full = (rung_metrics(trial, each, self.objectives) for each in (step, self.steps[-1]))
            if low is not None and full is not None:
                by, at_top = (float(rung_values(self.objectives, each)[column]) for each in (low, full))
                rows.append((by, self.objective.minimised(full[self.objective.metric]), at_top))
        ranked, quality, loss = ([row[index] for row in rows] for index in range(3))
        agreements = [Agreement(self.objective.metric, spearman(ranked, quality), kendall(ranked, quality))]
        if self.objective.quality and self.objective.metric != "loss":
            agreements.append(Agreement("loss", spearman(ranked, loss), kendall(ranked, loss)))
        return RungAudit(step, len(rows), tuple(agreements))

    def _beyond_first(self, trial: Trial) -> int:
        rungs = _rungs(trial)
        return max(rungs) - min(rungs) if rungs else 0


def _rungs(trial: Trial) -> list[int]:
    """Steps that a rung of the trial was, or is being, trained to."""
    return [record.stop_step for record in trial.evaluations.values() if record.purpose == "rung"]
