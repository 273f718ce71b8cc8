"""The sampler's contract: from what is known and what is running to what to try next. Loads no tensor library.

Same history and same trial number, same proposal, across restarts: a sampler keeps no state of its own, and draws its
random numbers from (seed, number of the trial it proposes for).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from space.configuration import Configuration
from space.encode import Point

EXPECTED_GAIN = "expected_gain"
"""Attribute of a proposal: the hypervolume that the sampler's model expects it to add at full fidelity, in the scaled
objectives; left out by samplers without such a model."""
UNSELECTED = "unselected"
"""Attribute of a proposal that another job chose, in a job that searches for nothing itself."""


@dataclass(frozen=True)
class Observation:
    """One finished evaluation of a trial: `values` holds every metric of the measurement (plain metric values, not
    negated), taken after `fidelity` of the full steps."""

    fidelity: float
    seed: int
    values: Mapping[str, float]


@dataclass(frozen=True)
class PastTrial:
    """One trial of the job, finished, running or failed."""

    number: int
    point: Point
    configuration: Configuration | None
    """None for the trial of a plain Optuna study: its point is all there is."""
    state: Literal["running", "completed", "failed"]
    """`completed` also when it left the ladder early; `observations` say how far it came."""
    observations: tuple[Observation, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)
    """What the sampler that proposed it wants back (Optuna's system attributes)."""

    @property
    def best_observation(self) -> Observation | None:
        """The observation of the highest fidelity (the first, among equals)."""
        return max(self.observations, key=lambda observation: observation.fidelity, default=None)


@dataclass(frozen=True)
class History:
    """Everything that a sampler may know, ordered by trial number."""

    trials: tuple[PastTrial, ...] = ()
    others: tuple[PastTrial, ...] = ()
    """Configurations of the space that no sampler proposed and that run beside the search: hand-made baselines."""


@dataclass(frozen=True)
class Proposal:
    """One configuration to try, with the strategy that made it and why, in words for the user."""

    point: Point
    configuration: Configuration
    strategy: str
    reason: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


class Sampler(Protocol):
    def ask(self, history: History, n: int) -> list[Proposal]:
        """Propose `n` configurations for the trials numbered from the history's next on.

        Proposals are valid in the space, within its limits, and of plans not yet in the history nor twice in the
        answer, as long as the space has such; fewer than `n` (or none) once it is exhausted.
        """
        ...
