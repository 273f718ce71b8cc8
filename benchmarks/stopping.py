"""How far the estimate of the gain ahead can be trusted: searches on problems with known fronts, judged as they went.

python -m benchmarks.stopping [--only-write]: Optuna's random, NSGA-II and TPE samplers on the four problems of
`study_problems`, and `bayes`, which says what its model expects, on the conditional one of `synthetic_peft`. Runs are
kept in `results/stopping.jsonl` and not made again.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from benchmarks.study_problems import StudyProblem, problems
from benchmarks.synthetic_peft import encoder_table, measure
from search.gain import AHEAD
from search.growth import ENOUGH, expected_gain
from search.job import JobSpec
from search.objectives import Objectives
from search.pareto import hypervolume
from search.samplers import create
from search.samplers.sampler import EXPECTED_GAIN, History, Observation, PastTrial
from space.load import load_space
from space.parameters import ParameterLimits

RESULTS = Path(__file__).parent / "results" / "stopping.jsonl"
DEPTH = 3
SPACE = {
    "methods": ["lora", "ia3", "serial-adapter"],
    "size": {"lora": [1, 2, 4, 8], "serial-adapter": [4, 8, 16]},
    "layers": "bits",
    "learning_rate": {"lora": [1e-4, 5e-3], "ia3": [1e-3, 5e-2], "serial-adapter": [1e-4, 1e-2]},
}
SPEC = {
    "model": {"path": "model"},
    "task": {"data": {"path": "rows.jsonl"}},
    "objectives": [{"metric": "quality"}, {"metric": "trainable_parameters"}],
}
SEARCHES = (("RandomSampler", 200, 8), ("NSGAIISampler", 200, 8), ("TPESampler", 120, 5))
"""Of Optuna: sampler, trials, seeds."""
BAYES = (80, 5)
LEAST = (0.02, 0.01)


def by_optuna(problem: StudyProblem, sampler: str, trials: int, seed: int) -> list[float]:
    """The hypervolume after each trial."""
    options: dict[str, Any] = {"NSGAIISampler": {"population_size": 20}}.get(sampler, {})
    study = optuna.create_study(
        directions=["minimize"] * len(problem.reference),
        sampler=getattr(optuna.samplers, sampler)(seed=seed, **options),
    )
    study.optimize(problem.objective, n_trials=trials)
    rows: list[Any] = []
    reached: list[float] = []
    for trial in study.get_trials(deepcopy=False):
        rows += [trial.values] if all(bound <= 0 for bound in trial.constraints.values()) else []
        reached.append(hypervolume(rows, problem.reference))
    return reached


def by_bayes(trials: int, seed: int) -> tuple[list[float], list[float | None]]:
    """The hypervolume after each trial, and what the model expected each to add."""
    space = load_space(SPACE, encoder_table(DEPTH, 32), ParameterLimits())
    objectives = Objectives.of(JobSpec.model_validate(SPEC), space.table, (0, 100_000), [0.25] * 4)
    sampler = create("bayes", space, objectives, seed=seed)
    past: list[PastTrial] = []
    rows: list[Any] = []
    reached: list[float] = []
    for number in range(trials):
        (proposal,) = sampler.ask(History(tuple(past)), 1)
        seen = Observation(1.0, 0, measure(space.plan(proposal.point), DEPTH, 1.0))
        told = proposal.attributes
        past.append(PastTrial(number, proposal.point, proposal.configuration, "completed", (seen,), told))
        rows.append(objectives.minimised(seen.values))
        reached.append(hypervolume(rows, objectives.reference))
    return reached, [trial.attributes.get(EXPECTED_GAIN) for trial in past]


def missing_runs(have: set[tuple[str, str, int]]) -> Iterator[dict[str, Any]]:
    for sampler, trials, seeds in SEARCHES:
        for name, problem in problems().items():
            for seed in range(seeds):
                if (sampler, name, seed) not in have:
                    volumes = by_optuna(problem, sampler, trials, seed)
                    yield {"sampler": sampler, "problem": name, "seed": seed, "hypervolumes": volumes}
    for seed in range(BAYES[1]):
        if ("bayes", "peft", seed) not in have:
            volumes, foretold = by_bayes(BAYES[0], seed)
            yield {"sampler": "bayes", "problem": "peft", "seed": seed, "hypervolumes": volumes, "foretold": foretold}


def _short(values: list[float | None]) -> list[float | None]:
    return [None if value is None else float(f"{value:.7g}") for value in values]


def judged(run: dict[str, Any]) -> dict[int, tuple[float, float, float]]:
    """By the number of trials: most to be gained, the model's word too (`ceiling`), and what the next ten did gain."""
    volumes = run["hypervolumes"]
    foretold = run.get("foretold") or [None] * len(volumes)
    found = {}
    for count in range(ENOUGH, len(volumes) - AHEAD + 1):
        gain = expected_gain(volumes[:count], foretold[count - 1])
        if gain is not None:
            now = volumes[count - 1]
            found[count] = (gain.most, gain.ceiling, (volumes[count - 1 + AHEAD] - now) / now)
    return found


def main() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    runs = [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []
    if "--only-write" not in sys.argv:
        for run in missing_runs({(run["sampler"], run["problem"], run["seed"]) for run in runs}):
            with RESULTS.open("a") as kept:
                kept.write(
                    json.dumps(run | {key: _short(run[key]) for key in ("hypervolumes", "foretold") & run.keys()})
                )
                kept.write("\n")
            runs.append(run)
    by_sampler: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for run in runs:
        by_sampler[run["sampler"]].append(run)
    print(
        "| sampler | runs | limit held |" + "".join(f" ended at {least:.0%} | gain of the next 10 |" for least in LEAST)
    )
    print("|---|---|---|" + "---|---|" * len(LEAST))
    for sampler, group in by_sampler.items():
        seen = [judged(run) for run in group]
        held = np.mean([gained <= most for each in seen for most, _, gained in each.values()])
        cells = [sampler, str(len(group)), f"{held:.1%}"]
        for least in LEAST:
            stops = [next(((n, at[2]) for n, at in each.items() if at[1] < least), None) for each in seen]
            ended = [stop for stop in stops if stop is not None]
            after = f", after {np.median([count for count, _ in ended]):.0f}" if ended else ""
            over = sum(gained >= least for _, gained in ended)
            mean = f"{np.mean([gained for _, gained in ended]):.2%} ({over} above)" if ended else "–"
            cells += [f"{len(ended)} of {len(group)}{after}", mean]
        print("| " + " | ".join(cells) + " |")
    told = [run for run in runs if run.get("foretold")]
    for run in told:
        chosen = [number for number, value in enumerate(run["foretold"]) if value is not None]
        gains = np.diff([0.0, *run["hypervolumes"]])
        print(f"bayes, seed {run['seed']}: foretold {sum(run['foretold'][number] for number in chosen):.4f} in "
              f"{len(chosen)} trials, gained {gains[chosen].sum():.4f}")  # fmt: skip


if __name__ == "__main__":
    main()
