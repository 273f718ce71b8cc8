"""Everything of the catalogue at equal steps: one run of each at its defaults, on WordNet glosses.

A method runs by itself; an initialisation, procedure or compression on the first method that it fits (LoRA, or full
fine-tuning); an allocator spreads a quarter of LoRA's parameters; and LoRA is run at few bits.

Noun glosses to 19 lexicographer classes with MiniLM, through Paretune's own pool. The rows are written after each run,
and a method that was recorded with the same plan, settings and versions is not run again, so an interrupted benchmark
goes on where it stood. Seconds are of the processor, for one thread, so that what else runs here counts little.

    python -m benchmarks.methods --workers 2
    python -m api.methods_page > docs/methods.md
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from api.demo_data import write_wordnet
from api.words import configuration_words
from benchmarks.demo_model import demo_model
from benchmarks.timed_evaluator import NAME as TIMED_EVALUATOR
from evaluator.backbone import inspect
from evaluator.data.split import make_split
from evaluator.evaluate import EvaluationRequest, Measurement
from evaluator.pool.local import LocalPool
from evaluator.pool.pool import Failed, Finished
from evaluator.task import DataSpec, ModelSpec, Split, TaskSpec, Training
from evaluator.zero_cost import score_sites
from space.allocators import ALLOCATORS
from space.configuration import Applied, Component, Configuration
from space.errors import FieldError
from space.methods import METHODS
from space.methods.bits import BITS, FULL
from space.plan import Plan
from space.resolve import resolve
from space.scores import ScoreTable
from space.sites import SiteTable
from space.treatments import TREATMENTS, refusal

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "methods.json"
STEPS = 100
SEED = 0
MAX_LENGTH = 64
TRAINING = Training(batch_size=16, device="cpu")
VALIDATION_ROWS = 500
PACKAGES = ("torch", "transformers", "peft")
KEPT = ("loss", "accuracy", "trainable_parameters", "adapter_bytes", "training_memory", "cpu_seconds")
HEAD_ONLY = "head-only"
HOSTS = ("lora", "full-fine-tuning")
"""What a treatment is run on: the first that it fits."""
SHARE = 0.25
"""Of LoRA's parameters that an allocator spreads."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", nargs="*", help="names of the catalogue; default: all")
    options = parser.parse_args()
    model = ModelSpec(path=str(demo_model()))
    table = inspect(model)
    versions = {each: version(each) for each in PACKAGES}
    results = _begun(table)
    with tempfile.TemporaryDirectory() as name:
        data, split = Path(name) / "data.jsonl", Path(name) / "split.json"
        write_wordnet(data)
        task = TaskSpec(
            data=DataSpec(path=str(data)), max_length=MAX_LENGTH, split=Split(max_validation_rows=VALIDATION_ROWS)
        )
        make_split(task).save(split)
        wanted = {}
        scores = score_sites(model, task, TRAINING, split, SEED)
        for name_, configuration, plan in _plans(table, scores, results):
            key = {"plan": plan.key, "versions": versions}
            recorded = results["rows"].get(name_, {})
            if (not options.only or name_ in options.only) and any(recorded.get(each) != key[each] for each in key):
                wanted[name_] = (configuration, plan)
        print(f"{len(wanted)} to run: {', '.join(wanted)}", flush=True)
        pool = LocalPool(
            options.workers,
            Path(name) / "logs",
            evaluator=TIMED_EVALUATOR,
            environment={"PYTHONPATH": str(ROOT)},
        )
        for method, (_, plan) in wanted.items():
            pool.submit(
                EvaluationRequest(
                    evaluation=method,
                    model=model,
                    task=task,
                    training=TRAINING,
                    split_file=str(split),
                    plan=plan,
                    full_steps=STEPS,
                    stop_step=STEPS,
                    seed=SEED,
                )
            )
        while pool.running():
            for event in pool.poll(1.0):
                if isinstance(event, Finished | Failed):
                    configuration, plan = wanted[event.evaluation]
                    row = {
                        "configuration": configuration_words(configuration, table.depth),
                        "plan": plan.key,
                        "versions": versions,
                        **_outcome(event),
                    }
                    results["rows"][event.evaluation] = row
                    _write(results)
                    print(event.evaluation, row.get("reason") or row["metrics"], flush=True)
        pool.close()
    _write(results)


def _begun(table: SiteTable) -> dict[str, Any]:
    """What is recorded so far, under the settings of now; rows of other settings are dropped."""
    setting = {
        "words": (
            f"MiniLM ({table.depth} layers, hidden size {table.hidden_size}), WordNet's noun glosses to 19 classes, "
            f"{STEPS} steps of {TRAINING.batch_size} texts, seed {SEED}, {VALIDATION_ROWS} validation rows, the head's "
            f"learning rate {TRAINING.head_learning_rate:g}, one thread."
        ),
        "steps": STEPS,
        "seed": SEED,
        "max_length": MAX_LENGTH,
        "validation_rows": VALIDATION_ROWS,
        "training": TRAINING.model_dump(mode="json"),
    }
    before = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    return {
        "setting": setting,
        "command": "python -m benchmarks.methods",
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "rows": before.get("rows", {}) if before.get("setting") == setting else {},
    }


def _plans(table: SiteTable, scores: ScoreTable, results: dict[str, Any]) -> Iterator[tuple[str, Configuration, Plan]]:
    """Each configuration with its name and plan; what does not fit is written down with its reason."""
    found = dict(_configurations())
    results["rows"] = {name: row for name, row in results["rows"].items() if name in found}
    for name, configuration in found.items():
        try:
            yield name, configuration, resolve(configuration, table, scores)
        except FieldError as error:
            results["rows"][name] = {"reason": error.message}


def _configurations() -> Iterator[tuple[str, Configuration]]:
    yield HEAD_ONLY, Configuration()
    for name in METHODS:
        yield name, Configuration(components=(_default(name),))
    for name, treatment in TREATMENTS.items():
        host = next(each for each in HOSTS if refusal(treatment, [each], {}) is None)
        yield name, Configuration(components=(_default(host),), **{treatment.kind: Applied(name=name)})
    for name in ALLOCATORS:
        yield name, Configuration(components=(_default("lora"),), sparsity=SHARE, allocator=name)
    for bits in BITS.choices:
        if bits != FULL:
            few = _default("lora").model_copy(update={"options": {BITS.name: bits}})
            yield f"lora-{bits}-bit", Configuration(components=(few,))


def _default(name: str) -> Component:
    size = METHODS[name].size
    return Component(method=name, size=(size.default,) if size else ())


def _outcome(event: Finished | Failed) -> dict[str, Any]:
    if isinstance(event, Failed):
        return {"reason": f"{event.reason}: {event.message}"}
    measurement: Measurement = event.measurement
    return {"metrics": {name: measurement.metrics[name] for name in KEPT}}


def _write(results: dict[str, Any]) -> None:
    ordered = {**results, "rows": dict(sorted(results["rows"].items()))}
    partial = RESULTS.with_suffix(".partial")
    partial.write_text(json.dumps(ordered, indent=2) + "\n")
    partial.replace(RESULTS)


if __name__ == "__main__":
    main()
