"""The Pareto front as a chart: every point at full fidelity, the front joined by its step line, baselines, the knee."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np

from api.dashboard.axes import Axis, axis_of
from api.dashboard.chart import Trace, error_bars
from api.dashboard.palette import ACCENT, ACCENT_FAINT, BASELINE, FAINT, INK, axis_layout, layout
from api.schemas import FrontView, PointView
from api.words import configuration_words, inside, metric_title, metric_value
from search.metrics import METRICS
from space.configuration import Configuration

HEIGHT = 500
BASELINE_TITLES = {
    "head-only": "Head only",
    "lora-r8-query-value": "LoRA r=8, q+v",
    "serial-adapter": "Pfeiffer adapter",
    "lora-r8-all-linear": "LoRA r=8, all",
    "full-fine-tuning": "Full fine-tuning",
}
_SYMBOLS = {
    "head-only": "diamond",
    "lora-r8-query-value": "triangle-up",
    "serial-adapter": "square",
    "lora-r8-all-linear": "triangle-down",
    "full-fine-tuning": "star",
    "": "cross",
}
"""A marker for each baseline, and one for those of other names."""


def baseline_title(name: str | None) -> str:
    return BASELINE_TITLES.get(name or "", name or "baseline")


def default_axes(front: FrontView) -> tuple[str, str]:
    """The metrics on x and y: trainable parameters (else a cost, else a behaviour) across, the first quality up."""
    names = [objective.metric for objective in front.objectives]
    costs = sorted(
        (name for name in names if name in METRICS and not METRICS[name].quality),
        key=lambda name: not METRICS[name].cost,
    )
    qualities = [name for name in names if name not in costs]
    across = next((name for name in costs if name == "trainable_parameters"), costs[0] if costs else names[0])
    up = next((name for name in (*qualities, *names) if name != across), across)
    return across, up


def front_axes(front: FrontView, x: str, y: str) -> tuple[Axis, Axis]:
    """Axes that show every point."""
    points = [*front.points, *front.dominated, *front.baselines]
    return axis_of(x, [value_of(point, x) for point in points]), axis_of(y, [value_of(point, y) for point in points])


def value_of(point: PointView, metric: str) -> float:
    return point.objectives.get(metric, point.metrics.get(metric, float("nan")))


def front_traces(front: FrontView, across: Axis, up: Axis, depth: int | None) -> list[Trace]:
    """Dominated, infeasible, the step line, the front's sampled points (hollow until fresh seeds confirm
    them), one trace a baseline, the knee's ring."""
    dominated = [point for point in front.dominated if point.feasible]
    infeasible = [point for point in front.dominated if not point.feasible]
    found = [point for point in front.points if point.kind == "search"]
    knee = [point for point in front.points if point.trial == front.knee]
    line = sorted(front.points, key=lambda point: value_of(point, across.metric)) if len(front.objectives) == 2 else []

    def points(chosen: Sequence[PointView], name: str, **more: Any) -> Trace:
        return {
            "type": "scatter",
            "mode": "markers",
            "name": name,
            "x": across.positions([value_of(point, across.metric) for point in chosen]),
            "y": up.positions([value_of(point, up.metric) for point in chosen]),
            "customdata": np.array([point.trial for point in chosen]),
            "hovertext": [hover(point, front, depth) for point in chosen],
            "hovertemplate": "%{hovertext}<extra></extra>",
            **more,
        }

    return [
        points(dominated, "Dominated", marker={"size": 8, "color": FAINT}),
        points(
            infeasible,
            "Breaks a constraint",
            marker={"size": 8, "color": FAINT, "symbol": "x-thin-open"},
            visible=bool(infeasible),
        ),
        points(
            line,
            "Pareto front",
            mode="lines",
            line={"color": ACCENT_FAINT, "width": 2, "shape": _step(front, across.metric)},
            hoverinfo="skip",
            hovertemplate=None,
            showlegend=False,
        ),
        points(
            found,
            "Pareto front",
            marker={
                "size": 12,
                "color": ACCENT,
                "symbol": ["circle" if point.fresh else "circle-open" for point in found],
                "line": {
                    "width": [1.5 if point.fresh else 2.5 for point in found],
                    "color": ["rgba(255,255,255,0.85)" if point.fresh else ACCENT for point in found],
                },
            },
            error_y=error_bars(
                up,
                [value_of(point, up.metric) for point in found],
                [point.intervals.get(up.metric) for point in found],
                ACCENT_FAINT,
            ),
        ),
        *(
            points(
                chosen,
                baseline_title(name) if name else "Other baseline",
                marker={
                    "size": 12,
                    "color": BASELINE,
                    "symbol": [symbol if point.on_front else f"{symbol}-open" for point in chosen],
                    "line": {"width": 1.5, "color": BASELINE},
                },
                visible=bool(chosen),
            )
            for name, symbol in _SYMBOLS.items()
            for chosen in [[point for point in front.baselines if _kind(point) == name]]
        ),
        points(
            knee,
            "Knee",
            mode="markers+text",
            text=["knee"] * len(knee),
            textposition="top center",
            textfont={"size": 12, "color": INK},
            marker={"size": 22, "color": "rgba(0,0,0,0)", "line": {"width": 2, "color": INK}},
        ),
    ]


def front_layout(across: Axis, up: Axis) -> dict[str, Any]:
    return layout(HEIGHT, xaxis=axis_layout(**across.layout()), yaxis=axis_layout(**up.layout()))


def axes_update(across: Axis, up: Axis) -> dict[str, Any]:
    """What of the layout follows the points, by path."""
    return {
        f"{name}.title.text" if field == "title" else f"{name}.{field}": axis.title if field == "title" else value
        for name, axis in (("xaxis", across), ("yaxis", up))
        for field, value in axis.layout().items()
    }


def hover(point: PointView, front: FrontView, depth: int | None) -> str:
    """The configuration in words and what was measured, as Plotly's small HTML."""
    title = f"Trial {point.trial}" if point.name is None else f"Baseline: {baseline_title(point.name)}"
    words = configuration_words(Configuration.model_validate(point.configuration), depth)
    lines = [f"<b>{html.escape(title)}</b>", *textwrap.wrap(html.escape(words), 52)]
    for objective in front.objectives:
        value = metric_value(objective.metric, point.objectives.get(objective.metric))
        bounds = point.intervals.get(objective.metric)
        ends = f" ({' to '.join(metric_value(objective.metric, end) for end in bounds)})" if bounds else ""
        lines.append(f"{metric_title(objective.metric)}: {value}{ends}")
    lines.append(runs_words(point, front))
    if point.probability is not None:
        lines.append(f"On the front with probability {point.probability:.0%}")
    if not point.feasible:
        lines.append("Breaks a constraint")
    return "<br>".join(lines)


def runs_words(point: PointView, front: FrontView) -> str:
    """What a point's values rest on."""
    if point.fresh:
        return f"{point.seeds} fresh seeds" if point.seeds > 1 else "1 fresh seed"
    changed = [
        f"measured {inside(metric_title(each.metric))} {metric_value(each.metric, point.metrics[each.metric])}"
        for each in front.objectives
        if each.metric in point.metrics
        and metric_value(each.metric, point.metrics[each.metric])
        != metric_value(each.metric, point.objectives.get(each.metric))
    ]
    return "its selecting run" + (f" ({', '.join(changed)})" if changed else "")


def _kind(point: PointView) -> str:
    name = point.name or ""
    return name if name in _SYMBOLS else ""


def _step(front: FrontView, across: str) -> str:
    """The line runs through what is attained: it stays level until the next point improves on it."""
    maximised = any(objective.metric == across and objective.goal == "maximize" for objective in front.objectives)
    return "vh" if maximised else "hv"
