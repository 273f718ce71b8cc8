"""A job's minutes and steps: what is used, over all its owners, and what is kept back for the finalists."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from search.job import JobSpec
from search.ledger import Ledger
from search.steps import steps_used
from search.stop import finalists_minutes, finalists_steps, steps_are_up


@dataclass
class Timekeeper:
    """Counts from its own beginning on; the job's earlier owners left their time in its progress."""

    spec: JobSpec
    ledger: Ledger
    slots: int
    """Evaluations that run side by side."""
    clock: Callable[[], float] = time.monotonic
    _before: float = field(init=False)
    _began: float = field(init=False)

    def __post_init__(self) -> None:
        self._before = float(self.ledger.job.progress.get("elapsed_seconds", 0.0))
        self._began = self.clock()

    @property
    def seconds(self) -> float:
        """Wall time of this job over all its owners."""
        return self._before + self.clock() - self._began

    @property
    def is_up(self) -> bool:
        return self.seconds >= self._limit

    @property
    def is_the_finalists(self) -> bool:
        """The minutes, or the steps, that are left are kept for the finalists."""
        minutes_up = self.seconds >= self._limit - 60 * self.kept_minutes
        return minutes_up or steps_are_up(self.spec.budget, self.steps, self.kept_steps)

    @property
    def steps(self) -> int:
        """Optimiser steps of all evaluations so far; those that run count in full."""
        return steps_used(self.ledger.trials.values())

    @property
    def kept_steps(self) -> int:
        """Kept back for the finalists; 0 without a limit on steps."""
        return finalists_steps(self.spec.budget, self._finalists)

    @property
    def search_seconds_left(self) -> float:
        """Until the finalists' minutes begin; infinite without a limit."""
        return self._limit - 60 * self.kept_minutes - self.seconds

    @property
    def kept_minutes(self) -> float:
        """Kept back for the finalists; 0 without a limit on minutes."""
        lasting = self._full_runs()
        mean = sum(lasting) / len(lasting) / 60 if lasting else None
        return finalists_minutes(self.spec.budget, self._finalists, mean, self.slots)

    @property
    def fits_another_finalist(self) -> bool:
        """Whether the longest full run so far would still end within the minutes, and another within the steps."""
        in_time = self.seconds + max(self._full_runs(), default=0.0) <= self._limit
        return in_time and not steps_are_up(self.spec.budget, self.steps, 0)

    @property
    def _finalists(self) -> int:
        """Runs of finalists, at most."""
        return self.spec.finalists.count * self.spec.finalists.seeds

    @property
    def _limit(self) -> float:
        minutes = self.spec.budget.minutes
        return float("inf") if minutes is None else 60 * minutes

    def _full_runs(self) -> list[float]:
        """Seconds of each full run from the start with an adapter: the head alone is quicker than any finalist."""
        return [
            measured.total_seconds
            for trial in self.ledger.trials.values()
            for record, measured in trial.measured("baseline", "finalist")
            if record.stop_step == self.spec.budget.steps and trial.plan.entries
        ]
