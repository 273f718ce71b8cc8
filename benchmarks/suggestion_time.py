"""How long one suggestion takes at 200 trials: `python -m benchmarks.suggestion_time`.

A space of about 30 dimensions on a 12-layer encoder, a synthetic evaluation (nothing is trained), rungs of 0.11, 0.33
and 1, one thread. The first suggestion fits its Gaussian processes from scratch; the further ones start from the
hyperparameters that the trial before keeps, and every sixteenth starts afresh. Processor time is what an idle core
takes. The bar: two learned objectives, under 2 s in the median of the warm ones. Writes results/suggestion_time.json.
"""

from __future__ import annotations

import json
import platform
import statistics
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.synthetic_peft import encoder_table, measure
from search.job import JobSpec
from search.objectives import Objectives
from search.samplers import NAMES, create
from search.samplers.sampler import History, Observation, PastTrial, Proposal
from space.load import load_space
from space.space import SearchSpace

DEPTH = 12
TRIALS = 200
SUGGESTIONS = 17
"""The first from scratch, then warm ones, of which one starts afresh as every sixteenth does."""
RUNGS = (0.11, 0.33, 1.0)
SPEC: dict[str, Any] = {
    "methods": ["lora", "dora", "ia3", "serial-adapter", "parallel-adapter", "prefix-tuning"],
    "layers": "bits",
    "sparsity": [1, 0.5, 0.25],
    "profile": ["flat", "rising", "falling"],
}
OBJECTIVES = (
    ("quality", "trainable_parameters"),
    ("quality", "training_memory"),
    ("quality", "trainable_parameters", "adapter_bytes", "training_memory"),
)
"""A job's default, one of them known; the bar's two learned ones; and three learned beside a known one."""
RESULTS = Path(__file__).parent / "results" / "suggestion_time.json"


def trial(space: SearchSpace, number: int, proposal: Proposal) -> PastTrial:
    """`proposal` trained as a job would: a third climb one rung, a ninth two; every twentieth fails."""
    if number % 20 == 19:
        return PastTrial(number, proposal.point, proposal.configuration, "failed", (), proposal.attributes)
    rungs = RUNGS[: 3 if number % 9 == 0 else 2 if number % 3 == 0 else 1]
    plan = space.plan(proposal.point)
    seen = tuple(Observation(rung, 0, measure(plan, DEPTH, rung, noise=0.01)) for rung in rungs)
    return PastTrial(number, proposal.point, proposal.configuration, "completed", seen, proposal.attributes)


def times(name: str, space: SearchSpace, objectives: Objectives) -> dict[str, float]:
    """Seconds of the first suggestion and of those after it, from trial 200 on, by the clock and on the processor."""
    trials: list[PastTrial] = []
    for number, proposal in enumerate(create("random", space, objectives, 0).ask(History(), TRIALS)):
        trials.append(trial(space, number, proposal))
    sampler = create(name, space, objectives, 0)
    wall, processor = [], []
    while len(wall) < SUGGESTIONS:
        started, used = time.perf_counter(), time.process_time()
        (proposal,) = sampler.ask(History(tuple(trials)), 1)
        wall.append(time.perf_counter() - started)
        processor.append(time.process_time() - used)
        trials.append(trial(space, len(trials), proposal))
    return {
        "first": wall[0],
        "median": statistics.median(wall[1:]),
        "max": max(wall[1:]),
        "first_processor": processor[0],
        "median_processor": statistics.median(processor[1:]),
        "max_processor": max(processor[1:]),
    }


def main() -> None:
    space = load_space(SPEC, encoder_table(DEPTH, 384))
    rows = []
    print(f"{len(space.dimensions)} dimensions, {len(space.feature_names)} features, {TRIALS} trials; seconds\n")
    print(f"{'':<19} {'wall time':^26} {'processor time':^26}")
    print(f"{'sampler':<8} {'learned':>10}" + 2 * f" {'first':>8} {'median':>8} {'max':>8}")
    for place, metrics in enumerate(OBJECTIVES):
        spec = JobSpec.model_validate(
            {
                "model": {"path": "model"},
                "task": {"data": {"path": "rows.jsonl"}},
                "objectives": [{"metric": metric} for metric in metrics],
            }
        )
        objectives = Objectives.of(spec, space.table, (0, 5e6), [0.2] * 5)
        learned = sum(not objective.known for objective in objectives.objectives)
        for name in NAMES if place == 0 else ("bayes",):
            row = times(name, space, objectives)
            rows.append({"sampler": name, "objectives": list(metrics), "learned": learned, **row})
            print(f"{name:<8} {learned:>10} " + " ".join(f"{value:>8.3f}" for value in row.values()), flush=True)
    packages = ("torch", "botorch", "gpytorch", "optuna", "scipy", "numpy")
    RESULTS.parent.mkdir(exist_ok=True)
    content = {
        "what": "seconds for one suggestion; first: Gaussian processes fitted from scratch; then: warm-started",
        "trials": TRIALS,
        "dimensions": len(space.dimensions),
        "features": len(space.feature_names),
        "machine": {"processor": processor(), "cores_used": 1, "system": platform.system()},
        "versions": {"python": platform.python_version(), **{package: version(package) for package in packages}},
        "rows": rows,
    }
    RESULTS.write_text(json.dumps(content, indent=2) + "\n")


def processor() -> str:
    """Its name, from the system's own description where there is one."""
    described = Path("/proc/cpuinfo")
    if described.exists():
        for line in described.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


if __name__ == "__main__":
    sys.exit(main())
