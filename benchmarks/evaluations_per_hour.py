"""Evaluations an hour: Paretune's pool against Optuna + transformers Trainer + peft, at equal work.

Both train LoRA r=8 on query and value with learning rate 1e-3 for the same steps, batch size and seeds, on the same
rows, on two processes of one thread each, imports and model loading included. The plain script trains its head with the
same learning rate as its adapter, as peft users do; Paretune's head rate is set to the same for this benchmark.

    python -m benchmarks.evaluations_per_hour --data wordnet --evaluations 8 --steps 100
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from statistics import mean

from api.demo_data import write_bbc_news, write_wordnet
from benchmarks.demo_model import demo_model
from evaluator.backbone import inspect
from evaluator.data.read import read_rows
from evaluator.data.split import make_split
from evaluator.evaluate import EvaluationRequest
from evaluator.pool.local import LocalPool
from evaluator.pool.pool import Failed, Finished
from evaluator.task import DataSpec, ModelSpec, Split, TaskSpec, Training
from space.configuration import Component, Configuration
from space.resolve import resolve

PROCESSES = 2
MAX_LENGTH = 64
HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", choices=["wordnet", "bbc"], default="wordnet")
    parser.add_argument("--evaluations", type=int, default=8)
    parser.add_argument("--steps", type=int, default=100)
    options = parser.parse_args()
    model = demo_model()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = folder / "data.jsonl"
        (write_wordnet if options.data == "wordnet" else write_bbc_news)(data)
        task = TaskSpec(data=DataSpec(path=str(data)), max_length=MAX_LENGTH, split=Split(max_validation_rows=500))
        make_split(task).save(folder / "split.json")
        plain = run_plain(model, task, folder, options.evaluations, options.steps)
        ours = run_pool(model, task, folder, options.evaluations, options.steps)
    result = {
        "data": options.data,
        "steps": options.steps,
        "evaluations": options.evaluations,
        "plain": plain,
        "paretune": ours,
        "ratio": ours["per_hour"] / plain["per_hour"],
        "command": " ".join(["python", "-m", "benchmarks.evaluations_per_hour", *sys.argv[1:]]),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "versions": {each: version(each) for each in ("torch", "transformers", "peft", "optuna")},
    }
    target = HERE / "results" / f"evaluations_per_hour_{options.data}.json"
    target.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


def run_plain(model: Path, task: TaskSpec, folder: Path, evaluations: int, steps: int) -> dict[str, float]:
    """The plain script in `PROCESSES` processes, each with its share of the seeds."""
    from evaluator.data.split import load_split

    split, rows = load_split(folder / "split.json"), read_rows(task)
    parts = {
        part: [[rows.texts[index], rows.labels[index]] for index in getattr(split, part)]
        for part in ("train", "validation")
    }
    (folder / "rows.json").write_text(json.dumps({**parts, "classes": list(split.classes)}))
    share = evaluations // PROCESSES
    command = [sys.executable, str(HERE / "plain_optuna_trainer.py"), str(model), str(folder / "rows.json")]
    command += ["--trials", str(share), "--steps", str(steps), "--max-length", str(MAX_LENGTH)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    began = time.perf_counter()
    running = [
        subprocess.Popen(
            [*command, "--first-seed", str(index * share)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            text=True,
        )
        for index in range(PROCESSES)
    ]
    # The Trainer prints its own figures as a Python dictionary, in single quotes.
    lines = [line for process in running for line in process.communicate()[0].splitlines() if line.startswith('{"')]
    seconds = time.perf_counter() - began
    if any(process.returncode for process in running):
        sys.exit(f"the plain script failed; run it alone to see why: {' '.join(command)}")
    found = [json.loads(line) for line in lines]
    return summary(seconds, [each["loss"] for each in found], [each["accuracy"] for each in found])


def run_pool(model: Path, task: TaskSpec, folder: Path, evaluations: int, steps: int) -> dict[str, float]:
    """The same evaluations through Paretune's local pool."""
    spec = ModelSpec(path=str(model))
    plan = resolve(Configuration(components=(Component(method="lora", size=(8,)),), learning_rate=1e-3), inspect(spec))
    began = time.perf_counter()
    pool = LocalPool(PROCESSES, folder / "logs")
    for seed in range(evaluations):
        pool.submit(
            EvaluationRequest(
                evaluation=f"seed-{seed}",
                model=spec,
                task=task,
                training=Training(batch_size=16, head_learning_rate=1e-3),
                split_file=str(folder / "split.json"),
                plan=plan,
                full_steps=steps,
                stop_step=steps,
                seed=seed,
            )
        )
    found = []
    while pool.running():
        for event in pool.poll(1.0):
            if isinstance(event, Failed):
                sys.exit(f"{event.evaluation}: {event.reason}: {event.message}")
            if isinstance(event, Finished):
                found.append(event.measurement.metrics)
    seconds = time.perf_counter() - began
    pool.close()
    return summary(seconds, [each["loss"] for each in found], [each["accuracy"] for each in found])


def summary(seconds: float, losses: list[float], accuracies: list[float]) -> dict[str, float]:
    return {
        "evaluations": len(losses),
        "seconds": seconds,
        "per_hour": len(losses) * 3600 / seconds,
        "loss": mean(losses),
        "accuracy": mean(accuracies),
    }


if __name__ == "__main__":
    main()
