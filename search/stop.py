"""When a search ends: trials, minutes, steps, or little left to gain (docs/stopping.md). Loads no tensor library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from search.gain import Gain
from search.job import BudgetSpec

Rule = Literal["trials", "minutes", "steps", "flat", "gain"]

GROWTH = 1e-4
"""Growth of the hypervolume, as a share of what it was, that does not count."""


@dataclass(frozen=True)
class Stop:
    """Why no further configuration is sampled, in words for the user."""

    rule: Rule
    reason: str


@dataclass(frozen=True)
class SoFar:
    """Where a search stands."""

    sampled: int
    """Configurations proposed so far, baselines left out."""
    minutes: float = 0.0
    kept_minutes: float = 0.0
    """Kept back for the finalists (`finalists_minutes`)."""
    steps: int = 0
    """Of all evaluations so far, in full where they still run."""
    kept_steps: int = 0
    """Kept back for the finalists (`finalists_steps`)."""
    hypervolumes: Sequence[float] = ()
    """The front's, after each trial that was trained in full, in the order they ended."""
    gain: Gain | None = None


def stop(budget: BudgetSpec, so_far: SoFar) -> Stop | None:
    """The rule that ends the sampling now, or None."""
    if budget.minutes is not None and so_far.minutes >= budget.minutes - so_far.kept_minutes:
        kept = _kept(f"{so_far.kept_minutes:.1f}" if so_far.kept_minutes > 0 else "")
        return Stop("minutes", f"{so_far.minutes:.1f} of {budget.minutes:g} minutes are used{kept}")
    if budget.total_steps is not None and steps_are_up(budget, so_far.steps, so_far.kept_steps):
        kept = _kept(f"{so_far.kept_steps:,}" if so_far.kept_steps else "")
        return Stop("steps", f"{so_far.steps:,} of {budget.total_steps:,} steps are used{kept}")
    if so_far.sampled >= budget.trials:
        return Stop("trials", f"all {budget.trials} trials are sampled")
    window = budget.flat_trials
    if window is not None and len(so_far.hypervolumes) > window:
        before = max(so_far.hypervolumes[:-window])
        if before > 0 and max(so_far.hypervolumes[-window:]) <= before * (1 + GROWTH):
            ahead = f"; {so_far.gain.words}" if so_far.gain is not None else ""
            return Stop("flat", f"the hypervolume has not grown for {window} trials trained in full{ahead}")
    least = budget.least_gain
    if least is not None and so_far.gain is not None and so_far.gain.ceiling < least:
        return Stop("gain", f"{so_far.gain.words}; below {least:.2%} the search was to end")
    return None


def _kept(amount: str) -> str:
    return f", {amount} of them kept for the finalists" if amount else ""


def steps_are_up(budget: BudgetSpec, used: int, kept: int) -> bool:
    """Whether another evaluation, of full length at most, might take from what is kept; never without a limit."""
    return budget.total_steps is not None and used + budget.steps > budget.total_steps - kept


def finalists_steps(budget: BudgetSpec, evaluations: int) -> int:
    """Steps of the budget to keep back for so many runs of finalists: never more than half; 0 without a limit."""
    if budget.total_steps is None:
        return 0
    return min(evaluations * budget.steps, budget.total_steps // 2)


def finalists_minutes(budget: BudgetSpec, evaluations: int, full_minutes: float | None, workers: int) -> float:
    """Minutes of the budget to keep back for the finalists; 0 without a limit on minutes.

    `evaluations`: finalists times seeds. `full_minutes`: mean wall time of one full-fidelity evaluation, None before
    the first is known. Never more than half the budget: a search that cannot afford its finalists re-runs fewer of
    them.
    """
    if budget.minutes is None or not evaluations:
        return 0.0
    if full_minutes is None:
        return budget.minutes * 0.2
    rounds = -(-evaluations // workers)
    return min(rounds * full_minutes, budget.minutes / 2)
