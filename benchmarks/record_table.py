"""A table of real evaluations: random configurations of a space, each trained to the top by Paretune's own evaluator.

Samplers are compared by replaying the table. Configuration number i is drawn with seed i, so the table can be made
longer; every tenth is run with a second seed. Each run passes all rungs, as a search would take it there, and what was
measured at each is kept, on validation; on the test split at the top. Runs that are done are kept in `--work` and not
run again; a new `--work` begins with those of the committed table. The table's metadata hold the space with the site
and score tables: `evaluator.tabular` replays it where neither model nor data are.

    python -m benchmarks.record_table --task glosses --configurations 640 --work table-glosses --workers 2

Needs the demo extra and, for the glosses, Debian's wordnet-base. Costs are processor time of one thread.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from api.demo_data import write_bbc_news, write_wordnet
from benchmarks.demo_model import demo_model
from benchmarks.timed_evaluator import NAME as TIMED_EVALUATOR
from evaluator.backbone import inspect
from evaluator.data.split import make_split
from evaluator.evaluate import EvaluationRequest
from evaluator.pool.local import LocalPool
from evaluator.pool.pool import Failed, Finished
from evaluator.task import DataSpec, ModelSpec, Split, TaskSpec, Training
from evaluator.zero_cost import score_sites
from space.encode import Point
from space.load import load_space
from space.presets import PRESETS
from space.scores import ScoreTable
from space.sites import SiteTable
from space.space import SearchSpace

ROOT = Path(__file__).parents[1]
TABLES = Path(__file__).parent / "tables"
SPACE = dict(PRESETS["all"].spec)
TRAINING = Training(batch_size=16, device="cpu")
FULL_STEPS = 128
RUNGS = (8, 16, 32, 64, 128)
"""Steps at which a run is measured: fidelities from 1/16 to 1."""
SECOND_SEED_EVERY = 10
MEASURE = ("calibration_error", "memorisation_gap", "weight_sparsity", "merged_latency")
"""What takes time of its own is measured at the top only."""
PACKAGES = ("torch", "transformers", "peft")


@dataclass(frozen=True)
class Recorded:
    """A task of which a table is recorded."""

    write: Callable[[Path], int]
    max_length: int


TASKS = {"glosses": Recorded(write_wordnet, 64), "news": Recorded(write_bbc_news, 32)}


@dataclass
class Run:
    """One configuration at one seed on its way up the rungs."""

    name: str
    fields: dict[str, Any]
    request: EvaluationRequest
    rungs: list[dict[str, Any]]

    @property
    def next_request(self) -> EvaluationRequest:
        at = len(self.rungs)
        folder = Path(self.request.split_file).parent / "checkpoints" / self.name
        top = RUNGS[at] == FULL_STEPS
        change = {
            "stop_step": RUNGS[at],
            "resume_from": str(folder / str(RUNGS[at - 1])) if at else None,
            "checkpoint_to": None if top else str(folder / str(RUNGS[at])),
            "test": top,
            "measure": MEASURE if top else MEASURE[:1],
        }
        return self.request.model_copy(update=change)

    def clean(self) -> None:
        """Remove the checkpoints."""
        shutil.rmtree(Path(self.request.split_file).parent / "checkpoints" / self.name, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--task", choices=TASKS, default="glosses")
    parser.add_argument("--configurations", type=int, default=640)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--work", type=Path, required=True, help="folder of what is done so far")
    parser.add_argument("--only-write", action="store_true", help="write the table of what is done, run nothing")
    options = parser.parse_args()
    model = ModelSpec(path=str(demo_model()))
    work: Path = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    done = work / "runs.jsonl"
    task = _task(options.task, work)
    planning = _planning(model, task, work)
    if not done.is_file():
        done.write_text("".join(f"{json.dumps(run)}\n" for run in recorded_before(TABLES / f"{options.task}.parquet")))
    if not options.only_write:
        _record(planning, options.configurations, options.workers, model, task, work, done)
    _write_table(options.task, planning, done)


@dataclass(frozen=True)
class Planning:
    """What the plans of the table's points depend on, and what the objectives' scales do."""

    sites: SiteTable
    scores: ScoreTable
    class_shares: tuple[float, ...]

    @property
    def space(self) -> SearchSpace:
        return load_space(SPACE, self.sites).with_scores(self.scores)


def _task(task_name: str, work: Path) -> TaskSpec:
    recorded = TASKS[task_name]
    data = work / "data.jsonl"
    recorded.write(data)
    return TaskSpec(
        data=DataSpec(path=str(data)),
        max_length=recorded.max_length,
        split=Split(max_validation_rows=500, max_test_rows=1000),
    )


def _planning(model: ModelSpec, task: TaskSpec, work: Path) -> Planning:
    split = make_split(task)
    split.save(work / "split.json")
    shares = tuple(count / sum(split.class_counts) for count in split.class_counts)
    scores = score_sites(model, task, TRAINING, work / "split.json", seed=0)
    return Planning(inspect(model), scores, shares)


def _record(
    planning: Planning, configurations: int, workers: int, model: ModelSpec, task: TaskSpec, work: Path, done: Path
) -> None:
    space, split = planning.space, work / "split.json"
    finished = {json.loads(line)["name"] for line in done.read_text().splitlines()}
    waiting = deque(
        Run(
            name=f"{index}-{seed}",
            fields={"index": index, "seed": seed, "point": point, "plan": plan.key},
            request=EvaluationRequest(
                evaluation=f"{index}-{seed}",
                model=model,
                task=task,
                training=TRAINING,
                split_file=str(split),
                plan=plan,
                full_steps=FULL_STEPS,
                stop_step=RUNGS[0],
                seed=seed,
            ),
            rungs=[],
        )
        for index, point in _points(space, configurations)
        for plan in [space.plan(point)]
        for seed in ((0, 1) if index % SECOND_SEED_EVERY == 0 else (0,))
        if f"{index}-{seed}" not in finished
    )
    total = len(waiting)
    print(f"{len(finished)} runs are done, {total} to go", flush=True)
    pool = LocalPool(workers, work / "logs", evaluator=TIMED_EVALUATOR, environment={"PYTHONPATH": str(ROOT)})
    running: dict[str, Run] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                run = waiting.popleft()
                running[run.name] = run
                pool.submit(run.next_request)
            for event in pool.poll(1.0):
                if isinstance(event, Finished):
                    run = running[event.evaluation]
                    measurement = event.measurement
                    run.rungs.append(
                        {"step": measurement.step, **measurement.metrics}
                        | {f"test_{name}": value for name, value in measurement.test_metrics.items()}
                    )
                    if len(run.rungs) < len(RUNGS):
                        pool.submit(run.next_request)
                        continue
                elif isinstance(event, Failed):
                    run = running[event.evaluation]
                    run.fields["failure"] = event.reason
                else:
                    continue
                with done.open("a") as lines:
                    lines.write(json.dumps({"name": run.name, **run.fields, "rungs": run.rungs}) + "\n")
                run.clean()
                del running[run.name]
                left = len(waiting) + len(running)
                print(f"{run.name} is done, {left} of {total} to go", flush=True)
    finally:
        pool.close()


def _points(space: SearchSpace, configurations: int) -> Iterator[tuple[int, Point]]:
    """Numbered random points, no plan twice."""
    seen: set[str] = set()
    for index in count():
        if len(seen) == configurations:
            return
        point = space.sample(np.random.default_rng([0, index]))
        key = space.plan(point).key
        if key not in seen:
            seen.add(key)
            yield index, point


def recorded_before(table: Path) -> list[dict[str, Any]]:
    """The runs that a table holds, as the work folder keeps them; none where there is no table."""
    runs: dict[str, dict[str, Any]] = {}
    for row in pq.read_table(table).to_pylist() if table.is_file() else ():
        name = f"{row['index']}-{row['seed']}"
        fields = {"index": row["index"], "seed": row["seed"], "point": json.loads(row["point"]), "plan": row["plan"]}
        run = runs.setdefault(name, {"name": name, **fields, "rungs": []})
        if row.get("failure") is not None:
            run["failure"] = row["failure"]
        else:
            known = {*fields, "failure"}
            run["rungs"].append({key: value for key, value in row.items() if key not in known and value is not None})
    return list(runs.values())


def _write_table(task_name: str, planning: Planning, done: Path) -> None:
    """One row for each rung of each run; a run that failed has a last row without metrics."""
    rows = []
    for line in done.read_text().splitlines():
        run = json.loads(line)
        fields = {"index": run["index"], "seed": run["seed"], "point": json.dumps(run["point"]), "plan": run["plan"]}
        rows += [{**fields, **rung} for rung in run["rungs"]]
        if "failure" in run:
            step = RUNGS[len(run["rungs"])]
            rows.append({**fields, "step": step, "failure": run["failure"]})
    rows.sort(key=lambda row: (row["index"], row["seed"], row["step"]))
    configurations = len({row["plan"] for row in rows})
    command = f"python -m benchmarks.record_table --task {task_name} --configurations {configurations} --work WORK"
    columns = list(dict.fromkeys(name for row in rows for name in row))
    table = pa.table({name: [row.get(name) for row in rows] for name in columns})
    setting = {
        "task": task_name,
        "space": SPACE,
        "site_table": planning.sites.model_dump(mode="json"),
        "scores": planning.scores.model_dump(mode="json"),
        "class_shares": planning.class_shares,
        "full_steps": FULL_STEPS,
        "rungs": RUNGS,
        "max_length": TASKS[task_name].max_length,
        "training": TRAINING.model_dump(mode="json"),
        "versions": {package: version(package) for package in PACKAGES},
        "command": command,
    }
    TABLES.mkdir(exist_ok=True)
    path = TABLES / f"{task_name}.parquet"
    pq.write_table(table.replace_schema_metadata({"paretune": json.dumps(setting)}), path, compression="zstd")
    print(f"{path.name}: {table.num_rows} rows")


if __name__ == "__main__":
    main()
