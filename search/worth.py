"""What a waiting trial is worth by the second: the model's say in what runs next. Loads no tensor library.

Freeze-thaw (Swersky et al. 2014, arXiv 1406.3896) for several objectives: a trial that waits on a rung and a
configuration that has not begun are rated alike, by the hypervolume that the full run is expected to add over the
seconds that it still costs to the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from search.samplers.forecast import Forecast

HOPELESS = 0.01
"""Probability of entering the front, carefully told, below which a trial leaves the ladder."""
FULL_RUNS_TO_DROP = 8
"""Full runs that the model has seen before it may say so: with fewer its errors are not known well enough."""


@dataclass(frozen=True)
class Waiting:
    """A trial that could run on."""

    forecast: Forecast
    remaining: float
    """Seconds to the full run, every rung's own part included."""

    @property
    def trial(self) -> int:
        return self.forecast.trial

    @property
    def rate(self) -> float:
        """Expected gain in hypervolume by the second."""
        return self.forecast.gain / max(self.remaining, 1e-9)


def best(waiting: Sequence[Waiting], seconds_left: float) -> Waiting | None:
    """The highest rate among those that can be trained in full in the time left; among all if none can."""
    in_time = [each for each in waiting if each.remaining <= seconds_left]
    order = sorted(in_time or waiting, key=lambda each: (-each.rate, -each.forecast.probability, each.trial))
    return order[0] if order else None


def hopeless(forecast: Forecast, full_runs: int) -> bool:
    return full_runs >= FULL_RUNS_TO_DROP and forecast.fidelity > 0 and forecast.probability < HOPELESS


def words(waiting: Waiting) -> str:
    """Why it was chosen."""
    said = waiting.forecast
    return (
        f"best expected gain by the second ({waiting.rate:.2g} of hypervolume): {said.gain:.2g} for about "
        f"{waiting.remaining:.0f} s more to the full run; enters the front with probability {said.probability:.2f}, "
        f"forecast at {said.fidelity:.0%} of the full steps"
    )
