"""Optimiser steps that a job's evaluations take."""

from __future__ import annotations

from collections.abc import Iterable

from search.ledger import Trial
from storage.records import EvaluationRecord


def steps_used(trials: Iterable[Trial]) -> int:
    """Of all evaluations: each in full, also one that still runs or failed, once however often it was tried."""
    return sum(_steps(trial, record) for trial in trials for record in trial.evaluations.values())


def _steps(trial: Trial, record: EvaluationRecord) -> int:
    """A sampled trial's run on a rung goes on from its checkpoint on the rung below."""
    if record.purpose != "rung" or trial.record.kind != "search":
        return record.stop_step
    below = [
        other.stop_step
        for other in trial.evaluations.values()
        if (other.purpose, other.seed, other.state) == ("rung", record.seed, "completed")
        and other.stop_step < record.stop_step
    ]
    return record.stop_step - max(below, default=0)
