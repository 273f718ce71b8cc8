"""Transferred configurations as a chart: what each reached in its source against what it reaches here."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np

from api.dashboard.axes import Axis, axis_of
from api.dashboard.chart import Trace, error_bars
from api.dashboard.palette import FAINT, SERIES, axis_layout, layout
from api.transfer import TransferredView, TransferView
from api.words import configuration_words, metric_title, metric_value
from search.metrics import METRICS
from search.objectives import KNOWN
from space.configuration import Configuration

HEIGHT = 340


def charted_metric(view: TransferView) -> str | None:
    """The first learned objective that a source measured too; None where there is nothing to chart."""
    names = [name for point in view.points for name in point.there if name in METRICS and name not in KNOWN]
    return next(iter(names), None)


def transfer_axes(view: TransferView, metric: str) -> tuple[Axis, Axis]:
    points = _points(view, metric)
    heights = [each.here[metric] for each in points]
    ends = [end for each in points for end in each.intervals.get(metric, ())]
    return axis_of(metric, [each.there[metric] for each in points]), axis_of(metric, heights + ends)


def transfer_traces(view: TransferView, metric: str, depth: int | None) -> list[Trace]:
    """One trace a source; its points carry their source trial's number."""
    across, up = transfer_axes(view, metric)
    traces: list[Trace] = []
    for index, source in enumerate(view.sources):
        points = [each for each in _points(view, metric) if each.source == source.job]
        colour = SERIES[index % len(SERIES)]
        heights = [each.here[metric] for each in points]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers+text",
                "name": source.name,
                "x": across.positions([each.there[metric] for each in points]),
                "y": up.positions(heights),
                "text": [str(each.source_trial) for each in points],
                "textposition": "middle right",
                "customdata": np.array([each.trial for each in points]),
                "hovertext": [_hover(each, metric, depth) for each in points],
                "hovertemplate": "%{hovertext}<extra></extra>",
                "marker": {"size": 11, "color": colour, "line": {"width": 1.5, "color": "rgba(255,255,255,0.85)"}},
                "error_y": error_bars(up, heights, [each.intervals.get(metric) for each in points], FAINT),
            }
        )
    return traces


def transfer_layout(view: TransferView, metric: str) -> dict[str, Any]:
    across, up = transfer_axes(view, metric)
    title = metric_title(metric)
    return layout(
        HEIGHT,
        xaxis=axis_layout(**{**across.layout(), "title": {"text": f"{title} in the source", "standoff": 12}}),
        yaxis=axis_layout(**{**up.layout(), "title": {"text": f"{title} here", "standoff": 12}}),
        showlegend=len(view.sources) > 1,
    )


def _points(view: TransferView, metric: str) -> Sequence[TransferredView]:
    return [each for each in view.points if metric in each.there]


def _hover(point: TransferredView, metric: str, depth: int | None) -> str:
    words = configuration_words(Configuration.model_validate(point.configuration), depth)
    lines = [f"<b>Trial {point.trial}, there {point.source_trial}</b>", *textwrap.wrap(html.escape(words), 52)]
    lines.append(
        f"{metric_title(metric)}: {metric_value(metric, point.there[metric])} there, "
        f"{metric_value(metric, point.here[metric])} here"
    )
    return "<br>".join(lines)
