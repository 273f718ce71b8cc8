"""States of jobs, trials and evaluations, and the changes that are allowed between them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

JobState = Literal["queued", "running", "paused", "completed", "cancelled", "failed"]
TrialState = Literal["waiting", "running", "completed", "pruned", "failed", "cancelled"]
EvaluationState = Literal["queued", "running", "completed", "failed", "cancelled", "preempted"]

JobAction = Literal["cancel", "pause", "resume"]
JobRequest = Literal["cancel", "pause"]
JobEnd = Literal["completed", "cancelled", "failed", "paused"]
TrialKind = Literal["search", "baseline"]
Purpose = Literal["rung", "finalist", "baseline"]
EventKind = Literal["trial", "evaluation", "front", "state", "audit"]

JOB_STATES: tuple[JobState, ...] = get_args(JobState)
TRIAL_STATES: tuple[TrialState, ...] = get_args(TrialState)
EVALUATION_STATES: tuple[EvaluationState, ...] = get_args(EvaluationState)

TRIAL_CHANGES: Mapping[TrialState, frozenset[TrialState]] = {
    "waiting": frozenset({"waiting", "running", "completed", "pruned", "failed", "cancelled"}),
    "running": frozenset({"waiting", "running", "completed", "pruned", "failed", "cancelled"}),
    "completed": frozenset({"completed"}),
    "pruned": frozenset({"pruned"}),
    "failed": frozenset({"failed"}),
    "cancelled": frozenset({"cancelled"}),
}
"""Setting an ended trial to its own state again updates its summary: finalists add seeds to a completed trial."""

OPEN_TRIALS: tuple[TrialState, ...] = ("waiting", "running")
OPEN_EVALUATIONS: tuple[EvaluationState, ...] = ("queued", "running")
DELETABLE_JOBS: tuple[JobState, ...] = ("completed", "cancelled", "failed", "paused")
