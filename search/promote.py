"""Which trials climb from one rung to the next: asynchronous successive halving for several objectives.

The rule, for the trials measured at one rung (those that climbed already included):

1. Rank them by non-dominated sorting of their minimised values, ties within a front by the hypervolume that each
   alone contributes. A quality is ranked by the held-out loss, which orders short runs better than a small sample's
   accuracy.
2. A trial is *dominated for sure* when another at the same rung is at least as good in every objective and better in
   one even if each learned objective is wrong by the rung's `tolerance` in the other's favour. Costs known from the
   plan have no tolerance. Such a trial is dropped; no other trial ever is.
3. While new configurations are still sampled, of k measured trials the best floor(k / `ETA`) may have climbed: the best
   among them that have not are promotable (asynchronous successive halving, Li et al. 2020, arXiv 1810.05934).
4. Once nothing new will be sampled (`last_call`), every trial that is not dominated for sure is promotable, best
   first.

The tolerance is what the jobs' own climbed trials show (`tolerances`): how much a trial's distance to another changes
from this rung to the next. Loads no tensor library.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.objectives import Objectives
from search.pareto import contributions, ranks

Floats = NDArray[np.float64]

ETA = 3.0
"""One in so many of the trials measured at a rung climbs."""
DEFAULT_TOLERANCE = 0.1
"""Of a learned objective's scale, before enough trials have climbed to estimate it."""
ENOUGH_PAIRS = 5
COVERAGE = 1.645
"""Standard deviations that a tolerance spans: one-sided 95% of a normal distribution."""


@dataclass(frozen=True)
class RungTrial:
    """One trial as measured at a rung."""

    number: int
    values: Floats
    """Minimised, as `rung_values` gives them. Shape [objectives]."""
    promoted: bool = False
    feasible: bool = True
    """False when it breaks a constraint that longer training cannot mend: it never climbs."""


def rung_values(objectives: Objectives, values: Mapping[str, float]) -> Floats:
    """Minimised values to rank a short run by: a quality's place is taken by the held-out loss, where measured.

    Shape [objectives].
    """
    minimised = objectives.minimised(values)
    if "loss" in values:
        for index, objective in enumerate(objectives.objectives):
            if objective.quality:
                minimised[index] = objectives.loss_scale.position(values["loss"])
    return minimised


def rung_trial(objectives: Objectives, number: int, values: Mapping[str, float], promoted: bool) -> RungTrial:
    """One measurement as a rung sees it. A broken bound on a quality or a timing does not bar the way up."""
    final = np.array([constraint.fixed for constraint in objectives.constraints], dtype=bool)
    feasible = not (final & (objectives.violations(values) > 0)).any()
    return RungTrial(number, rung_values(objectives, values), promoted, bool(feasible))


def tolerances(objectives: Objectives, pairs: Sequence[tuple[Floats, Floats]] = ()) -> Floats:
    """By how much a comparison of two trials at a rung may be wrong, per objective. Shape [objectives].

    `pairs`: for each trial measured at this rung and at a higher one (or twice at this rung with different seeds),
    its `rung_values` in both. If a trial's change has standard deviation s, the difference of two trials' changes has
    s·√2; the tolerance covers 95% of it. With fewer than `ENOUGH_PAIRS`, `DEFAULT_TOLERANCE`; known costs have none.
    """
    learned = np.array([not objective.known for objective in objectives.objectives])
    if len(pairs) < ENOUGH_PAIRS:
        return np.where(learned, DEFAULT_TOLERANCE, 0.0)
    changes = np.array([high - low for low, high in pairs])
    return np.where(learned, COVERAGE * np.sqrt(2.0) * changes.std(axis=0, ddof=1), 0.0)


def dominated_for_sure(trials: Iterable[RungTrial], tolerance: Floats) -> frozenset[int]:
    """Numbers of the trials that cannot be on the front, whatever noise within `tolerance` (shape [objectives]) did.

    A trial that breaks a constraint neither dominates another nor stays.
    """
    everyone = list(trials)
    sure = {trial.number for trial in everyone if not trial.feasible}
    able = [trial for trial in everyone if trial.feasible]
    if able:
        values = np.array([trial.values for trial in able])
        worst = values[:, None, :] + tolerance
        beaten = (worst <= values[None, :, :]).all(axis=-1) & (worst < values[None, :, :]).any(axis=-1)
        sure |= {able[index].number for index in np.flatnonzero(beaten.any(axis=0))}
    return frozenset(sure)


def promotable(trials: Iterable[RungTrial], tolerance: Floats, *, last_call: bool = False) -> list[int]:
    """Numbers of the trials that may climb now, best first, by the module's rule.

    A trial left out is dropped only if `dominated_for_sure` names it; otherwise it waits.
    """
    everyone = list(trials)
    dropped = dominated_for_sure(everyone, tolerance)
    order = ranking([trial for trial in everyone if trial.number not in dropped])
    climbed = {trial.number for trial in everyone if trial.promoted}
    allowed = len(order) if last_call else int(len(everyone) / ETA)
    return [number for number in order[:allowed] if number not in climbed]


def ranking(trials: Sequence[RungTrial]) -> list[int]:
    """Numbers of `trials`, best first: by front, then by hypervolume contribution within the front, then by number."""
    if not trials:
        return []
    values = np.array([trial.values for trial in trials])
    front = ranks(values)
    share = np.zeros(len(trials))
    for level in np.unique(front):
        members = np.flatnonzero(front == level)
        low, span = values[members].min(axis=0), np.ptp(values[members], axis=0)
        scaled = (values[members] - low) / np.where(span > 0, span, 1.0)
        share[members] = contributions(scaled, np.full(values.shape[1], 1.1))
    keys = sorted(zip(front, -share, (trial.number for trial in trials), strict=True))
    return [number for _, _, number in keys]
