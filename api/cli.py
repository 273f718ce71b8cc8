"""The command line: `paretune`. What is heavy is imported by the command that needs it."""

from __future__ import annotations

from typing import Annotated

import typer

from api.commands import analysis, catalogue, export, jobs, keys, search, serve, train
from api.commands.group import Commands

app = typer.Typer(
    cls=Commands,
    name="paretune",
    help="Finds the parameter-efficient fine-tuning configuration worth training.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    rich_markup_mode=None,
)
for module in (search, serve, jobs, export, analysis, catalogue, train):
    for command in module.COMMANDS:
        app.command()(command)
app.add_typer(keys.keys, name="keys")
app.add_typer(keys.db, name="db")


def _version(asked: bool) -> None:
    if asked:
        from api.version import VERSION

        typer.echo(f"paretune {VERSION}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Settings are flags or PARETUNE_* variables; see docs/reference.md."""


def main() -> None:
    app()


if __name__ == "__main__":
    main()
