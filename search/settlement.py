"""What a trial's evaluations make of it: its state, its summary, and why it failed.

A function of the evaluations alone, so that a trial whose loop was killed between an evaluation's end and the trial's
own change is settled by the next owner.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search.ledger import Trial
from search.objectives import Objectives
from search.point import point_of
from storage.states import TrialState


@dataclass(frozen=True)
class Settlement:
    """What to write of a trial; `summary` and `failure` are None where there is none."""

    state: TrialState
    summary: Mapping[str, float] | None = None
    failure: Mapping[str, Any] | None = None


def settle(trial: Trial, objectives: Objectives, full_steps: int, fresh_seeds: Sequence[int]) -> Settlement:
    """What `trial` is now. While an evaluation of it is still to end, its state stays as it is.

    A failed re-run of a finalist, or of one of a baseline's seeds, costs the trial that seed only.
    """
    summary = _summary(trial, objectives, full_steps)
    if trial.ended or trial.active:
        return Settlement(trial.record.state, summary)
    failure = _failure(trial, fresh_seeds)
    if failure is not None:
        return Settlement("failed", summary, failure)
    if trial.record.kind == "search":
        done = trial.measured_to(full_steps, "rung")
    else:
        done = all(trial.evaluation("baseline", full_steps, seed) is not None for seed in fresh_seeds)
    return Settlement("completed" if done else trial.record.state, summary)


def _summary(trial: Trial, objectives: Objectives, full_steps: int) -> dict[str, float] | None:
    """What is reported of the trial: its point, or what its longest run measured."""
    point = point_of(trial, objectives, full_steps)
    if point is not None:
        return {**point.values, "fidelity": 1.0}
    measured = trial.measured()
    if not measured:
        return None
    record, longest = measured[-1]
    return {**longest.metrics, "fidelity": record.fidelity}


def _failure(trial: Trial, fresh_seeds: Sequence[int]) -> Mapping[str, Any] | None:
    """The failure that ends the trial: a rung's, or that of the last seed of a baseline none of whose seeds ran."""
    failed = [record for record in trial.evaluations.values() if record.state == "failed"]
    deciding = [record for record in failed if record.purpose == "rung"]
    seeds = [record for record in failed if record.purpose == "baseline"]
    if len(seeds) == len(fresh_seeds):
        deciding += seeds
    if not deciding or deciding[-1].failure is None:
        return None
    return {key: deciding[-1].failure[key] for key in ("reason", "message")}
