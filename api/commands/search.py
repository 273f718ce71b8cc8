"""`paretune search`: a whole search in this process, without a server."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.commands.options import (
    DatabaseUrl,
    DataDir,
    InspectionLimit,
    Json,
    MemoryLimit,
    PoolName,
    TimeLimit,
    Workers,
)
from api.commands.output import complain, print_front, print_json, print_transfer
from evaluator.environment import REPEATABLE

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from api.services import Services
    from storage.records import JobRecord

LOOK_SECONDS = 0.5
CLAIM_SECONDS = 1.0
"""Between two tries to take a job that another process has."""
INTERRUPTED = 130


def search(
    job_file: Annotated[Path | None, typer.Argument(metavar="[JOB.yaml]", help="The job.", show_default=False)] = None,
    resume: Annotated[str | None, typer.Option(help="Go on with this paused job instead.")] = None,
    as_json: Json = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    workers: Workers = None,
    pool: PoolName = None,
    memory_limit: MemoryLimit = None,
    time_limit: TimeLimit = None,
    inspection_limit: InspectionLimit = None,
) -> None:
    """Run a search here, no server needed. Ctrl-C pauses it."""
    if (job_file is None) == (resume is None):
        raise typer.BadParameter("give either a job file or --resume JOB")
    with _services(
        data_dir=data_dir, database_url=database_url, workers=workers, pool=pool, memory_limit=memory_limit,
        time_limit=time_limit, inspection_limit=inspection_limit,
    ) as services:  # fmt: skip
        job = _queue(services, job_file) if resume is None else services.request(str(resume), "resume")
        typer.echo(f"job {job.id}: {job.spec['name']}, kept in {services.settings.data_dir}", err=True)
        _conclude(services, _run(services, job.id), as_json)


def transfer(
    source: Annotated[str, typer.Argument(metavar="SOURCE_JOB", help="The earlier job.", show_default=False)],
    job_file: Annotated[Path, typer.Argument(metavar="TARGET.yaml", help="Where to carry it.", show_default=False)],
    points: Annotated[int, typer.Option(min=1, max=100, help="Points of the source's front to carry over.")] = 5,
    against: Annotated[
        str | None, typer.Option(help="A search of the target's task to compare with; default: the newest one.")
    ] = None,
    as_json: Json = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    workers: Workers = None,
    pool: PoolName = None,
    memory_limit: MemoryLimit = None,
    time_limit: TimeLimit = None,
    inspection_limit: InspectionLimit = None,
) -> None:
    """Train an earlier front's points on another task or model, and say how much of it holds there. No server needed;
    Ctrl-C pauses, and `paretune search --resume` goes on."""
    with _services(
        data_dir=data_dir, database_url=database_url, workers=workers, pool=pool, memory_limit=memory_limit,
        time_limit=time_limit, inspection_limit=inspection_limit,
    ) as services:  # fmt: skip
        job = _queue_transfer(services, source, job_file, points)
        typer.echo(f"job {job.id}: {job.spec['name']}, kept in {services.settings.data_dir}", err=True)
        _conclude_transfer(services, _run(services, job.id), against, as_json)


@contextmanager
def _services(**options: Any) -> Iterator[Services]:
    """Of this machine, for a command with these options; closed at the end."""
    from api.settings import load_settings
    from api.wiring import make_services

    # The suggestions' linear algebra shares the cores with the workers, and repeats itself.
    for name, value in REPEATABLE.items():
        os.environ.setdefault(name, value)
    services = make_services(load_settings(**options), trusted=True)
    try:
        yield services
    finally:
        services.close()


def _queue_transfer(services: Services, source: str, job_file: Path, points: int) -> JobRecord:
    """The target's job with nothing but the source's points to sample."""
    from api.jobfile import read_job
    from search.fields import parse
    from search.job import JobSpec

    content = read_job(job_file)
    spec = parse(JobSpec, content)
    fields = {
        **content,
        "name": f"{spec.name}: front of {source}"[:200],
        "transfer": {"jobs": [source], "only": True},
        "budget": {**spec.budget.model_dump(), "trials": points},
    }
    return services.submit(parse(JobSpec, fields))[0]


def _conclude_transfer(services: Services, job: JobRecord, against: str | None, as_json: bool) -> None:
    if job.state != "completed":
        _conclude(services, job, as_json)
    found = services.transfer(job.id, against).model_dump(mode="json")
    if as_json:
        print_json({"id": job.id, "state": job.state, "reason": job.reason, "transfer": found})
    else:
        print_transfer(found)
        typer.echo(f"completed: {job.reason}; see it again with `paretune show {job.id}`", err=True)


def _queue(services: Services, job_file: Path | None) -> JobRecord:
    from api.jobfile import read_job
    from search.fields import parse
    from search.job import JobSpec

    assert job_file is not None
    return services.submit(parse(JobSpec, read_job(job_file)))[0]


def _run(services: Services, job_id: str) -> JobRecord:
    """Run the job to its end or pause; the first Ctrl-C pauses it, a second one ends this process at once.

    While another process has the job its progress is shown. When that process hands it back, or died and its lease runs
    out, the job goes on here.
    """
    from api.loop import job_runner
    from api.wiring import make_pool
    from search.service import owner_name

    owner = owner_name()
    claimed = _claim(services, job_id, owner)
    if claimed is None:
        typer.echo("another process has this job; showing its progress, and going on here once it stops", err=True)
        turn = _Turn(services, job_id, owner)
        _watch(services, job_id, turn.awaited, None)
        claimed = turn.claimed
    if claimed is None:
        return services.store.job(job_id)
    pool = make_pool(services.settings)
    runner = job_runner(services, pool, owner)
    pausing = threading.Event()
    work = threading.Thread(
        target=runner.run, args=(claimed, lambda: "pause" if pausing.is_set() else None), name="loop", daemon=True
    )
    work.start()
    try:
        _watch(services, job_id, work.is_alive, pausing.set)
        runner.tidy()
    finally:
        pool.close()
    return services.store.job(job_id)


def _claim(services: Services, job_id: str, owner: str) -> JobRecord | None:
    from search.service import LEASE_SECONDS

    return services.store.claim_job(owner, LEASE_SECONDS, job_id)


@dataclass
class _Turn:
    """Waits until nobody else has the job, and then takes it."""

    services: Services
    job_id: str
    owner: str
    claimed: JobRecord | None = None
    _tried: float = field(default_factory=monotonic)

    def awaited(self) -> bool:
        """Whether another process still has the job; False once it is taken here, or has ended or paused there."""
        if monotonic() - self._tried >= CLAIM_SECONDS:
            self._tried = monotonic()
            self.claimed = _claim(self.services, self.job_id, self.owner)
        return self.claimed is None and self.services.store.job(self.job_id).state in ("queued", "running")


def _watch(services: Services, job_id: str, busy: Callable[[], bool], interrupt: Callable[[], None] | None) -> None:
    """Show the job's progress until it is no longer busy. The first Ctrl-C calls `interrupt`, the next is raised."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    wait = threading.Event()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("starting", total=None)
        while busy():
            try:
                _draw(bar, task, services.store.job(job_id))
                wait.wait(LOOK_SECONDS)
            except KeyboardInterrupt:
                if interrupt is None:
                    raise
                interrupt()
                interrupt = None
                bar.console.print("pausing the search; Ctrl-C again to end at once")
        _draw(bar, task, services.store.job(job_id))


def _draw(bar: Progress, task: TaskID, job: JobRecord) -> None:
    best = ", ".join(f"{name} {value:.4g}" for name, value in job.progress.get("best", {}).items())
    volume = job.progress.get("front", {}).get("hypervolume", 0.0)
    bar.update(
        task,
        description=f"{job.progress.get('phase', job.state)} · hypervolume {volume:.4f}"
        + (f" · {best}" if best else ""),
        total=job.spec["budget"]["trials"],
        completed=job.progress.get("sampled", 0),
    )


def _conclude(services: Services, job: JobRecord, as_json: bool) -> None:
    front = services.front(job.id).model_dump(mode="json")
    if as_json:
        print_json({"id": job.id, "state": job.state, "reason": job.reason, "front": front})
    elif front["points"]:
        print_front(front)
    match job.state:
        case "completed":
            typer.echo(f"completed: {job.reason}; take it away with `paretune export {job.id}`", err=True)
        case "paused":
            why = f": {job.reason}" if job.reason else ""
            typer.echo(f"paused{why}\ngo on with `paretune search --resume {job.id}`", err=True)
            raise typer.Exit(INTERRUPTED)
        case _:
            complain(f"the job is {job.state}" + (f": {job.reason}" if job.reason else ""))
            raise typer.Exit(1)


COMMANDS = (search, transfer)
