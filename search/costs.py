"""What going on with a trial costs, learned from the job's own evaluations. Loads no tensor library.

An evaluation of so many steps takes `fixed + per_step * steps` seconds: `fixed` is attaching and one validation, paid
again by every rung. Methods differ in speed; each has a factor, drawn towards 1 while few of its runs are known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import nnls

PRIOR_RUNS = 2.0
"""Runs of a method that its factor needs to be worth as much as what is known of the others."""


@dataclass(frozen=True)
class Stretch:
    """One evaluation that ended."""

    method: str
    steps: int
    """Trained in it, at least 1."""
    seconds: float


@dataclass(frozen=True)
class Costs:
    fixed: float = 0.0
    """Seconds."""
    per_step: float = 1.0
    factors: dict[str, float] = field(default_factory=dict)

    def seconds(self, method: str, steps: Sequence[int]) -> float:
        """Of evaluations of so many steps each, one after the other."""
        plain = sum(self.fixed + self.per_step * each for each in steps)
        return plain * self.factors.get(method, 1.0)


def fit_costs(stretches: Sequence[Stretch]) -> Costs:
    """Non-negative least squares of relative errors, because what disturbs a measurement stretches it by a share.

    Before two lengths are known, seconds are proportional to steps; before any, they are steps.
    """
    known = [each for each in stretches if each.seconds > 0]
    if not known:
        return Costs()
    steps = np.array([each.steps for each in known], dtype=np.float64)
    seconds = np.array([each.seconds for each in known])
    if len(set(steps)) < 2:
        fixed, per_step = 0.0, float((seconds / steps).mean())
    else:
        rows = np.column_stack([np.ones(len(steps)), steps]) / seconds[:, None]
        (fixed, per_step), _ = nnls(rows, np.ones(len(steps)))
    ratios = np.log(seconds / (fixed + per_step * steps))
    methods = np.array([each.method for each in known])
    factors = {
        str(method): float(np.exp(ratios[methods == method].sum() / (PRIOR_RUNS + (methods == method).sum())))
        for method in np.unique(methods)
    }
    return Costs(float(fixed), float(per_step), factors)
