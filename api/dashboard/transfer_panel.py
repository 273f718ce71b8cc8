"""What a search made of earlier ones: whether their points hold here, and whether they are still believed."""

from __future__ import annotations

from html import escape

from nicegui import ui
from nicegui.events import GenericEventArguments
from starlette.concurrency import run_in_threadpool

from api.dashboard.chart import Chart
from api.dashboard.elements import block, card, heading, markup, say, table, text
from api.dashboard.transfer_chart import charted_metric, transfer_layout, transfer_traces
from api.services import Services
from api.transfer import SourceView, TransferView
from api.words import configuration_words, metric_title, metric_value
from space.configuration import Configuration
from storage.errors import NotFound


class TransferPanel:
    """Of a search with sources; follows its front."""

    def __init__(self, services: Services, job_id: str, depth: int | None) -> None:
        self._services = services
        self._job_id = job_id
        self._depth = depth
        self._shown: str | None = None
        with card("Transfer"):
            heading(2, "Transfer")
            self._statement = text("", "say")
            with block("split"):
                self._place = block("stack")
                with block("stack"):
                    heading(3, "Sources")
                    self._sources = markup("")
            with ui.expansion("Transferred points as a table").props("dense").classes("flush") as self._more:
                self._table = markup("")
        self._more.set_visibility(False)
        ui.timer(0.1, self.update, once=True)  # once the page is shown: comparing takes a moment

    async def update(self) -> None:
        try:
            view = await run_in_threadpool(self._services.transfer, self._job_id)
        except NotFound:  # deleted meanwhile: the page's next look at the store says so
            return
        say(self._statement, view.statement)
        self._sources.content = "".join(map(_source, view.sources))
        self._more.set_visibility(bool(view.points))
        self._table.content = _points_table(self._job_id, view, self._depth)
        self._draw(view)

    def _draw(self, view: TransferView) -> None:
        """The chart, anew where a point has joined it."""
        metric = charted_metric(view)
        drawn = repr([(each.trial, each.here, each.intervals) for each in view.points])
        if metric is None or drawn == self._shown:
            return
        self._shown = drawn
        self._place.clear()
        with self._place:
            chart = Chart(
                transfer_traces(view, metric, self._depth),
                transfer_layout(view, metric),
                f"{metric_title(metric)} here over {metric_title(metric)} in the source; the table below says the same",
            )
            chart.element.on("plotly_click", self._open)
            text("Each point is a configuration of the source's front, with its trial's number there.", "muted small")

    def _open(self, event: GenericEventArguments) -> None:
        points = event.args.get("points") or []
        if points and points[0].get("customdata") is not None:
            ui.navigate.to(f"/jobs/{self._job_id}/trials/{int(points[0]['customdata'])}")


def _source(source: SourceView) -> str:
    """A source as HTML: its name, where it is from, how much fits, and each verdict."""
    verdicts = "".join(
        f"<li><b>{escape(metric_title(each.metric))}</b>: {escape(each.statement)}</li>" for each in source.verdicts
    )
    return (
        f'<p style="margin: 0 0 4px"><a href="/jobs/{escape(source.job)}"><b>{escape(source.name)}</b></a> '
        f"<span class=muted>{escape(source.model)} on {escape(source.data)}</span></p>"
        f'<p class="small muted" style="margin: 0 0 6px">{escape(source.statement)}.</p>'
        f'<ul class="small" style="margin: 0 0 14px; padding-left: 18px">{verdicts}</ul>'
    )


def _points_table(job_id: str, view: TransferView, depth: int | None) -> str:
    names = list(view.points[0].here) if view.points else []
    head = ["Trial", "There", "Configuration"]
    head += [f"{metric_title(name)}, {where}" for name in names for where in ("there", "here")]
    rows = []
    for point in view.points:
        values = [
            escape(metric_value(name, values.get(name))) for name in names for values in (point.there, point.here)
        ]
        words = configuration_words(Configuration.model_validate(point.configuration), depth)
        rows.append(
            [
                f'<a href="/jobs/{job_id}/trials/{point.trial}">{point.trial}</a>',
                f'<a href="/jobs/{escape(point.source)}/trials/{point.source_trial}">{point.source_trial}</a>',
                escape(words),
                *values,
            ]
        )
    return table(head, rows, "Transferred points", right=frozenset(range(3, 3 + 2 * len(names))))
