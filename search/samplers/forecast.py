"""What a sampler with a model expects of trials that wait: the second, optional contract beside `Sampler`.

Loads no tensor library.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from search.samplers.sampler import History, Proposal


@dataclass(frozen=True)
class Forecast:
    """What the full run of one waiting trial is expected to bring."""

    trial: int
    fidelity: float
    """Of its longest run when this was said, 0 before its first: what is said holds until it runs on."""
    probability: float
    """That it enters the front: feasible, and dominated by no trial that was trained in full or is being trained so.
    Said with care: deviations are stretched until they hold 95% of the full runs that the model was not shown."""
    gain: float
    """Hypervolume that it is expected to add, on the job's scale."""


@dataclass(frozen=True)
class Answer:
    """New configurations to try, and what is expected of these and of the trials that wait."""

    proposals: list[Proposal]
    forecasts: list[Forecast] | None = None
    """In order of the trials' numbers; None while there is no model."""
    full_runs: int = 0
    """Trials trained in full that the model has seen."""


@dataclass(frozen=True)
class Standing:
    """Where the trials of a history stand on the ladder, by number; what is in neither is no longer on it."""

    waiting: frozenset[int] = field(default_factory=frozenset)
    """Not yet begun, or measured at a rung below the full run and not running."""
    finishing: frozenset[int] = field(default_factory=frozenset)
    """Being trained to the full run."""


@runtime_checkable
class Forecaster(Protocol):
    """A `Sampler` that also forecasts."""

    def ask(self, history: History, n: int) -> list[Proposal]: ...

    def ask_and_forecast(self, history: History, n: int, standing: Standing) -> Answer:
        """`ask`, and the forecasts of the proposals and of what waits. `n` may be 0.

        Same history, same standing, same answer.
        """
        ...


def fidelity_of(history: History, waiting: Sequence[int]) -> dict[int, float]:
    """Fidelity of the longest run of each of `waiting`, 0 where there is none."""
    longest = {trial.number: trial.best_observation for trial in history.trials}
    return {number: seen.fidelity if (seen := longest[number]) is not None else 0.0 for number in waiting}
