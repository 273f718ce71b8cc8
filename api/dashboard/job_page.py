"""A search: its front live, hypervolume over time, trials, and what can be done with it."""

from __future__ import annotations

from nicegui import ui
from starlette.concurrency import run_in_threadpool

from api import views
from api.audit import audit_view
from api.dashboard.actions import ENDED, JobActions
from api.dashboard.audit_panel import AuditPanel
from api.dashboard.elements import block, card, chip, figures, heading, markup, say, text
from api.dashboard.frame import PAGE_SECONDS, frame
from api.dashboard.front_panel import FrontPanel
from api.dashboard.hypervolume_chart import HypervolumePanel
from api.dashboard.importance_panel import ImportancePanel
from api.dashboard.knee_panel import KneePanel
from api.dashboard.not_found import not_found
from api.dashboard.picks_panel import PicksPanel
from api.dashboard.transfer_panel import TransferPanel
from api.dashboard.trials_table import TrialsTable
from api.schemas import FrontView
from api.services import Services
from api.words import count, duration, metric_title, metric_value
from search.gain import AHEAD
from search.metrics import METRICS
from storage.errors import NotFound
from storage.records import JobRecord, TrialRecord

REFRESH_SECONDS = 1.0
EMPTY = {
    "queued": ("Waiting to start", "The search starts as soon as the one before it is done."),
    "running": (
        "No finished trial yet",
        "The first baseline takes about a minute; points appear here as they are measured.",
    ),
    "paused": ("No finished trial yet", "The search is paused; resume it to go on."),
    "completed": (
        "Nothing was measured in full",
        "No trial reached full fidelity. The table below says what became of each.",
    ),
    "cancelled": ("Nothing was measured in full", "The search was cancelled before its first full evaluation."),
    "failed": (
        "Nothing was measured in full",
        "The search failed before its first full evaluation; the reason stands above.",
    ),
}


def register(services: Services) -> None:
    @ui.page("/jobs/{job_id}", title="Search · Paretune", response_timeout=PAGE_SECONDS)
    async def job_page(job_id: str) -> None:
        try:
            job = await run_in_threadpool(services.store.job, job_id)
        except NotFound:
            not_found("There is no such search", "It may have been deleted.")
            return
        ui.page_title(f"{job.spec['name']} · Paretune")
        with frame(""):
            page = JobPage(services, job)
        await page.refresh_trials()
        await page.refresh_analysis()
        page.timer = ui.timer(REFRESH_SECONDS, page.tick)


class JobPage:
    """One open page; `tick` brings it up to date with the store."""

    timer: ui.timer | None = None
    _front: FrontPanel | None = None

    def __init__(self, services: Services, job: JobRecord) -> None:
        self._services = services
        self._job = job
        self._seen = -1
        front = views.front_view(job)
        depth = self._depth = job.context.get("table", {}).get("depth")
        with block("line apart"):
            with block("line"):
                heading(1, job.spec["name"])
                self._chip = markup(chip(job.state))
                self._phase = text("", "muted small")
            self._actions = JobActions(services, job, self.tick)
        self._reason = text("", "notice")
        self._figures = markup("")
        with block("split"):
            with card("Pareto front") as self._front_card, block("empty") as self._empty:
                self._empty_title = heading(2, "")
                self._empty_words = text("")
            with block("stack pinned").style("gap: 18px"):
                self._knee = KneePanel(services, job.id, front, depth)
                self._hypervolume = HypervolumePanel(front)
        with block("split"):
            with block("stack").style("gap: 18px"):
                self._picks = PicksPanel(services, job.id, front, depth)
                self._audit = AuditPanel()
            self._importance = ImportancePanel()
        self._transfer = TransferPanel(services, job.id, depth) if job.context.get("sources") else None
        with card("Trials"):
            self._trials = TrialsTable(job.id, [each.metric for each in front.objectives], depth)
        self._show(job, front)

    async def tick(self) -> None:
        """Look at the store and show what changed."""
        store = self._services.store
        try:
            job, last = await run_in_threadpool(lambda: (store.job(self._job.id), store.last_event_id(self._job.id)))
        except NotFound:
            self._end()
            ui.navigate.to("/")
            return
        if job != self._job:
            front = views.front_view(job)
            redraw = job.progress.get("front") != self._job.progress.get("front")
            self._job = job
            self._show(job, front)
            if redraw:
                if self._front is not None:
                    self._front.update(front)
                self._knee.update(front)
                self._hypervolume.update(front)
                await self.refresh_analysis()
                if self._transfer is not None:
                    await self._transfer.update()
        if last != self._seen:
            self._seen = last
            await self.refresh_trials()
        elif job.state in ENDED:
            self._end()

    async def refresh_trials(self) -> None:
        trials: list[TrialRecord] = await run_in_threadpool(self._services.store.all_trials, self._job.id)
        self._trials.update(trials)

    async def refresh_analysis(self) -> None:
        """Points to take, and what matters: as often as the front changes."""
        try:
            await self._picks.update(views.front_view(self._job))
            self._importance.update(await run_in_threadpool(self._services.importance, self._job.id))
        except NotFound:  # deleted meanwhile: the next look at the store says so
            return

    def _end(self) -> None:
        if self.timer is not None:
            self.timer.deactivate()

    def _show(self, job: JobRecord, front: FrontView) -> None:
        self._chip.content = chip(job.state)
        say(self._phase, job.progress.get("phase", "") if job.state == "running" else "")
        self._actions.update(job)
        said = job.reason if job.state in ("failed", "cancelled", "paused") else None
        say(self._reason, said or "")
        self._reason.set_visibility(said is not None)
        self._figures.content = figures(_figures(job, front))
        self._audit.update(audit_view(job))
        measured = bool(front.points or front.dominated or front.baselines)
        if measured and self._front is None:
            # A chart must not be made before it can be seen: its size would be unknown.
            with self._front_card:
                self._front = FrontPanel(self._job.id, front, self._depth)
        self._empty.set_visibility(not measured)
        title, words = EMPTY[job.state]
        say(self._empty_title, title)
        say(self._empty_words, words)


def _ahead(gain: dict[str, float] | None) -> str:
    """What further trials are expected to add, and at most."""
    return f"+{gain['expected']:.1%} in {AHEAD} more, at most {gain['most']:.1%}" if gain else ""


def _figures(job: JobRecord, front: FrontView) -> list[tuple[str, str, str]]:
    progress = job.progress
    names = [each.metric for each in front.objectives]
    best = progress.get("best") or {}
    budget = job.spec["budget"]
    minutes = f"of {budget['minutes']:g} min" if budget.get("minutes") else ""
    evaluations = progress.get("evaluations") or {}
    remark = f"{evaluations['failed']} failed" if evaluations.get("failed") else ""
    quality = next((name for name in names if name in METRICS and METRICS[name].quality), names[0] if names else "")
    measured = len(front.points) + len(front.dominated) + sum(not each.on_front for each in front.baselines)
    return [
        (f"Best {metric_title(quality).lower()}", metric_value(quality, best.get(quality)), ""),
        ("On the front", str(len(front.points)), f"of {measured} measured in full"),
        ("Trials sampled", str(progress.get("sampled", 0)), f"of {count(budget['trials'])}"),
        ("Evaluations", str(evaluations.get("completed", 0)), remark),
        ("Time", duration(progress.get("elapsed_seconds", 0.0)), minutes),
        ("Hypervolume", f"{front.hypervolume:.4f}" if front.history else "–", _ahead(progress.get("gain"))),
    ]
