"""A new search: a form or YAML, checked against model and data before anything is queued."""

from __future__ import annotations

from html import escape
from typing import Any

import yaml
from nicegui import ui
from starlette.concurrency import run_in_threadpool

from api.dashboard.elements import block, button, card, figures, heading, markup, text
from api.dashboard.frame import PAGE_SECONDS, frame
from api.dashboard.job_form import JobForm
from api.dashboard.times import ago
from api.schemas import SpaceReport
from api.services import Services
from api.words import count, job_inputs
from search.fields import Invalid, parse
from search.job import JobSpec
from space.errors import FieldError
from storage.errors import StoreError

LARGEST_YAML = 1_000_000
LATEST = 100
"""Searches that are offered to learn from."""


def register(services: Services) -> None:
    @ui.page("/submit", title="New search · Paretune", response_timeout=PAGE_SECONDS)
    async def submit_page() -> None:
        earlier = await run_in_threadpool(_earlier, services)
        with frame("New search"):
            SubmitPage(services, earlier)


class SubmitPage:
    def __init__(self, services: Services, earlier: dict[str, str]) -> None:
        self._services = services
        heading(1, "New search")
        with block("split"):
            with block("stack").style("gap: 18px"):
                with ui.tabs().props("align=left dense no-caps inline-label") as self._tabs:
                    ui.tab("form", label="Form", icon="list_alt")
                    ui.tab("yaml", label="YAML", icon="code")
                self._tabs.on_value_change(self._fill_yaml)
                with ui.tab_panels(self._tabs, value="form", animated=False).style("background: transparent"):
                    with ui.tab_panel("form").classes("stack").style("padding: 0; gap: 18px"):
                        self._form = JobForm(earlier)
                    with ui.tab_panel("yaml").classes("stack").style("padding: 0"), card("YAML"):
                        text(
                            "The same as the form, with every field there is. Paste a job file, or edit this one.",
                            "muted small",
                        )
                        self._yaml = (
                            ui.textarea().props("outlined autogrow input-style='min-height: 420px'").classes("yaml")
                        )
                        self._yaml.props["aria-label"] = "Job as YAML"
            with block("stack pinned").style("gap: 18px"), card("Check and start"):
                heading(2, "Check and start")
                text("The check looks at model and data and counts the space; it trains nothing.", "muted small")
                self._errors = markup("")
                self._report = markup("")
                with block("line"):
                    self._check = button("Check", icon="fact_check").on_click(self._on_check)
                    self._start = button("Start search", icon="play_arrow", primary=True).on_click(self._on_start)
                self._busy = ui.linear_progress(show_value=False).props("indeterminate size=3px")
                self._busy.set_visibility(False)

    def _fill_yaml(self) -> None:
        """Leaving the form, its content is the YAML's."""
        if self._tabs.value == "yaml":
            self._yaml.value = yaml.safe_dump(self._form.spec(), sort_keys=False, allow_unicode=True)

    async def _on_check(self) -> None:
        spec = self._parsed()
        if spec is None:
            return
        self._wait(True)
        try:
            report = await run_in_threadpool(self._services.check, spec)
        except StoreError as error:
            self._fail([("", str(error))])
            return
        finally:
            self._wait(False)
        self._fail([(error.field, error.message) for error in report.errors])
        self._report.content = _described(report) if report.valid else ""

    async def _on_start(self) -> None:
        spec = self._parsed()
        if spec is None:
            return
        self._wait(True)
        try:
            job, _ = await run_in_threadpool(self._services.submit, spec)
        except Invalid as error:
            self._fail([(each.field, each.message) for each in error.errors])
            return
        except FieldError as error:
            self._fail([(error.field, error.message)])
            return
        except StoreError as error:
            self._fail([("", str(error))])
            return
        finally:
            self._wait(False)
        ui.navigate.to(f"/jobs/{job.id}")

    def _parsed(self) -> JobSpec | None:
        """The spec that the open tab holds, or None once its errors are shown."""
        self._fail([])
        self._report.content = ""
        try:
            return parse(JobSpec, self._content())
        except Invalid as error:
            self._fail([(each.field, each.message) for each in error.errors])
        except yaml.YAMLError as error:
            self._fail([("", f"this is not YAML: {error}")])
        return None

    def _content(self) -> Any:
        if self._tabs.value != "yaml":
            missing = self._form.missing()
            if missing:
                raise Invalid(missing)
            return self._form.spec()
        written = self._yaml.value or ""
        if len(written) > LARGEST_YAML:
            raise Invalid([FieldError("", "larger than any job file; paste the job alone")])
        return yaml.safe_load(written)

    def _fail(self, errors: list[tuple[str, str]]) -> None:
        """Show errors at their inputs, or all in one place where there is no input; an empty list clears them."""
        self._form.clear_errors()
        left = errors if self._tabs.value == "yaml" else self._form.show_errors(errors)
        items = "".join(
            f"<li>{f'<b>{escape(field)}</b>: ' if field else ''}{escape(message)}</li>" for field, message in left
        )
        placed = len(errors) - len(left)
        marked = f"{placed} field{'s need' if placed > 1 else ' needs'} another look." if placed else ""
        listed = f"<ul>{items}</ul>" if items else ""
        self._errors.content = f'<div class="notice bad" role="alert">{marked}{listed}</div>' if errors else ""

    def _wait(self, waiting: bool) -> None:
        self._busy.set_visibility(waiting)
        self._check.set_enabled(not waiting)
        self._start.set_enabled(not waiting)


def _earlier(services: Services) -> dict[str, str]:
    """The latest searches that have a trial, as a user knows them apart."""
    jobs = services.store.jobs(limit=LATEST).items
    return {
        job.id: f"{job.spec['name']}: {job_inputs(job.spec)}, {ago(job.created_at)}"
        for job in jobs
        if job.progress.get("sampled", 0)
    }


def _described(report: SpaceReport) -> str:
    low, high = report.parameter_range or (0, 0)
    rows = report.rows or {}
    cells = [
        ("Configurations", count(report.size) if report.size is not None else "–", "learning rate not counted"),
        ("Trainable parameters", f"{count(low)} to {count(high)}", ""),
        ("Rows", f"{sum(rows.values()):,}", ", ".join(f"{name} {number:,}" for name, number in rows.items())),
    ]
    if report.classes:
        cells.append(("Classes", str(len(report.classes)), ", ".join(report.classes)[:120]))
    return '<div class="notice quiet">Everything fits; this is what would be searched.</div>' + figures(cells)
