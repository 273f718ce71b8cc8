"""The command that takes a result away: a recipe, a trained adapter, or the whole job as an Optuna study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from api.commands.jobs import client_of
from api.commands.options import ApiKey, DatabaseUrl, DataDir, JobId, Server


def export(
    job: JobId,
    format_name: Annotated[
        str,
        typer.Option(
            "--format",
            help="paretune (for `paretune train`), peft (a zip for plain peft), adapter (what the search itself "
            "trained, as a folder that peft loads), or optuna (the whole job as a study).",
        ),
    ] = "paretune",
    trial: Annotated[int | None, typer.Option(min=0, help="This trial; default: the front's knee.")] = None,
    pick: Annotated[
        str | None,
        typer.Option(
            help='Choose from the front: knee, best:accuracy, "best:accuracy,trainable_parameters<=50000" or '
            "weighted:accuracy=2,trainable_parameters=1."
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="The adapter of this seed; default: of the best validation result."),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            help="File to write, for an adapter a new or empty folder; default: its own name, JOB.db for a study, "
            "which may be a URL too."
        ),
    ] = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    server: Server = None,
    api_key: ApiKey = None,
) -> None:
    """Write a recipe that trains one configuration for real, the adapter that the search trained of it, or the whole
    job as an Optuna study."""
    from search.fields import Invalid
    from space.errors import FieldError

    client = client_of(data_dir, database_url, server, api_key)
    if seed is not None and format_name != "adapter":
        raise Invalid([FieldError("--seed", "chooses among trained adapters; leave it out, or add --format adapter")])
    if format_name == "optuna":
        from api.study import export_study

        if trial is not None or pick is not None:
            flag = "--trial" if trial is not None else "--pick"
            raise Invalid([FieldError(flag, "a study holds every trial; leave it out")])
        url = export_study(client, job, output or f"{job}.db")
        typer.echo(f"wrote {url}; `optuna-dashboard` opens it")
    elif format_name == "adapter":
        from api.adapter_folder import write_adapter

        folder, words = write_adapter(client, job, output, trial=trial, pick=pick, seed=seed)
        typer.echo(f"wrote {folder}\n{words}")
    else:
        query = {"format": format_name, "trial": trial, "pick": pick}
        path = _write_recipe(client, job, {name: value for name, value in query.items() if value is not None}, output)
        typer.echo(f"wrote {path}")


def _write_recipe(client: Any, job: str, query: dict[str, Any], output: str | None) -> Path:
    from api.client import named_file
    from search.fields import Invalid
    from space.errors import FieldError

    response = client.call("GET", f"/jobs/{job}/recipe", params=query)
    path = Path(output or named_file(response.headers) or f"{job}.recipe")
    try:
        path.write_bytes(response.content)
    except OSError as error:
        raise Invalid(
            [FieldError("--output", f"{path} cannot be written: {error.strerror}; name another file")]
        ) from error
    return path


COMMANDS = (export,)
