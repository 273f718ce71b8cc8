"""Draws from the surrogate's joint posterior at full fidelity, as objectives and as what holds the constraints."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from search.objectives import Constraint, Objectives
from search.samplers.bayes.encoding import Encoding
from search.samplers.bayes.surrogate import FAILURE, Surrogate

Floats = NDArray[np.float64]


def objective_values(
    drawn: Floats, rows: Tensor, surrogate: Surrogate, encoding: Encoding, objectives: Objectives
) -> Floats:
    """Draws of every objective, minimised: draws x points x objectives; the known ones are the same in each.

    `drawn`: of the surrogate's metrics at `rows`, draws x points x metrics.
    """
    columns = []
    for index, objective in enumerate(objectives.objectives):
        if objective.known:
            exact = rows[:, encoding.inputs + encoding.known.index(index)].numpy()
            columns.append(np.broadcast_to(exact, drawn.shape[:2]))
        else:
            columns.append(drawn[:, :, surrogate.metrics.index(objective.metric)])
    return np.stack(columns, axis=-1)


def holds(drawn: Floats, surrogate: Surrogate, objectives: Objectives) -> NDArray[np.bool_]:
    """Whether each draw of each point holds the learned constraints and does not fail. Shape draws x points."""
    able = np.ones(drawn.shape[:2], dtype=bool)
    for bound in objectives.constraints:
        if not bound.known:
            able &= _within(bound, drawn[:, :, surrogate.metrics.index(bound.metric)])
    if FAILURE in surrogate.metrics:
        able &= drawn[:, :, surrogate.metrics.index(FAILURE)] <= 0.5
    return able


def _within(bound: Constraint, positions: Floats) -> NDArray[np.bool_]:
    direction = bound.sign * (1 if bound.scale.worst > bound.scale.best else -1)
    return np.asarray(direction * (positions - bound.scale.position(bound.limit)) <= 0)
