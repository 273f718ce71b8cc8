"""What a front shows, in a few honest sentences."""

from __future__ import annotations

import math

from scipy import stats

from search.estimate import CONFIDENCE
from search.front import Front
from search.point import Point

FLAT = 0.02
"""A gain in quality that is not worth a cost."""


def statement(front: Front) -> str:
    """What the front shows, in words, also when that is little."""
    if not front.on_front:
        return "No feasible point has been trained in full yet."
    members = [front.points[index] for index in front.on_front]
    quality = next((each for each in front.objectives.objectives if each.quality), None)
    if quality is None:
        parts = [f"{len(members)} on the front; the cheapest is {describe(members[0])}."]
    else:
        column = front.objectives.names.index(quality.metric)
        if len(members) == 1:
            reached = members[0].values[quality.metric]
            parts = [f"One point beats all others: {describe(members[0])}, {quality.metric} {reached:.3f}."]
        else:
            parts = _spread_of_quality(front, members, quality.metric, column)
        parts.append(_against_baselines(front, quality.metric, column))
    parts.append(_not_confirmed(members))
    return " ".join(part for part in parts if part)


def describe(point: Point) -> str:
    """A point in a few words."""
    record = point.trial.record
    what = record.name or "+".join(point.trial.plan.methods)
    return f"trial {record.number}, {what}, {point.trial.plan.trainable_parameters:,} parameters"


def _spread_of_quality(front: Front, members: list[Point], metric: str, column: int) -> list[str]:
    """What the front's extra cost buys, `members` from the cheapest on."""
    cheapest = members[0]
    best = min(zip(front.on_front, members, strict=True), key=lambda each: front.minimised[each[0], column])[1]
    gain = abs(best.values[metric] - cheapest.values[metric])
    noise = _noise(front, best, cheapest, metric, comparisons=len(members) - 1)
    parts = [
        f"{metric} goes from {cheapest.values[metric]:.3f} ({describe(cheapest)}) to {best.values[metric]:.3f} "
        f"({describe(best)})."
    ]
    if gain <= FLAT:
        parts.append(f"The front is nearly flat: all the extra cost buys {gain:.3f}, so take the cheapest point.")
    elif gain <= noise:
        parts.append(
            f"That gain is within the noise between seeds (± {noise:.3f}): it takes more steps or seeds to choose."
        )
    return parts


def _noise(front: Front, one: Point, other: Point, metric: str, comparisons: int) -> float:
    """Half-width of the 95% interval of the difference of two points; 0 before the spread between seeds is known.

    The best of several was chosen by looking, so the interval holds for all the `comparisons` it could have been
    (Bonferroni).
    """
    spread = front.spreads.get(metric)
    if spread is None:
        return 0.0
    level = 1 - (1 - CONFIDENCE) / max(1, comparisons) / 2
    either = math.hypot(one.estimates[metric].deviation, other.estimates[metric].deviation)
    return float(stats.t.ppf(level, spread.degrees)) * either


def _against_baselines(front: Front, metric: str, column: int) -> str:
    found = [index for index in front.on_front if front.points[index].trial.record.kind == "search"]
    made = [
        index
        for index, point in enumerate(front.points)
        if point.trial.record.kind == "baseline" and front.objectives.feasible(point.values)
    ]
    if not found:
        return "No sampled configuration is on the front: the baselines are not beaten." if made else ""
    if not made:
        return ""
    confirmed = [index for index in found if front.points[index].fresh]
    ours = min(confirmed or found, key=lambda index: front.minimised[index, column])
    theirs = min(made, key=lambda index: front.minimised[index, column])
    difference = front.points[ours].values[metric] - front.points[theirs].values[metric]
    better = front.minimised[ours, column] < front.minimised[theirs, column]
    name = front.points[theirs].trial.record.name
    if metric not in front.spreads:
        return (
            f"The search's best differs by {difference:+.3f} from the best baseline ({name}); too few seeds to judge."
        )
    noise = _noise(front, front.points[ours], front.points[theirs], metric, comparisons=len(confirmed or found))
    if abs(difference) <= noise:
        return (
            f"The search's best and the best baseline ({name}) do not differ significantly "
            f"({difference:+.3f} ± {noise:.3f})."
        )
    word = "better" if better else "worse"
    return f"The search's best is {word} than the best baseline ({name}): {difference:+.3f} ± {noise:.3f}."


def _not_confirmed(members: list[Point]) -> str:
    """How many points of the front rest on the run that selected them, and what was done about it."""
    single = [point for point in members if not point.fresh]
    if not single:
        return ""
    which = "Every point" if len(single) == len(members) else f"{len(single)} of the {len(members)} points"
    corrected = any(
        not math.isclose(point.values[name], point.measured[name], abs_tol=1e-12)
        for point in single
        for name in point.estimates
    )
    verb = "rests" if which == "Every point" or len(single) == 1 else "rest"
    after = "their values are corrected for that luck" if corrected else "their values flatter"
    return f"{which} on the front {verb} on one run that also selected it; {after}."
