"""How well each surrogate foresees full runs: `python -m benchmarks.surrogate_quality --table glosses`.

On a recorded table. A surrogate is fitted to some configurations, drawn at random, and asked about the full runs of all
the others: the rank correlation of what it expects with what was measured, the mean log density that it gave (noise
included, on the metric's scale), and the share of runs within its 95% intervals. `ladder`: the known ones are measured
as a job leaves them, a third at three rungs, a third at two, a third at the lowest alone; `full`: in full only. Writes
results/surrogate_quality_<table>.json. Processor seconds are of a cold fit.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats

from benchmarks.search.opponents import RUNGS
from benchmarks.search.problems import TABLES, make_problem
from benchmarks.search.problems.recorded import Recorded
from benchmarks.suggestion_time import processor
from evaluator.tabular import RecordedRun
from search.samplers.bayes.choice import reproducible
from search.samplers.bayes.encoding import Encoding
from search.samplers.bayes.kinds import KINDS
from search.samplers.bayes.surrogate import WORST_MODELLED, Surrogate
from search.samplers.past import measured
from search.samplers.sampler import History, Observation, PastTrial

SIZES = (20, 40, 80)
REGIMES = ("ladder", "full")
HALF = float(stats.norm.ppf(0.975))
RESULTS = Path(__file__).parent / "results"


def known(problem: Recorded, runs: Sequence[RecordedRun], regime: str) -> History:
    """These runs as trials of a job."""
    full = problem.steps[-1]
    ladder = [round(rung * full) for rung in RUNGS]
    trials = []
    for number, run in enumerate(runs):
        steps = ladder[: len(ladder) - number % len(ladder)] if regime == "ladder" else [full]
        seen = tuple(Observation(step / full, run.seed, run.rungs[step]) for step in steps)
        trials.append(PastTrial(number, run.point, None, "completed", seen))
    return History(tuple(trials))


def quality(problem: Recorded, kind: str, regime: str, count: int, split: int) -> dict[str, float]:
    """Of one fit to `count` configurations; `split` decides which."""
    everyone = [run for run in problem.runs if run.failure is None]
    order = np.random.default_rng(split).permutation(len(everyone))
    history = known(problem, [everyone[place] for place in order[:count]], regime)
    asked = [everyone[place] for place in order[count:]]
    encoding = Encoding(problem.space, problem.objectives)
    objective = problem.objectives.objectives[0]
    full = problem.steps[-1]
    found = np.array([objective.minimised(run.rungs[full][objective.metric]) for run in asked]).clip(max=WORST_MODELLED)
    with reproducible(0, split):
        began = time.process_time()
        trials = measured(history, problem.objectives)
        surrogate = Surrogate(encoding, problem.objectives, history, trials, kind)
        seconds = time.process_time() - began
        with torch.no_grad():
            posterior = surrogate.model.posterior(encoding.rows([run.point for run in asked]), observation_noise=True)
            place = surrogate.metrics.index(objective.metric)
            means = posterior.mean[:, place].numpy()
            deviations = posterior.variance[:, place].sqrt().detach().numpy()
    return {
        "rank_correlation": float(stats.spearmanr(means, found).statistic),
        "log_density": float(stats.norm.logpdf(found, means, deviations).mean()),
        "held": float((np.abs(found - means) <= HALF * deviations).mean()),
        "fit_seconds": seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--table", choices=TABLES, default=TABLES[0])
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=["gp", "map-saas"])
    parser.add_argument("--splits", type=int, default=8)
    options = parser.parse_args()
    problem = make_problem(options.table)
    assert isinstance(problem, Recorded)
    rows: list[dict[str, Any]] = []
    for regime in REGIMES:
        for count in SIZES:
            for kind in options.kinds:
                each = [quality(problem, kind, regime, count, split) for split in range(options.splits)]
                means = {name: float(np.mean([one[name] for one in each])) for name in each[0]}
                rows.append({"surrogate": kind, "regime": regime, "known": count, **means, "splits": each})
                text = ", ".join(f"{name} {value:.3f}" for name, value in means.items())
                print(f"{regime} {count} {kind}: {text}", flush=True)
    packages = ("torch", "botorch", "gpytorch", "numpy")
    content = {
        "what": "a surrogate fitted to some recorded configurations, asked about the full runs of the others",
        "table": options.table,
        "configurations": len(problem.runs),
        "features": len(problem.space.feature_names),
        "machine": {"processor": processor(), "cores_used": 1, "system": platform.system()},
        "versions": {"python": platform.python_version(), **{package: version(package) for package in packages}},
        "rows": rows,
    }
    (RESULTS / f"surrogate_quality_{options.table}.json").write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
