"""A study's objectives and constraints on the scales that the model-based search works with, taken from its trials.

A job fixes its scales when it is submitted; a study says nothing but directions, so scales and reference point follow
what was measured. They rest on the trials of the study's design, which are spread over the space: were they to follow
all, the hypervolume would shrink to where the search already is. And they are robust: a terrible trial moves neither,
unlike the worst value seen (which Optuna's BoTorch sampler takes).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from search.objectives import Constraint, Objective, Objectives
from search.pareto import non_dominated
from search.samplers.bayes.design import STUDY_LEAST
from search.scales import Scale

Floats = NDArray[np.float64]

WORTH_HAVING = 0.9
"""Share of their values that lie between best (0 on the scale) and worst worth having (1); the others lie beyond."""
MARGIN = 0.1
"""The reference point lies beyond the front's worst values by this share of the front's range at least."""
DRAWN_OUT = 1.5
"""And on the scale it lies here at least: the few trials of a design seldom show the ends of a front, and what lies
beyond the reference point is not looked for."""


class _Measured:
    """A study says of no value what it is."""

    @property
    def quality(self) -> bool:
        return False


class StudyObjective(_Measured, Objective):
    """The objective of a study, by its place."""


class StudyConstraint(_Measured, Constraint):
    """A constraint of a study, by its name: it holds at 0 and below."""


def objective_name(index: int) -> str:
    return f"value {index}"


def constraint_name(name: str) -> str:
    return f"constraint {name}"


def constraint_names(trials: Sequence[FrozenTrial]) -> list[str]:
    """The constraints that any trial reports, in the order in which they are first seen."""
    return list(dict.fromkeys(name for trial in trials for name in trial.constraints))


def finite_values(trials: Sequence[FrozenTrial], count: int) -> Floats:
    """The values of completed trials, infinite ones cut to the largest and smallest finite ones. Shape [n, count]."""
    values = np.array([trial.values for trial in trials if trial.state == TrialState.COMPLETE], dtype=np.float64)
    values = values.reshape(-1, count)
    finite = np.where(np.isfinite(values), values, np.nan)
    if not len(values):
        return values
    low = [np.nanmin(column) if np.isfinite(column).any() else 0.0 for column in finite.T]
    high = [np.nanmax(column) if np.isfinite(column).any() else 0.0 for column in finite.T]
    return np.clip(values, low, high)


def study_objectives(
    trials: Sequence[FrozenTrial],
    directions: Sequence[StudyDirection],
    reference: Sequence[float] | None = None,
    design: int = STUDY_LEAST,
) -> Objectives:
    """The objectives of a study; `reference`: the hypervolume's reference point, in the objectives' own units;
    `design`: trials of the study's design."""
    first = max(design, STUDY_LEAST)
    signs = np.array([-1.0 if direction == StudyDirection.MAXIMIZE else 1.0 for direction in directions])
    done = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    values = finite_values(done, len(signs)) * signs
    feasible = np.array([all(bound <= 0 for bound in trial.constraints.values()) for trial in done], dtype=bool)
    objectives = []
    for index, sign in enumerate(signs):
        best, worst, edge = _ends(values, feasible, index, first)
        if reference is not None:
            edge = float(sign * reference[index])
        scale = Scale(best=float(sign * best), worst=float(sign * worst))
        goal: Literal["minimize", "maximize"] = "minimize" if sign > 0 else "maximize"
        objectives.append(
            StudyObjective(metric=objective_name(index), goal=goal, scale=scale, reference=float(sign * edge))
        )
    constraints = [_constraint(name, done, first) for name in constraint_names(done)]
    return Objectives(
        objectives=tuple(objectives), constraints=tuple(constraints), loss_scale=Scale(best=0.0, worst=1.0)
    )


def _ends(values: Floats, feasible: NDArray[np.bool_], index: int, first: int) -> tuple[float, float, float]:
    """Best value, worst worth having, and reference of one objective, minimised."""
    if not len(values):
        return 0.0, 1.0, 1.0
    column = values[:, index]
    best, usual = float(column.min()), _usual(column[:first])
    kept = values[feasible]
    front = kept[non_dominated(kept)][:, index] if len(kept) else column[:0]
    nadir = float(front.max(initial=best))
    edge = max(nadir + MARGIN * float(np.ptp(front) if len(front) else 0.0), best + DRAWN_OUT * (usual - best))
    worst = max(usual, nadir)
    if not worst > best:
        worst = max(float(column.max()), best + 1e-6 * max(abs(best), 1.0))
    return best, worst, max(edge, best + MARGIN * (worst - best))


def _usual(values: Floats) -> float:
    """A bound that most of the values hold, and no outlier among them moves."""
    return float(np.quantile(values, WORTH_HAVING, method="lower"))


def _constraint(name: str, trials: Sequence[FrozenTrial], first: int) -> StudyConstraint:
    sizes = [abs(trial.constraints[name]) for trial in trials if name in trial.constraints]
    finite = [size for size in sizes if math.isfinite(size)]
    usual = _usual(np.array(finite[:first])) if finite else 1.0
    scale = Scale(best=0.0, worst=usual or max(finite, default=0.0) or 1.0).drawn_out(0.0)
    return StudyConstraint(metric=constraint_name(name), limit=0.0, sign=1, scale=scale)
