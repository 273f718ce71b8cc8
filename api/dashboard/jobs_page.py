"""The list of searches."""

from __future__ import annotations

from html import escape

from nicegui import ui
from starlette.concurrency import run_in_threadpool

from api.dashboard.elements import block, button, chip, heading, markup, progress_bar, text
from api.dashboard.frame import PAGE_SECONDS, frame
from api.dashboard.times import ago
from api.services import Services
from api.words import job_inputs, metric_title, metric_value
from search.metrics import METRICS
from storage.records import JobRecord, Page

PAGE_SIZE = 50
REFRESH_SECONDS = 2.0


def register(services: Services) -> None:
    @ui.page("/", title="Searches · Paretune", response_timeout=PAGE_SECONDS)
    async def jobs_page() -> None:
        with frame("Searches"):
            with block("line apart"):
                heading(1, "Searches")
                button("New search", icon="add", primary=True).on_click(lambda: ui.navigate.to("/submit"))
            listing = JobList(services)
        await listing.refresh()
        ui.timer(REFRESH_SECONDS, listing.refresh)


class JobList:
    """Searches, newest first; redrawn when one of them changed."""

    def __init__(self, services: Services) -> None:
        self._store = services.store
        self._shown: list[JobRecord] | None = None
        self._pages = 1
        self._box = ui.element("section").classes("card jobs").style("padding: 0; gap: 0")
        self._box.props["aria-label"] = "Searches"
        self._more = button("Show older searches").on_click(self._show_more)
        self._more.set_visibility(False)

    async def refresh(self) -> None:
        jobs, older = await run_in_threadpool(self._read)
        self._more.set_visibility(older)
        if jobs == self._shown:
            return
        self._shown = jobs
        self._box.clear()
        with self._box:
            if not jobs:
                _empty()
            else:
                markup(
                    "<div>Name</div><div>State</div><div>Progress</div><div>Best</div><div class=created>Created</div>",
                    "head",
                )
                for job in jobs:
                    markup(_row(job), "job", tag="a").props(f'href="/jobs/{job.id}"')

    def _read(self) -> tuple[list[JobRecord], bool]:
        jobs: list[JobRecord] = []
        after = None
        for _ in range(self._pages):
            page: Page[JobRecord] = self._store.jobs(after=after, limit=PAGE_SIZE)
            jobs += page.items
            after = page.next
            if after is None:
                break
        return jobs, after is not None

    async def _show_more(self) -> None:
        self._pages += 1
        await self.refresh()


def _empty() -> None:
    with block("empty"):
        heading(2, "No search yet")
        text("Name a model, a data file and what matters. The first baseline is on the plot about a minute later.")
        button("Start the first search", primary=True).on_click(lambda: ui.navigate.to("/submit"))


def _row(job: JobRecord) -> str:
    spec, progress = job.spec, job.progress
    trials, sampled = spec["budget"]["trials"], progress.get("sampled", 0)
    best = {name: value for name, value in (progress.get("best") or {}).items() if METRICS[name].quality}
    words = " · ".join(
        f"{escape(metric_title(name).lower())} <b>{escape(metric_value(name, value))}</b>"
        for name, value in best.items()
    )
    return (
        f'<div style="min-width: 0"><div class="name">{escape(spec["name"])}</div>'
        f'<div class="muted small">{escape(job_inputs(spec))}</div></div>'
        f"<div>{chip(job.state)}</div>"
        f'<div class="small number">{sampled} of {trials} trials'
        f"{progress_bar(1.0 if job.state == 'completed' else sampled / trials, 'Trials sampled')}</div>"
        f'<div class="small number">{words or "<span class=muted>nothing yet</span>"}</div>'
        f'<div class="muted small created">{escape(ago(job.created_at))}</div>'
    )
