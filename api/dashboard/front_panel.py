"""The front on the job's page: what it says, the chart with its choice of axes, other views and the same as a table."""

from __future__ import annotations

from html import escape
from typing import Any

from nicegui import ui
from nicegui.events import GenericEventArguments

from api.dashboard.chart import Chart
from api.dashboard.elements import block, heading, markup, say, table, text
from api.dashboard.front_chart import (
    axes_update,
    baseline_title,
    default_axes,
    front_axes,
    front_layout,
    front_traces,
    runs_words,
)
from api.dashboard.parallel_chart import parallel_layout, parallel_traces, parallel_update
from api.schemas import FrontView, PointView
from api.words import configuration_words, inside, metric_title, metric_value
from space.configuration import Configuration


class FrontPanel:
    """Follows the front; a click on a point opens its trial."""

    def __init__(self, job_id: str, front: FrontView, depth: int | None) -> None:
        self._job_id = job_id
        self._front = front
        self._depth = depth
        self._x, self._y = default_axes(front) if front.objectives else ("", "")
        with block("stack"):
            with block("line apart"):
                heading(2, "Pareto front")
                if len(front.objectives) > 2:
                    self._axis_choice()
            self._statement = text(_sentence(front.statement), "say")
            if len(front.objectives) > 2:
                text(
                    "With more than two objectives a point can lie behind another here and still be on the front.",
                    "muted small",
                )
            across, up = front_axes(front, self._x, self._y)
            self._chart = Chart(
                front_traces(front, across, up, depth),
                front_layout(across, up),
                f"Pareto front: {metric_title(self._y)} over {metric_title(self._x)}; the table below says the same",
            )
            self._chart.element.on("plotly_click", self._open)
            self._hollow = text(
                "Hollow points were not trained again: one run selected them and measured them.", "muted small"
            )
            self._hollow.set_visibility(_any_hollow(front))
            self._parallel = self._parallel_view(front) if len(front.objectives) > 2 else None
            with ui.expansion("The front as a table").props("dense").classes("flush"):
                self._table = markup(_front_table(job_id, front, depth))

    def update(self, front: FrontView) -> None:
        self._front = front
        say(self._statement, _sentence(front.statement))
        self._redraw()
        self._hollow.set_visibility(_any_hollow(front))
        self._table.content = _front_table(self._job_id, front, self._depth)
        if self._parallel is not None:
            self._parallel.update(parallel_traces(front, self._depth), parallel_update(front))

    def _redraw(self) -> None:
        across, up = front_axes(self._front, self._x, self._y)
        self._chart.update(front_traces(self._front, across, up, self._depth), axes_update(across, up))

    def _axis_choice(self) -> None:
        titles = {each.metric: metric_title(each.metric) for each in self._front.objectives}
        with block("line"):
            for label, chosen in (("Across", self._x), ("Up", self._y)):

                def choose(event: Any, label: str = label) -> None:
                    if label == "Across":
                        self._x = event.value
                    else:
                        self._y = event.value
                    self._redraw()

                ui.select(titles, value=chosen, label=label, on_change=choose).props("outlined dense").style(
                    "width: 200px"
                )

    def _parallel_view(self, front: FrontView) -> Chart:
        heading(3, "All objectives at once")
        text("Better is up on every axis.", "muted small")
        chart = Chart(
            parallel_traces(front, self._depth), parallel_layout(front), "All objectives at once, a line a trial"
        )
        chart.element.on("plotly_click", self._open)
        return chart

    def _open(self, event: GenericEventArguments) -> None:
        points = event.args.get("points") or []
        if points and points[0].get("customdata") is not None:
            ui.navigate.to(f"/jobs/{self._job_id}/trials/{int(points[0]['customdata'])}")


def _sentence(statement: str) -> str:
    return statement[:1].upper() + statement[1:]


def _any_hollow(front: FrontView) -> bool:
    return any(not point.fresh for point in front.points)


def _front_table(job_id: str, front: FrontView, depth: int | None) -> str:
    names = [each.metric for each in front.objectives]
    rest = [point for point in front.baselines if not point.on_front]
    points = [*front.points, *rest]
    tested = next((name for name in names if any(name in point.test for point in points)), None)
    rows = [_row(job_id, point, front, depth, tested) for point in points]
    test = [f"Test {inside(metric_title(tested))}"] if tested else []
    head = ["Trial", "Configuration", *map(metric_title, names), *test, "Rests on", "On the front"]
    return table(head, rows, "Pareto front and baselines", right=frozenset(range(2, 2 + len(names) + len(test))))


def _row(job_id: str, point: PointView, front: FrontView, depth: int | None, tested: str | None) -> list[str]:
    words = configuration_words(Configuration.model_validate(point.configuration), depth)
    name = f" <span class=muted>({escape(baseline_title(point.name))})</span>" if point.name else ""
    belongs = "knee" if point.trial == front.knee else "yes" if point.on_front else "no"
    if point.probability is not None:
        belongs += f", p\u00a0=\u00a0{point.probability:.2f}"
    return [
        f'<a href="/jobs/{job_id}/trials/{point.trial}">{point.trial}</a>',
        escape(words) + name,
        *(_value(point, each.metric) for each in front.objectives),
        *([escape(metric_value(tested, point.test.get(tested)))] if tested else []),
        escape(runs_words(point, front)),
        escape(belongs),
    ]


def _value(point: PointView, metric: str) -> str:
    """The value, and its interval below it."""
    value = escape(metric_value(metric, point.objectives.get(metric)))
    bounds = point.intervals.get(metric)
    if bounds is None or bounds[0] == bounds[1]:
        return value
    ends = " to ".join(metric_value(metric, end) for end in bounds)
    return f'{value}<br><span class="muted small" style="white-space: nowrap">{escape(ends)}</span>'
