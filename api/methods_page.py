"""The page of methods, written from the catalogue: `python -m api.methods_page > docs/methods.md`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from api.catalogue import KINDS, VERIFIED, facts, range_words, value_words
from api.schemas import MethodView
from api.views import catalogue_views
from api.words import metric_value

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results" / "methods.json"
"""What `benchmarks/methods.py` recorded, in a checkout."""
HEAD = """# Methods

Written from the catalogue by `python -m api.methods_page > docs/methods.md`; a test holds this page to it. The command
`paretune methods`, `GET /api/v1/methods` and the page of a new search list the same. What a search does with them:
[spaces](spaces.md).
"""
VERIFICATION = """
## How they are verified

Every method passes one shared suite (`tests/contracts/test_method_contract.py`) on tiny models of each kind that it
fits: its start, gradients at exactly the declared parameters, the count against the formula, learning, save and load in
a plain peft program, merging where it says so, removal that restores the backbone bit for bit, placement, refusals.
Initialisations pass `test_initialisations.py`, procedures and compressions `tests/unit/evaluator/test_treated_runs.py`.
Beside that:

"""
AUTHORS_CODE = """
[The authors' code](authors-code.md) says what of it was run, on which inputs, what the largest difference was and where
ours departs; also of what does not agree, and where no code could be had.
"""
MEASURED = """
## Measured at equal steps

Every method at its default size, sites, options and learning rate, one run of each: a method may do better at another
rate, and an accuracy on 500 rows has a standard error of about 0.02. Treatments run on LoRA or, where they do not fit
it, on full fine-tuning; allocators spread a quarter of LoRA's parameters. {what} Processor time is of a whole
evaluation, validation included. Made by `{command}`; the numbers are in
`benchmarks/results/methods.json`.

"""
COLUMNS = {
    "loss": "loss",
    "accuracy": "accuracy",
    "trainable_parameters": "parameters",
    "adapter_bytes": "adapter on disk",
    "cpu_seconds": "processor time",
    "training_memory": "training memory",
}
NOT_MEASURED = "not measured"
SECONDS = frozenset({"cpu_seconds"})


def recorded(path: Path = RESULTS) -> dict[str, Any]:
    """The benchmark's results; empty where there are none."""
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def methods_page(results: Mapping[str, Any]) -> str:
    """The whole page."""
    rows = catalogue_views()
    return "".join([HEAD, VERIFICATION, *_verifications(), *_measured(rows, results), *_sections(rows, results)])


def _verifications() -> Iterator[str]:
    for name, meaning in VERIFIED.items():
        yield f"- `{name}`: {meaning}\n"
    yield AUTHORS_CODE


def _measured(rows: list[MethodView], results: Mapping[str, Any]) -> Iterator[str]:
    found: Mapping[str, Any] = results.get("rows", {})
    setting = results.get("setting", {})
    what = f"{setting['words']} " if setting else "Nothing has been recorded yet. "
    yield MEASURED.format(what=what.strip(), command=results.get("command", "python -m benchmarks.methods"))
    yield f"| name | configuration | {' | '.join(COLUMNS.values())} |\n|---|---|{'---|' * len(COLUMNS)}\n"
    names = [row.name for row in rows]
    for name in [*names, *(name for name in found if name not in names)]:
        row = found.get(name, {})
        if "metrics" in row:
            values = " | ".join(_value(key, row["metrics"].get(key)) for key in COLUMNS)
            yield f"| `{name}` | {_cell(row['configuration'])} | {values} |\n"
        else:
            yield f"| `{name}` | {_cell(_why_not(row))} |{' |' * len(COLUMNS)}\n"


def _sections(rows: list[MethodView], results: Mapping[str, Any]) -> Iterator[str]:
    for kind, title in KINDS.items():
        members = [row for row in rows if row.kind == kind]
        if members:
            yield f"\n## {title}\n"
        for row in members:
            yield from _section(row, results.get("rows", {}).get(row.name, {}))


def _section(row: MethodView, result: Mapping[str, Any]) -> Iterator[str]:
    name = f": {row.title}" if row.title and row.title.lower() != row.name else ""
    yield f"\n### `{row.name}`{name}\n\n{row.summary[0].upper()}{row.summary[1:]}. Source: {row.source}.\n\n"
    yield "| | |\n|---|---|\n"
    for what, words in {**facts(row), "measured": _measured_words(result)}.items():
        linked = words.replace("authors-code", "[authors-code](authors-code.md)") if what == "verified" else words
        yield f"| {what} | {_cell(linked)} |\n"
    if row.fields:
        yield "\n| option | meaning | may be | default |\n|---|---|---|---|\n"
        for each in row.fields:
            yield (
                f"| `{each.name}` | {_cell(each.description)} | {_cell(range_words(each))} "
                f"| {_cell(value_words(each.default))} |\n"
            )


def _measured_words(result: Mapping[str, Any]) -> str:
    if "metrics" not in result:
        return _why_not(result)
    return ", ".join(f"{title} {_value(key, result['metrics'].get(key))}" for key, title in COLUMNS.items())


def _why_not(result: Mapping[str, Any]) -> str:
    return f"{NOT_MEASURED}: {result['reason']}" if result.get("reason") else NOT_MEASURED


def _value(key: str, value: float | None) -> str:
    if value is not None and key in SECONDS:
        return f"{value:.1f} s"
    return metric_value(key, value)


def _cell(words: object) -> str:
    return str(words).replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    sys.stdout.write(methods_page(recorded()))
