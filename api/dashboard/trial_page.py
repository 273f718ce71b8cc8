"""One trial: what it is, why it was tried, what went where, how it learned, why it failed."""

from __future__ import annotations

import json
import re
from html import escape
from typing import Any

from nicegui import ui
from starlette.concurrency import run_in_threadpool

from api import views
from api.adapter import TrainedAdapter
from api.dashboard.actions import ENDED, adapter_button, export_buttons
from api.dashboard.curve_chart import curve_layout, loss_traces, quality_shown, quality_traces
from api.dashboard.elements import block, card, chip, figures, heading, markup, table, text
from api.dashboard.frame import PAGE_SECONDS, frame
from api.dashboard.front_chart import baseline_title, runs_words
from api.dashboard.not_found import not_found
from api.dashboard.palette import CONFIG
from api.dashboard.placement_map import placement_map
from api.schemas import EvaluationView, PointView, TrialDetail
from api.services import Services
from api.words import configuration_title, configuration_words, metric_title, metric_value, number
from evaluator.pool.log import log_of, tail
from space.configuration import Configuration
from space.plan import Plan
from space.resolve import resolve
from space.sites import SiteTable
from storage.errors import NotFound, StoreError
from storage.records import JobRecord

REFRESH_SECONDS = 1.5
LOG_LINES = 60
REMEDIES = {
    "nan": "The loss stopped being a number: a lower learning rate helps most often.",
    "out-of-memory": "It needs more memory than there is: a smaller batch or a shorter max_length helps.",
    "out-of-disk": "The disk is full: make room and submit again.",
    "time-limit": "It took longer than one evaluation may: fewer steps or a higher limit helps.",
    "memory-limit": "It took more memory than a worker may: a smaller batch or a higher limit helps.",
    "worker-died": "Its worker process ended; it was tried again as often as that makes sense.",
}


def register(services: Services) -> None:
    @ui.page("/jobs/{job_id}/trials/{trial}", title="Trial · Paretune", response_timeout=PAGE_SECONDS)
    async def trial_page(job_id: str, trial: int) -> None:
        try:
            read = await run_in_threadpool(_read, services, job_id, trial)
        except NotFound:
            not_found("There is no such trial", "The search may have been deleted.")
            return
        name = read[0].spec["name"]
        ui.page_title(f"Trial {trial} · {name} · Paretune")
        with frame("", crumbs=(("Searches", "/"), (name, f"/jobs/{job_id}"))):
            page = TrialPage(services, *read)
        page.timer = ui.timer(REFRESH_SECONDS, page.tick)


def _read(services: Services, job_id: str, trial: int) -> tuple[JobRecord, TrialDetail, TrainedAdapter | None]:
    detail = services.trial(job_id, trial)
    return services.store.job(job_id), detail, _adapter(services, job_id, detail)


def _adapter(services: Services, job_id: str, trial: TrialDetail) -> TrainedAdapter | None:
    """What the trial's button gives; None where nothing is kept, or its file is on another machine."""
    if not any(each.adapter for each in trial.evaluations):
        return None
    try:
        return services.adapter(job_id, trial.number)
    except StoreError:
        return None


def _before_budget(configuration: Configuration, table: SiteTable) -> Plan | None:
    """The plan that the configuration's sparsity budget was cut from; None where it has none."""
    if configuration.sparsity == 1:
        return None
    return resolve(configuration.model_copy(update={"sparsity": 1.0, "allocator": "uniform"}), table)


class TrialPage:
    timer: ui.timer | None = None

    def __init__(self, services: Services, job: JobRecord, detail: TrialDetail, adapter: TrainedAdapter | None) -> None:
        self._services = services
        self._job = job
        self._detail = detail
        self._adapter = adapter
        self._configuration = Configuration.model_validate(detail.configuration)
        self._plan = Plan.model_validate(detail.plan)
        self._table = SiteTable.model_validate(job.context["table"])
        self._dense = _before_budget(self._configuration, self._table)
        title = configuration_title(self._configuration)
        with block("line apart"):
            with block("line"):
                heading(1, f"Trial {detail.number}: {title}")
                self._chip = markup(chip(detail.state))
            with block("line"):
                export_buttons(services, job.id, lambda: detail.number)
                self._take = adapter_button(services, job.id, detail.number)
        text(configuration_words(self._configuration, self._table.depth), "say")
        self._body = ui.element("div").classes("stack").style("gap: 18px")
        self._show()

    async def tick(self) -> None:
        try:
            read = await run_in_threadpool(_read, self._services, self._job.id, self._detail.number)
        except NotFound:
            self._end()
            ui.navigate.to("/")
            return
        job, detail, adapter = read
        front_moved = job.progress.get("front") != self._job.progress.get("front")
        if detail != self._detail or adapter != self._adapter or front_moved:
            self._job, self._detail, self._adapter = read
            self._show()
        elif job.state in ENDED:
            self._end()

    def _end(self) -> None:
        if self.timer is not None:
            self.timer.deactivate()

    def _show(self) -> None:
        self._chip.content = chip(self._detail.state)
        self._take.set_visibility(self._adapter is not None)
        self._body.clear()
        with self._body:
            self._failure()
            markup(figures(self._figures()))
            with block("halves"):
                with card("What went where"):
                    heading(2, "What went where")
                    markup(placement_map(self._plan, self._table, self._dense))
                    for note in self._plan.notes:
                        text(note, "notice quiet small")
                self._origin()
            self._curves()
            self._evaluations()
            self._files()

    def _failure(self) -> None:
        failure = self._detail.failure
        if failure:
            remedy = REMEDIES.get(failure["reason"], "")
            markup(
                f"<b>Failed: {escape(failure['reason'])}.</b> {escape(failure['message'])}<br>{escape(remedy)}",
                "notice bad",
            )

    def _point(self) -> PointView | None:
        front = views.front_view(self._job)
        points = (*front.points, *front.dominated, *front.baselines)
        return next((point for point in points if point.trial == self._detail.number), None)

    def _figures(self) -> list[tuple[str, str, str]]:
        point = self._point()
        summary: dict[str, Any] = self._detail.summary
        fidelity = summary.get("fidelity")
        shown = []
        for name in self._objectives():
            value = summary.get(name) if point is None else point.objectives.get(name)
            bounds = point.intervals.get(name) if point else None
            remark = f"{metric_value(name, bounds[0])} to {metric_value(name, bounds[1])}" if bounds else ""
            if point is None and fidelity is not None and fidelity < 1 and name != "trainable_parameters":
                remark = f"after {fidelity:.0%} of the steps"
            if name == "trainable_parameters":
                value = float(self._detail.trainable_parameters)
            shown.append((metric_title(name), metric_value(name, value), remark))
        if point is not None:
            shown += [
                (f"Test {metric_title(name).lower()}", metric_value(name, point.test[name]), "")
                for name in self._objectives()
                if name in point.test
            ]
            chance = "" if point.probability is None else f"probability {point.probability:.0%}; "
            rests = runs_words(point, views.front_view(self._job))
            shown.append(("On the front", "yes" if point.on_front else "no", chance + rests))
        rate = self._plan.learning_rate
        shown.append(("Learning rate", "–" if rate is None else number(rate), "" if rate is not None else "head only"))
        return shown + [
            (metric_title(name), metric_value(name, summary[name]), "")
            for name in ("training_memory", "step_seconds", "adapter_bytes")
            if name in summary and name not in self._objectives()
        ]

    def _objectives(self) -> list[str]:
        return [each.metric for each in views.front_view(self._job).objectives]

    def _origin(self) -> None:
        with card("Why it was tried"):
            heading(2, "Why it was tried")
            detail = self._detail
            baseline = detail.kind == "baseline"
            who = f"Baseline “{baseline_title(detail.name)}”" if baseline else f"Proposed by {detail.strategy}"
            text(who)
            text(detail.reason, "muted")
            if detail.ladder:
                text(f"{detail.ladder[0].upper()}{detail.ladder[1:]}.", "muted")
            with ui.expansion("Configuration as JSON").props("dense").classes("flush"):
                text(_compact(detail.configuration), "code", tag="pre")

    def _curves(self) -> None:
        runs = self._detail.evaluations
        with card("Learning curve"):
            heading(2, "Learning curve")
            if not any(each.curve for each in runs):
                over = self._detail.ended_at is not None
                text("It ended before its first report." if over else "No step has been reported yet.", "muted")
                return
            rungs = sorted({each.stop_step for each in runs if each.purpose == "rung" and each.state == "completed"})[
                :-1
            ]
            metric = quality_shown(runs, [*self._objectives(), "accuracy", "r2"])
            with block("halves"):
                _plot(loss_traces(runs), curve_layout("loss", rungs), "Training and validation loss over steps")
                if metric is not None:
                    label = f"Validation {metric_title(metric).lower()} over steps"
                    _plot(quality_traces(runs, metric), curve_layout(metric, rungs), label)
            if rungs:
                text("Dotted lines: rungs, where it was decided whether to train on.", "muted small")

    def _evaluations(self) -> None:
        with card("Evaluations"):
            heading(2, "Evaluations")
            if not self._detail.evaluations:
                text("It waits for a free worker.", "muted")
                return
            names = [name for name in self._objectives() if name != "trainable_parameters"]
            head = ["Purpose", "Steps", "Seed", "State", *map(metric_title, names), "Test", "Took"]
            rows = [self._evaluation_row(each, names) for each in self._detail.evaluations]
            markup(table(head, rows, "Evaluations", right=frozenset((1, 2, *range(4, 6 + len(names))))))
            if self._adapter is not None:
                text(f"“Export adapter” gives that of {self._adapter.words}.", "muted small")

    def _evaluation_row(self, each: EvaluationView, names: list[str]) -> list[str]:
        tested = next((name for name in names if name in each.test_metrics), None)
        seconds = (each.ended_at - each.started_at).total_seconds() if each.ended_at and each.started_at else None
        state = chip(each.state)
        if each.failure:
            state += f' <span class="muted small">{escape(str(each.failure.get("reason", "")))}</span>'
        return [
            escape(each.purpose),
            f"{each.stop_step} <span class=muted>({each.fidelity:.0%})</span>",
            str(each.seed),
            state,
            *(escape(metric_value(name, each.metrics.get(name))) for name in names),
            escape(metric_value(tested, each.test_metrics[tested])) if tested else "–",
            "–" if seconds is None else f"{seconds:.1f} s",
        ]

    def _files(self) -> None:
        with card("Plan and log"):
            with ui.expansion("Plan as JSON").props("dense").classes("flush"):
                text(_compact(self._detail.plan), "code", tag="pre")
            logs = [(each, self._log(each)) for each in self._detail.evaluations]
            for each, content in logs:
                if content:
                    failed = each.state == "failed"
                    label = f"Log of the {each.purpose} evaluation, seed {each.seed}, up to step {each.stop_step}"
                    with ui.expansion(label, value=failed).props("dense").classes("flush"):
                        text(content, "log", tag="pre")
            if not any(content for _, content in logs):
                text("Its workers wrote no log on this machine.", "muted small")

    def _log(self, evaluation: EvaluationView) -> str:
        return tail(log_of(self._services.settings.data_dir / "logs", evaluation.id), LOG_LINES)


def _compact(content: dict[str, Any]) -> str:
    """JSON with lists of plain values, and objects of such, on one line."""
    return re.sub(r"[\[{][^\[\]{}]*[\]}]", lambda match: " ".join(match[0].split()), json.dumps(content, indent=2))


def _plot(traces: list[dict[str, Any]], layout: dict[str, Any], label: str) -> None:
    plot = ui.plotly({"data": traces, "layout": layout, "config": CONFIG}).classes("chart")
    plot.props["role"] = "img"
    plot.props["aria-label"] = label
