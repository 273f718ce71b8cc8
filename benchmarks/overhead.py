"""What of a job's wall time is neither training nor evaluation: one search of MiniLM on WordNet glosses, two workers.

Worker processes are started and have loaded their libraries before the job begins, as in a running service.

    python -m benchmarks.overhead --trials 24 --steps 100
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from statistics import median

from api.demo_data import write_wordnet
from benchmarks.demo_model import demo_model
from evaluator.inspector import Inspector
from evaluator.pool.local import LocalPool
from search.job import JobSpec
from search.service import Service, owner_name
from search.submission import prepare
from storage.artifacts import ArtifactStore
from storage.open import open_store

WORKERS = 2


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--steps", type=int, default=100)
    options = parser.parse_args()
    model = demo_model()
    with tempfile.TemporaryDirectory() as name:
        result = run(Path(name), model, options.trials, options.steps)
    result |= {
        "command": " ".join(["python", "-m", "benchmarks.overhead", *sys.argv[1:]]),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "versions": {each: version(each) for each in ("torch", "transformers", "peft", "botorch")},
    }
    (Path(__file__).parent / "results" / "overhead.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


def run(folder: Path, model: Path, trials: int, steps: int) -> dict[str, object]:
    data = folder / "glosses.jsonl"
    write_wordnet(data)
    spec = JobSpec.model_validate(
        {
            "model": {"path": str(model)},
            "task": {"data": {"path": str(data)}, "max_length": 64},
            "budget": {"trials": trials, "steps": steps},
            "finalists": {"count": 3, "seeds": 2},
            "workers": WORKERS,
        }
    )
    pool = LocalPool(WORKERS, folder / "logs")
    inspector = Inspector(folder / "logs")
    store = open_store(f"sqlite:///{folder / 'paretune.db'}")
    try:
        prepared = prepare(spec, inspector)  # takes longer than the workers' start
        store.create_job(prepared.spec.model_dump(mode="json"), prepared.context())
        owner = owner_name()
        job = store.claim_job(owner, 60)
        if job is None:
            sys.exit("the job was not queued")
        service = Service(store, ArtifactStore(folder / "artifacts"), pool, inspector, folder, owner)
        job = service.run(job, lambda: None)
    finally:
        pool.close()
        inspector.close()
        store.close()
    if job.state != "completed":
        sys.exit(f"the job ended as {job.state}: {job.reason}")
    progress = job.progress
    available = WORKERS * progress["elapsed_seconds"]
    asked = progress["suggestion_seconds"]
    return {
        "trials": progress["sampled"],
        "evaluations": progress["evaluations"]["completed"],
        "elapsed_seconds": progress["elapsed_seconds"],
        "busy_share": progress["busy_seconds"] / available,
        "overhead_share": 1 - progress["busy_seconds"] / available,
        "suggestion_seconds_median": median(asked),
        "suggestion_seconds_max": max(asked),
    }


if __name__ == "__main__":
    main()
