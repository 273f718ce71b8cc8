"""Commands about jobs: submit, jobs, show, front, cancel, pause, resume, delete."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from api.commands.options import ApiKey, DatabaseUrl, DataDir, JobFile, JobId, Json, Server
from api.commands.output import (
    print_audit,
    print_front,
    print_json,
    print_placement,
    print_table,
    print_transfer,
)


def client_of(data_dir: Path | None, database_url: str | None, server: str | None, api_key: str | None) -> Any:
    from api.client import Client
    from api.settings import load_settings

    return Client(load_settings(data_dir=data_dir, database_url=database_url, server=server, api_key=api_key))


def submit(
    job_file: JobFile,
    idempotency_key: Annotated[
        str | None, typer.Option(help="Text of your own: submitting again under it queues nothing new.")
    ] = None,
    as_json: Json = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    server: Server = None,
    api_key: ApiKey = None,
) -> None:
    """Check a job and queue it for a service."""
    from api.jobfile import read_job

    headers = {"Idempotency-Key": idempotency_key} if idempotency_key is not None else {}
    job = client_of(data_dir, database_url, server, api_key).post("/jobs", read_job(job_file), headers)
    if as_json:
        print_json(job)
    else:
        typer.echo(f"{job['id']} is {job['state']}; `paretune show {job['id']}` follows it")


def jobs(
    state: Annotated[str | None, typer.Option(help="Only jobs in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="Jobs shown, the newest first.")] = 50,
    as_json: Json = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    server: Server = None,
    api_key: ApiKey = None,
) -> None:
    """List jobs."""
    found = client_of(data_dir, database_url, server, api_key).get("/jobs", state=state, limit=limit)["items"]
    if as_json:
        print_json(found)
        return
    rows = [
        [
            job["id"],
            job["name"],
            job["state"],
            f"{job['progress']['sampled']}/{job['progress']['trials']}",
            job["progress"]["hypervolume"],
            job["created_at"][:16].replace("T", " "),
        ]
        for job in found
    ]
    print_table(["job", "name", "state", "trials", "hypervolume", "created (UTC)"], rows)


def show(
    job: JobId,
    trial: Annotated[int | None, typer.Option(min=0, help="This trial with its evaluations.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Trials shown, the newest first.")] = 20,
    against: Annotated[
        str | None, typer.Option(help="What transferred is compared with this search of the same task.")
    ] = None,
    as_json: Json = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    server: Server = None,
    api_key: ApiKey = None,
) -> None:
    """Show a job, or one of its trials."""
    from search.gain import Gain

    client = client_of(data_dir, database_url, server, api_key)
    if trial is not None:
        found = client.get(f"/jobs/{job}/trials/{trial}")
        if as_json:
            print_json(found)
            return
        _print_trial(found)
        print_placement(found["plan"])
        return
    found = client.get(f"/jobs/{job}")
    trials = client.get(f"/jobs/{job}/trials", descending=True, limit=limit)["items"]
    audit = client.get(f"/jobs/{job}/audit")
    learns = found["spec"].get("transfer") is not None
    transferred = client.get(f"/jobs/{job}/transfer", against=against) if learns else None
    if as_json:
        more = {"transfer": transferred} if transferred else {}
        print_json({**found, "audit": audit, **more, "trials": trials})
        return
    progress, cost = found["progress"], found["cost"]
    reason = f" ({found['reason']})" if found["reason"] else ""
    typer.echo(f"{found['name']}: {found['state']}{reason}, {progress['phase']}")
    typer.echo(
        f"{progress['sampled']} of {progress['trials']} configurations sampled, hypervolume "
        f"{progress['hypervolume']:.4f}, {cost['steps']:,} steps, {cost['elapsed_seconds']:.0f} s"
    )
    if progress["gain"] is not None:
        typer.echo(Gain(**progress["gain"]).words)
    if transferred:
        print_transfer(transferred)
    rows = [
        [
            each["number"],
            each["name"] or "+".join(part["method"] for part in each["configuration"]["components"]) or "head only",
            each["state"],
            each["trainable_parameters"],
            *(each["summary"].get(name) for name in ("fidelity", *_qualities(found))),
            (each["failure"] or {}).get("reason", ""),
        ]
        for each in trials
    ]
    print_table(["trial", "what", "state", "parameters", "fidelity", *_qualities(found), "failure"], rows)
    print_audit(audit)


def _qualities(job: dict[str, Any]) -> list[str]:
    objectives = job["context"].get("objectives", {}).get("objectives", [])
    return [each["metric"] for each in objectives if each["metric"] != "trainable_parameters"]


def _print_trial(trial: dict[str, Any]) -> None:
    from api.words import configuration_words
    from space.configuration import Configuration

    typer.echo(f"trial {trial['number']}: {trial['state']}, {trial['trainable_parameters']:,} trainable parameters")
    typer.echo(configuration_words(Configuration.model_validate(trial["configuration"])))
    typer.echo(f"{trial['strategy']}: {trial['reason']}")
    if trial["ladder"]:
        typer.echo(trial["ladder"])
    if trial["failure"]:
        typer.echo(f"failed ({trial['failure']['reason']}): {trial['failure']['message']}")
    evaluations = trial["evaluations"]
    heads = [f"{each['purpose']}, {each['stop_step']} steps, seed {each['seed']}" for each in evaluations]
    names = sorted({name for each in evaluations for name in each["metrics"]})
    rows = [["state", *(each["state"] for each in evaluations)]]
    rows += [[name, *(each["metrics"].get(name) for each in evaluations)] for name in names]
    print_table(["", *heads], rows)


def front(
    job: JobId,
    show: Annotated[
        int | None, typer.Option(min=1, max=1000, help="Only so many points: those that show the front best.")
    ] = None,
    as_json: Json = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    server: Server = None,
    api_key: ApiKey = None,
) -> None:
    """Print a job's Pareto front."""
    found = client_of(data_dir, database_url, server, api_key).get(f"/jobs/{job}/front", show=show)
    print_json(found) if as_json else print_front(found)


def _act(job: str, action: str, client: Any) -> None:
    found = client.post(f"/jobs/{job}/{action}")
    typer.echo(f"{job} is {found['state']}" + (f", asked to {found['requested']}" if found["requested"] else ""))


def cancel(
    job: JobId,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    server: Server = None,
    api_key: ApiKey = None,
) -> None:
    """End a job for good; what was found stays."""
    _act(job, "cancel", client_of(data_dir, database_url, server, api_key))


def pause(
    job: JobId,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    server: Server = None,
    api_key: ApiKey = None,
) -> None:
    """Stop a job's evaluations and keep its place."""
    _act(job, "pause", client_of(data_dir, database_url, server, api_key))


def resume(
    job: JobId,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    server: Server = None,
    api_key: ApiKey = None,
) -> None:
    """Queue a paused job again for a service (`paretune search --resume JOB` runs it right here)."""
    _act(job, "resume", client_of(data_dir, database_url, server, api_key))


def delete(
    job: JobId,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    server: Server = None,
    api_key: ApiKey = None,
) -> None:
    """Delete an ended or paused job."""
    client_of(data_dir, database_url, server, api_key).call("DELETE", f"/jobs/{job}")
    typer.echo(f"{job} is deleted")


COMMANDS = (submit, jobs, show, front, cancel, pause, resume, delete)
