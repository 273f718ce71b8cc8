"""Compare searches: `run` makes what is missing, `report` writes what was found.

    python -m benchmarks.search run --problems glosses --seeds 10 --budget 200 --work search.jsonl
    python -m benchmarks.search report --work search.jsonl

Runs are kept in `--work`, one JSON object a line, and not made again. Seeds are paired: the same for every search.
With `--reported PATH` the runs of a report (its JSON) count as done, but for those that `--work` holds anew.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import cast

from benchmarks.search.kept_runs import KeptRuns, key
from benchmarks.search.opponents import FIDELITY, NAMES, OWN, make_opponent, packages
from benchmarks.search.outcome import reported, updated
from benchmarks.search.problems import BOXES, make_problem
from benchmarks.search.problems import NAMES as PROBLEMS
from benchmarks.search.problems.peft import PeftProblem
from benchmarks.search.report import write_report
from benchmarks.search.run import Run, simulate
from space.errors import FieldError

RESULTS = Path(__file__).parents[1] / "results"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="make the runs that are missing")
    run.add_argument("--problems", nargs="+", choices=PROBLEMS, required=True)
    run.add_argument("--opponents", nargs="+", choices=NAMES, default=NAMES)
    run.add_argument("--seeds", type=int, default=10, help="seeds 0 to this, exclusive")
    run.add_argument("--budget", type=int, default=200, help="in full evaluations at their mean cost")
    run.add_argument("--suggestions", type=int, default=None, help="most candidates to ask for, beside the budget")
    run.add_argument("--workers", type=int, default=1, help="simulated")
    report = commands.add_parser("report", help="write table, plots and raw results of all runs kept")
    report.add_argument("--results", type=Path, default=RESULTS)
    for each in (run, report):
        each.add_argument("--work", type=Path, required=True, help="file of the runs that are done")
        each.add_argument("--reported", type=Path, help="JSON of a report whose runs are done too")
    options = parser.parse_args()
    kept = KeptRuns(options.work)
    before = reported(options.reported) if options.reported else []
    if options.command == "report":
        write_report(updated(before, kept.all()), options.results)
        return
    done = {key(each.run) for each in before}
    for seed in range(options.seeds):  # seed by seed, so that a run cut short leaves whole pairs
        for problem in options.problems:
            for opponent in options.opponents:
                wanted = Run(problem, opponent, seed, options.workers, options.budget, options.suggestions)
                if not skipped(wanted) and wanted not in kept and key(wanted) not in done:
                    kept.add(made(wanted))


def skipped(run: Run) -> bool:
    """Problems without rungs or without a search space are not for everyone."""
    return run.problem in BOXES and (run.opponent in FIDELITY or run.opponent in OWN)


def made(run: Run) -> Run:
    """The run, made."""
    try:
        problem = make_problem(run.problem)
    except FieldError as error:
        sys.exit(f"{run.problem}: {error}")
    run.full_seconds, run.reference, run.best = problem.full_seconds, problem.reference, problem.best
    run.versions = {"python": platform.python_version(), **{name: version(name) for name in packages(run.opponent)}}
    began = time.monotonic()
    if run.opponent in OWN:
        from benchmarks.search.loop_run import run_loop

        own = OWN[run.opponent]
        full = problem.steps[-1]
        run_loop(
            run, cast(PeftProblem, problem), own.sampler, tuple(round(rung * full) for rung in own.rungs or (1.0,))
        )
    else:
        simulate(run, problem, make_opponent(run.opponent, problem, run.seed, run.budget))
    what = f"{len(run.completions)} full evaluations, {run.evaluations} in all, {run.asked} asked for"
    print(f"{run.problem} {run.opponent} seed {run.seed}: {what}, {time.monotonic() - began:.1f} s", flush=True)
    return run


if __name__ == "__main__":
    main()
