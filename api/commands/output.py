"""Printing: JSON for programs, tables for people, errors for both."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import typer


def print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str | None = None) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns, title=title, title_justify="left")
    table.columns[0].no_wrap = True  # what a row is called is copied into the next command: others give way first
    for row in rows:
        table.add_row(*(shown(value) for value in row))
    Console().print(table)


def shown(value: Any) -> str:
    """A value as a table shows it; text is text, never markup."""
    from rich.markup import escape

    match value:
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.0f}" if value.is_integer() and abs(value) >= 1000 else f"{value:.4g}"
        case list() | tuple():
            return ", ".join(map(shown, value)) or "–"
        case _:
            return escape(str(value))


def complain(message: str, fields: Iterable[tuple[str, str]] = ()) -> None:
    """An error on the error stream: what happened, and each field at fault on a line of its own."""
    typer.secho(f"error: {message}", err=True, fg=typer.colors.RED)
    for field, text in fields:
        typer.echo(f"  {field}: {text}" if field else f"  {text}", err=True)


def print_front(front: dict[str, Any]) -> None:
    """The front as a table, baselines beside it, and what it says."""
    names = [each["metric"] for each in front["objectives"]]
    subset = front.get("subset")
    points = [point for point in front["points"] if subset is None or point["trial"] in subset["trials"]]
    others = [point for point in front["baselines"] if not point["on_front"] and subset is None]
    tested = next((name for name in names if any(name in point["test"] for point in points)), None)
    rows = [
        [
            point["trial"],
            point["name"] or "+".join(point["methods"]) or "head only",
            *(_with_interval(point, name) for name in names),
            *([point["test"].get(tested)] if tested else []),
            "–" if point["probability"] is None else f"{point['probability']:.2f}",
            point["seeds"] if point["fresh"] else f"{point['seeds']}, selected it",
            _mark(point, front["knee"]),
        ]
        for point in [*points, *others]
    ]
    print_table(["trial", "what", *names, *(["test"] if tested else []), "P(front)", "seeds", ""], rows)
    if subset is not None:
        typer.echo(subset["statement"])
    typer.echo(front["statement"])
    typer.echo(f"hypervolume {front['hypervolume']:.4f}, of the baselines alone {front['baseline_hypervolume']:.4f}")


def print_transfer(found: dict[str, Any]) -> None:
    """What a job made of earlier ones: each source, the points that were carried over, and what they reach."""
    for source in found["sources"]:
        typer.echo(f"source {source['job']} ({source['name']}): {source['statement']}")
        for verdict in source["verdicts"]:
            typer.echo(f"  {verdict['metric']}: {verdict['statement']}")
    points = found["points"]
    if points:
        there = [name for name in points[0]["here"] if any(name in point["there"] for point in points)]
        tested = sorted({name for point in points for name in point["test"]})
        columns = [f"{name} there" for name in there]
        columns += [f"{name} here" for name in points[0]["here"]] + [f"test {name}" for name in tested]
        rows = [
            [
                point["trial"],
                point["source_trial"],
                "+".join(point["methods"]),
                *(point["there"].get(name) for name in there),
                *(_with_bounds(value, point["intervals"].get(name)) for name, value in point["here"].items()),
                *(point["test"].get(name) for name in tested),
                point["seeds"],
            ]
            for point in points
        ]
        print_table(["trial", "there", "what", *columns, "seeds"], rows)
    typer.echo(found["statement"])


def _mark(point: dict[str, Any], knee: int | None) -> str:
    if not point["feasible"]:
        return "breaks a constraint"
    if not point["on_front"]:
        return "dominated"
    return "knee" if point["trial"] == knee else ""


def _with_interval(point: dict[str, Any], name: str) -> str:
    return _with_bounds(point["objectives"][name], point["intervals"].get(name))


def _with_bounds(value: float, bounds: Sequence[float] | None) -> str:
    if bounds is None or bounds[0] == bounds[1]:
        return shown(value)
    return f"{shown(value)} ± {(bounds[1] - bounds[0]) / 2:.2g}"


def print_audit(audit: dict[str, Any]) -> None:
    """How well short runs foretell full ones, a row a rung, and what was decided."""
    rows = [
        [
            f"{rung['fidelity']:.0%}",
            *(_correlation(each[kind]) for each in rung["agreements"] for kind in ("spearman", "kendall")),
            rung["pairs"],
        ]
        for rung in audit["rungs"]
        if rung["agreements"][0]["spearman"] is not None
    ]
    if rows:
        metrics = [each["metric"] for each in audit["rungs"][0]["agreements"]]
        heads = [f"{kind}, {metric}" for metric in metrics for kind in ("Spearman", "Kendall")]
        print_table(["trained", *heads, "audited"], rows, title="short runs against full ones, with 95% intervals")
    typer.echo(audit["statement"])
    for words in audit["rises"]:
        typer.echo(words)


def _correlation(found: dict[str, float] | None) -> str:
    return "–" if found is None else f"{found['value']:.2f} ({found['low']:.2f} to {found['high']:.2f})"


def print_placement(plan: dict[str, Any]) -> None:
    """What went where: the size of each method at each role, layer by layer; nothing for a plan without layers."""
    entries = [entry for entry in plan["entries"] if entry["layer"] >= 0]
    if not entries:
        return
    layers = range(max(entry["layer"] for entry in entries) + 1)
    by_row: dict[tuple[str, str], dict[int, str]] = {}
    for entry in entries:
        row = by_row.setdefault((entry["method"], entry["role"]), {})
        row[entry["layer"]] = str(entry["size"] or "•")
    rows = [[*place, *(row.get(layer, "") for layer in layers)] for place, row in by_row.items()]
    print_table(["method", "role", *(str(layer + 1) for layer in layers)], rows, title="what went where, by layer")
