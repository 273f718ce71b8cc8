"""Commands that look and change nothing: methods, check."""

from __future__ import annotations

import typer

from api.commands.options import DataDir, InspectionLimit, JobFile, Json
from api.commands.output import complain, print_json, print_table


def methods(as_json: Json = False) -> None:
    """List the methods that a space may name, and the allocators and treatments that go with them."""
    from api.catalogue import rate_words, verified_words
    from api.views import catalogue_views

    rows = catalogue_views()
    if as_json:
        print_json([row.model_dump(mode="json") for row in rows])
        return
    print_table(
        ["name", "kind", "what it is", "engine", "size", "learning rates", "merges", "to LoRA", "verified"],
        [
            [
                row.name,
                row.kind,
                row.summary if row.fits is None else f"{row.summary}; fits {row.fits}",
                row.engine,
                row.size.name if row.size else None,
                rate_words(row.learning_rate),
                row.merges if row.kind == "method" else None,
                row.converts_to_lora if row.kind == "method" else None,
                verified_words(row),
            ]
            for row in rows
        ],
    )


def check(
    job_file: JobFile, as_json: Json = False, data_dir: DataDir = None, inspection_limit: InspectionLimit = None
) -> None:
    """Check a job and say what its space holds; nothing is queued."""
    from api.jobfile import read_job
    from api.report import space_report
    from api.settings import load_settings
    from api.wiring import make_inspector
    from search.fields import parse
    from search.job import JobSpec
    from search.submission import prepare
    from storage.open import open_store

    settings = load_settings(data_dir=data_dir, inspection_limit=inspection_limit)
    spec = parse(JobSpec, read_job(job_file))
    inspector = make_inspector(settings)
    store = open_store(settings.url) if spec.transfer is not None else None
    try:
        report = space_report(lambda: prepare(spec, inspector, store))
    finally:
        inspector.close()
        if store is not None:
            store.close()
    if as_json:
        print_json(report.model_dump(mode="json"))
    elif report.valid:
        low, high = report.parameter_range or (0, 0)
        typer.echo(f"{spec.name}: {report.size:.3g} configurations, {low:,} to {high:,} trainable parameters")
        rows = ", ".join(f"{count:,} {part}" for part, count in (report.rows or {}).items())
        typer.echo(f"rows: {rows}; classes: {', '.join(report.classes or []) or 'none (regression)'}")
    else:
        complain("this cannot be used:", [(each.field, each.message) for each in report.errors])
    if not report.valid:
        raise typer.Exit(1)


COMMANDS = (methods, check)
