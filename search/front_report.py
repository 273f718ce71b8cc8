"""The front as JSON, as the job's progress holds it and `GET /jobs/{id}/front` serves it."""

from __future__ import annotations

from typing import Any

from search.front import Front
from search.metrics import METRICS
from search.point import Point
from search.probability import probabilities
from search.statement import statement


def report(front: Front, seed: int) -> dict[str, object]:
    """`seed` decides the draws that probabilities are counted from."""
    chances = probabilities(front, seed)
    knee_row = front.knee
    return {
        "points": [
            {**_point(front, point), "probability": chances.get(index), "on_front": index in front.on_front}
            for index, point in enumerate(front.points)
        ],
        "order": [front.points[index].trial.number for index in front.on_front],
        "objectives": [{"metric": each.metric, "goal": each.goal} for each in front.objectives.objectives],
        "hypervolume": front.hypervolume,
        "baseline_hypervolume": front.baseline_hypervolume,
        "reference": {each.metric: each.reference for each in front.objectives.objectives},
        "knee": None if knee_row is None else front.points[knee_row].trial.number,
        "statement": statement(front),
    }


def _point(front: Front, point: Point) -> dict[str, Any]:
    values = point.values
    return {
        "trial": point.trial.number,
        "kind": point.trial.record.kind,
        "name": point.trial.record.name,
        "methods": list(point.trial.plan.methods),
        "configuration": point.trial.record.configuration,
        "objectives": {name: values[name] for name in front.objectives.names},
        "metrics": {name: value for name, value in point.measured.items() if name in METRICS},
        "intervals": {
            name: list(point.estimates[name].interval) for name in front.objectives.names if name in point.estimates
        },
        "seeds": len(point.samples),
        "fresh": point.fresh,
        "test": point.test,
        "feasible": front.objectives.feasible(values),
    }
