"""The reference page, written from the code: `python -m api.reference > docs/reference.md`."""

from __future__ import annotations

import json
import sys
import types
import typing
from collections.abc import Iterator
from typing import Any

import typer
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from api.cli import app
from api.routes import OPEN, ROUTERS
from api.settings import Settings, variable
from search.job import JobSpec
from search.metrics import METRICS

HEAD = """# Reference

Written from the code by `python -m api.reference > docs/reference.md`; a test holds this page to it.
"""
SETTINGS = """
## Settings

Each is an environment variable, and a flag of the commands that it concerns; the flag wins. The command line trusts its
user: roots bind only what is named over HTTP.

| variable | meaning | default |
|---|---|---|
"""
JOB = """
## Job spec

YAML or JSON, the same for `paretune search`, `paretune submit` and `POST /api/v1/jobs`. Relative paths start at the job
file's folder (over HTTP, at the service's working folder). Only `model` and `task.data` have no default. Objectives and
constraints name the metrics below; `quality` is accuracy for classification and R² for regression.

| field | meaning | default |
|---|---|---|
"""
METRIC_TABLE = """
## Metrics

| metric | goal | meaning | tasks |
|---|---|---|---|
"""
COMMANDS = """
## Commands

`--json` prints JSON for programs. Errors go to the error stream. Exit codes: 0 done, 1 refused or failed, 2 wrong
usage, 130 paused by Ctrl-C. `paretune --version` prints the version.
"""
ROUTES = """
## HTTP

Under `/api`; the OpenAPI document is at `/api/v1/openapi.json`. Every error is a problem document (RFC 9457) with
`errors: [{field, message}]`. With API keys, send `Authorization: Bearer KEY`. Lists have `items` and `next`;
give `next` as `after` to get the next page.

| route | does |
|---|---|
"""


def _cell(text: object) -> str:
    return str(text).replace("|", "\\|").replace("\n", " ")


def settings_rows() -> Iterator[str]:
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None or "default:" in (field.description or "") else _default(field)
        yield f"| `{variable(name)}` | {_cell(field.description)} | {default} |"


def job_rows(model: type[BaseModel] = JobSpec, prefix: str = "") -> Iterator[str]:
    """One row for each field that holds a value; objects are entered, lists of objects as `name[]`."""
    for name, field in model.model_fields.items():
        inner, listed = _inner(field.annotation)
        path = f"{prefix}{name}{'[]' if listed and inner else ''}"
        if inner is not None:
            if listed:
                yield f"| `{prefix}{name}` | {_cell(field.description or '')} | {_default(field)} |"
            yield from job_rows(inner, f"{path}.")
        else:
            yield f"| `{path}` | {_cell(field.description or '')} | {_default(field)} |"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "none: give one"
    value = field.get_default(call_default_factory=True)
    if value is None or value is PydanticUndefined:
        return ""
    if isinstance(value, tuple):
        value = [each.model_dump(exclude_none=True) if isinstance(each, BaseModel) else each for each in value]
    return f"`{_cell(json.dumps(value, default=str) if not isinstance(value, str) else value)}`"


def _inner(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """The model in an annotation, and whether a list of them."""
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return (annotation if issubclass(annotation, BaseModel) else None), False
    listed = typing.get_origin(annotation) is tuple
    found = [_inner(part)[0] for part in typing.get_args(annotation)]
    return next((each for each in found if each is not None), None), listed


def metric_rows() -> Iterator[str]:
    for metric in METRICS.values():
        meaning = f"{metric.summary} ({metric.unit})" if metric.unit else metric.summary
        yield f"| `{metric.name}` | {metric.goal} | {_cell(meaning)} | {', '.join(metric.tasks) or 'all'} |"


def command_sections() -> Iterator[str]:
    yield from _sections(typer.main.get_command(app), "paretune")


def _sections(command: Any, name: str) -> Iterator[str]:
    inner = getattr(command, "commands", None)
    if inner is not None:
        for each in inner.values():
            yield from _sections(each, f"{name} {each.name}")
        return
    parameters = [each for each in command.params if each.name != "help"]
    arguments = [each for each in parameters if each.param_type_name == "argument"]
    options = [each for each in parameters if each.param_type_name == "option"]
    shown = " ".join((each.metavar or each.name.upper()) for each in arguments)
    yield f"\n### `{name}{' ' + shown if shown else ''}`\n\n{command.help}\n"
    if options:
        yield "| option | meaning | default |\n|---|---|---|"
        for each in options:
            default = "" if each.default is None or isinstance(each.default, bool) else f"`{each.default}`"
            yield f"| `{each.opts[0]}` | {_cell(each.help)} | {default} |"


def route_rows() -> Iterator[str]:
    for route in (each for router in (*ROUTERS, *OPEN) for each in router.routes if isinstance(each, APIRoute)):
        for method in sorted(route.methods or ()):
            yield f"| `{method} /api/v1{route.path}` | {_cell(route.summary)} |"


def reference() -> str:
    """The whole page."""
    parts = [
        HEAD,
        SETTINGS + "\n".join(settings_rows()) + "\n",
        JOB + "\n".join(job_rows()) + "\n",
        METRIC_TABLE + "\n".join(metric_rows()) + "\n",
        COMMANDS + "\n".join(command_sections()) + "\n",
        ROUTES + "\n".join(route_rows()) + "\n",
    ]
    return "".join(parts)


if __name__ == "__main__":
    sys.stdout.write(reference())
