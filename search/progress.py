"""A job's progress as JSON: the front with what it says, counts, and the workers' busy time."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from search.front import Front
from search.front_report import report
from search.growth import gain_of
from search.job import JobSpec
from search.ledger import Ledger
from search.steps import steps_used


def progress_of(spec: JobSpec, ledger: Ledger, front: Front, history: list[list[float]]) -> dict[str, Any]:
    """What the store keeps of a job's progress, and `GET /jobs/{id}` and its front serve.

    `history`: of the front, rows of elapsed seconds, completed evaluations, hypervolume.
    """
    trials = list(ledger.trials.values())
    gain = gain_of(trials, front.objectives, spec.budget.steps)
    evaluations = [record for trial in trials for record in trial.evaluations.values()]
    return {
        "front": {**report(front, spec.sampler.seed), "history": history},
        "best": _best(front),
        "sampled": len(ledger.of_kind("search")),
        "trials": spec.budget.trials,
        "gain": None if gain is None else asdict(gain),
        "evaluations": {
            state: sum(record.state == state for record in evaluations) for state in ("completed", "running", "failed")
        },
        "steps": steps_used(trials),
        "busy_seconds": round(
            sum(
                measured.train_seconds + measured.evaluate_seconds
                for trial in trials
                for _, measured in trial.measured()
            ),
            3,
        ),
    }


def _best(front: Front) -> dict[str, float]:
    """The best value of each objective on the front."""
    best: dict[str, float] = {}
    for objective in front.objectives.objectives:
        found = [front.points[index].values[objective.metric] for index in front.on_front]
        if found:
            best[objective.metric] = max(found) if objective.goal == "maximize" else min(found)
    return best
