"""What a source saves, and what a misleading one costs: `python -m benchmarks.transfer --source smaller`.

The problem (`benchmarks.synthetic_peft`) has a known front; nothing is trained. The source is a random search of a
larger or smaller model (other depth, other width) on which accuracies are lower and not in proportion (`related`), or
the same with accuracy turned around (`opposite`). Printed, and written to `results/transfer_<source>.json`, is the
share of the known front's hypervolume that the trials so far reach without noise.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.synthetic_peft import encoder_table, measure, plans_at_best_rates
from search.job import JobSpec
from search.objectives import Objectives
from search.pareto import hypervolume
from search.samplers import create
from search.samplers.sampler import History, Observation, PastTrial
from search.transfer.source import Source, SourceTrial
from search.transfer.transfer import Transfer
from space.load import load_space
from space.methods import METHODS
from space.plan import Plan
from space.space import SearchSpace

DEPTH, WIDTH = 4, 64
SOURCES = {"larger": (6, 128), "smaller": (3, 32)}
"""Depth and width of the source's model."""
RESULTS = Path(__file__).parent / "results"
NOISE = 0.01
WARM_START = 4
SOURCE_TRIALS = 40
_NAMES = ("lora", "ia3", "serial-adapter", "prefix-tuning")
SPEC = {
    "methods": list(_NAMES),
    "size": {"lora": [1, 2, 4, 8, 16], "serial-adapter": [2, 4, 8, 16, 32], "prefix-tuning": [1, 2, 5, 10]},
    "sites": {name: [list(METHODS[name].default_roles)] for name in _NAMES},
    "layers": "bits",
    "learning_rate": [1e-4, 3e-2],
}


def problem() -> tuple[SearchSpace, Objectives]:
    """The space that is searched, and what is optimised: accuracy and trainable parameters."""
    space = load_space(SPEC, encoder_table(DEPTH, WIDTH))
    spec = JobSpec.model_validate({"model": {"path": "model"}, "task": {"data": {"path": "rows.jsonl"}}})
    return space, Objectives.of(spec, space.table, (0, 50_000), [0.2] * 5)


def related(plan: Plan, depth: int) -> dict[str, float]:
    values = measure(plan, depth, noise=NOISE)
    return {**values, "accuracy": 0.6 * values["accuracy"] ** 1.5, "loss": 1.5 * values["loss"]}


def opposite(plan: Plan, depth: int) -> dict[str, float]:
    values = related(plan, depth)
    return {**values, "accuracy": 0.6 - values["accuracy"], "loss": 3.0 - values["loss"]}


def source(name: str, measured: Callable[[Plan, int], dict[str, float]], model: str) -> Source:
    """What a random search of the larger or smaller `model` found."""
    depth, width = SOURCES[model]
    space = load_space(SPEC, encoder_table(depth, width))
    rng = np.random.default_rng(7)
    found = []
    for number in range(SOURCE_TRIALS):
        point = space.sample(rng)
        values = measured(space.plan(point), depth)
        seen = (Observation(1.0, 0, values),)
        configuration = space.decode(point)
        found.append(
            SourceTrial(number=number, configuration=configuration, observations=seen, reported=values, seeds=1)
        )
    return Source(job=name, name=name, data="other", model=model, trials=tuple(found))


def search(
    space: SearchSpace, objectives: Objectives, sources: Sequence[Source], seed: int, trials: int
) -> tuple[list[PastTrial], list[float], Transfer | None]:
    """A search's trials, and the share of the known front's hypervolume that is reached after each."""
    transfer = Transfer(sources, space, objectives, WARM_START) if sources else None
    sampler = create("bayes", space, objectives, seed, trials, transfer=transfer)
    best = hypervolume([objectives.minimised(values) for values in plans_at_best_rates(space)], objectives.reference)
    history: list[PastTrial] = []
    rows, reached = [], []
    while len(history) < trials:
        (proposal,) = sampler.ask(History(tuple(history)), 1)
        plan = space.plan(proposal.point)
        seen = (Observation(1.0, 0, measure(plan, DEPTH, noise=NOISE)),)
        history.append(
            PastTrial(len(history), proposal.point, proposal.configuration, "completed", seen, proposal.attributes)
        )
        rows.append(objectives.minimised(measure(plan, DEPTH)))
        reached.append(hypervolume(rows, objectives.reference) / best)
    return history, reached, transfer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", choices=SOURCES, default="larger")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--trials", type=int, default=20)
    arguments = parser.parse_args()
    space, objectives = problem()
    friend, foe = source("related", related, arguments.source), source("opposite", opposite, arguments.source)
    places = range(3, arguments.trials, 4)
    print("| sources |", " | ".join(f"{place + 1} trials" for place in places), "| judged |")
    print("|---|" + "---|" * (len(places) + 1))
    reached: dict[str, list[list[float]]] = {}
    for sources in ((), (friend,), (foe,), (friend, foe)):
        runs = [search(space, objectives, sources, seed, arguments.trials) for seed in range(arguments.seeds)]
        judged = [f"{each.source.name} {each.state}" for h, _, t in runs if t for each in t.verdicts(History(tuple(h)))]
        counts = ", ".join(f"{each}: {judged.count(each)} of {len(runs)}" for each in dict.fromkeys(judged))
        name = " and ".join(each.name for each in sources) or "none"
        reached[name] = [shares for _, shares, _ in runs]
        mean = np.mean(reached[name], axis=0)
        print(f"| {name} |", " | ".join(f"{mean[place]:.3f}" for place in places), f"| {counts} |", flush=True)
    content = {
        "what": "share of the known front's hypervolume after each trial, by sources and seed",
        "command": f"python -m benchmarks.transfer --source {arguments.source} --seeds {arguments.seeds}",
        "reached": {name: [[round(share, 4) for share in shares] for shares in runs] for name, runs in reached.items()},
    }
    (RESULTS / f"transfer_{arguments.source}.json").write_text(json.dumps(content) + "\n")


if __name__ == "__main__":
    main()
