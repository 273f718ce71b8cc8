"""What a user does to a job: pause, resume, cancel, delete (asked twice), and taking recipes and adapters away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from nicegui import ui
from starlette.concurrency import run_in_threadpool

from api.adapter import MEDIA_TYPE
from api.dashboard.elements import block, button, heading, say, text
from api.not_ready import NotReady
from api.recipes import FORMATS
from api.services import Services
from space.errors import FieldError
from storage.errors import StoreError
from storage.records import JobRecord
from storage.states import JobAction

ENDED = ("completed", "cancelled", "failed")
_REQUESTED = {"pause": "pausing", "cancel": "cancelling"}


class JobActions:
    """The buttons that fit the job's state; `update` shows those of a new one."""

    def __init__(self, services: Services, job: JobRecord, changed: Callable[[], Awaitable[None]]) -> None:
        self._services = services
        self._changed = changed
        with block("line"):
            self._note = text("", "muted small")
            self._pause = button("Pause", icon="pause").on_click(lambda: self._ask("pause"))
            self._resume = button("Resume", icon="play_arrow").on_click(lambda: self._ask("resume"))
            self._cancel = button("Cancel", icon="stop").on_click(self._confirm_cancel)
            self._delete = button("Delete", icon="delete_outline").on_click(self._confirm_delete)
        self._cancelling = confirmation(
            "Cancel this search?",
            "Running evaluations stop and the search cannot be resumed. What it has found stays.",
            "Cancel the search",
        )
        self._deleting = confirmation(
            "Delete this search?", "Its trials, curves and front are removed for good.", "Delete the search"
        )
        self.update(job)

    def update(self, job: JobRecord) -> None:
        self._job = job
        waiting = job.requested is not None
        say(self._note, f"{_REQUESTED[job.requested]}…" if job.requested is not None else "")
        self._pause.set_visibility(job.state in ("queued", "running") and not waiting)
        self._resume.set_visibility(job.state == "paused" and not waiting)
        self._cancel.set_visibility(job.state not in ENDED and job.requested != "cancel")
        self._delete.set_visibility(job.state in (*ENDED, "paused"))

    async def _ask(self, action: JobAction) -> None:
        try:
            await run_in_threadpool(self._services.request, self._job.id, action)
        except StoreError as error:
            ui.notify(str(error), type="negative")
        await self._changed()

    async def _confirm_cancel(self) -> None:
        if await self._cancelling:
            await self._ask("cancel")

    async def _confirm_delete(self) -> None:
        if not await self._deleting:
            return
        try:
            await run_in_threadpool(self._services.delete, self._job.id)
        except StoreError as error:
            ui.notify(str(error), type="negative")
            return
        ui.navigate.to("/")


def confirmation(question: str, consequence: str, deed: str) -> ui.dialog:
    """A dialog that answers True when the user says yes, each time it is awaited."""
    with ui.dialog() as dialog, block("card").props('role="alertdialog"'):
        heading(2, question)
        text(consequence, "muted")
        with block("line").style("justify-content: flex-end"):
            button("Keep it").on_click(lambda: dialog.submit(False))
            button(deed, primary=True).props("color=negative").on_click(lambda: dialog.submit(True))
    return dialog


def export_buttons(services: Services, job_id: str, trial: Callable[[], int | None]) -> list[ui.button]:
    """A button for each recipe format; `trial` says whose configuration (None: the knee's)."""
    made = []
    for name, format_ in FORMATS.items():

        async def download(name: str = name) -> None:
            try:
                file = await run_in_threadpool(services.recipe, job_id, name, trial())
            except (NotReady, FieldError, StoreError) as error:
                ui.notify(str(error), type="warning")
                return
            ui.download.content(file.content, file.name, file.media_type)

        export = button(f"Export {name}", icon="download").on_click(download)
        export.tooltip(format_.summary)
        made.append(export)
    return made


def adapter_button(services: Services, job_id: str, trial: int) -> ui.button:
    """A button for the trained adapter of a trial that has one; the file goes to the browser as it is read."""

    async def download() -> None:
        try:
            adapter = await run_in_threadpool(services.adapter, job_id, trial)
        except (FieldError, StoreError) as error:
            ui.notify(str(error), type="warning")
            return
        ui.download.file(adapter.path, adapter.name, MEDIA_TYPE)

    export = button("Export adapter", icon="download").on_click(download)
    export.tooltip("what the search itself trained, packed for peft")
    return export
