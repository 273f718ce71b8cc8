"""Paretune's own loop in simulated time: the loop, agenda, ladder and store as they are, over a pool that replays.

Baselines and finalists are left out: the others have none. The store is a SQLite file in a temporary folder. The
sampler is asked ahead of need, as in a real job, so a suggestion does not know what ends while it waits.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.search.problems.peft import PeftProblem, PeftReplay, PlacedPlan, minimised
from benchmarks.search.run import Completion, Run
from evaluator.evaluate import EvaluationRequest
from evaluator.pool.replay import ReplayPool
from evaluator.tabular import Replayed
from search.job import JobSpec
from search.ledger import Ledger
from search.loop import Loop
from search.samplers import create
from search.samplers.forecast import Answer, Forecaster, Standing
from search.samplers.past import next_number, with_proposals
from search.samplers.sampler import History, Proposal, Sampler
from space.space import SearchSpace
from storage.artifacts import ArtifactStore
from storage.open import open_store

OWNER = "benchmark"
LEASE_SECONDS = 1e6
HAND_OVER_SECONDS = 0.001
"""For the thread that asks to begin, or to hand its answer over: a loop that spins meanwhile would hold it up."""
TRIALS = 10_000
"""No limit: the budget is time."""


class Placing:
    """`Sampler` whose every proposal is replaced by what is trained for it, before the next is asked for."""

    def __init__(self, sampler: Sampler, replay: PeftReplay, space: SearchSpace, most: int) -> None:
        self.placed: dict[str, PlacedPlan] = {}
        """By the key of the plan."""
        self.seconds = 0.0
        """Processor seconds spent on suggestions."""
        self.idle = threading.Event()
        self._sampler = sampler
        self._replay = replay
        self._space = space
        self._most = most

    def ask(self, history: History, n: int) -> list[Proposal]:
        return self.ask_and_forecast(history, n, Standing()).proposals

    def ask_and_forecast(self, history: History, n: int, standing: Standing) -> Answer:
        self.idle.clear()
        try:
            return self._answer(history, n, standing)
        finally:
            self.idle.set()

    def _answer(self, history: History, n: int, standing: Standing) -> Answer:
        proposals: list[Proposal] = []
        told: Answer | None = None
        while len(proposals) < n and len(self.placed) < self._most:
            told = self._asked(history, proposals, 1, standing)
            placed = self._replay.place(told.proposals[0].point) if told.proposals else None
            if placed is None:
                break
            made, point = told.proposals[0], placed.point
            self.placed[self._space.plan(point).key] = placed
            proposals.append(Proposal(point, self._space.decode(point), made.strategy, made.reason, made.attributes))
            if point != made.point:  # what is trained is not what was asked for, so it is forecast anew
                told = None
        if told is None or len(told.proposals) == 0:
            told = self._asked(history, proposals, 0, standing)
        return Answer(proposals, told.forecasts, told.full_runs)

    def _asked(self, history: History, proposals: Sequence[Proposal], n: int, standing: Standing) -> Answer:
        number = next_number(history)
        new = frozenset(range(number, number + len(proposals)))
        extended = with_proposals(history, proposals)
        began = time.thread_time()
        if isinstance(self._sampler, Forecaster):
            now = Standing(standing.waiting | new, standing.finishing)
            answer = self._sampler.ask_and_forecast(extended, n, now)
        else:
            answer = Answer(self._sampler.ask(extended, n) if n else [])
        self.seconds += time.thread_time() - began
        return answer

    def answer(self, request: EvaluationRequest, begin: int) -> Replayed:
        return self.placed[request.plan.key].replay(begin, request.stop_step)


def run_loop(run: Run, problem: PeftProblem, sampler: str, steps: tuple[int, ...]) -> None:
    """A job with `sampler` on rungs at `steps`; fills `run`."""
    full = problem.steps[-1]
    settings: Mapping[str, object] = {
        "budget": {"trials": TRIALS, "steps": full, "minutes": run.seconds / 60},
        "fidelity": {"rungs": [step / full for step in steps]},
        "sampler": {"name": sampler, "seed": run.seed},
        "finalists": {"count": 0},
        "baselines": False,
        "workers": run.workers,
    }
    spec = JobSpec.model_validate({**problem.spec.model_dump(mode="json"), **settings})
    own = create(sampler, problem.space, problem.objectives, run.seed, None)
    placing = Placing(own, problem.begin(), problem.space, run.suggestions or TRIALS)
    pool = ReplayPool(run.workers, placing.answer)
    with TemporaryDirectory() as name:
        folder = Path(name)
        store = open_store(f"sqlite:///{folder / 'paretune.db'}")
        try:
            store.create_job(spec.model_dump(mode="json"), {})
            job = store.claim_job(OWNER, LEASE_SECONDS)
            assert job is not None
            loop = Loop(
                spec=spec,
                space=problem.space,
                objectives=problem.objectives,
                sampler=placing,
                baselines=(),
                ledger=Ledger(store, job, OWNER, LEASE_SECONDS),
                pool=pool,
                artifacts=ArtifactStore(folder / "artifacts"),
                folder=folder,
                clock=pool.clock,
            )

            def thinking(timeout: float) -> bool:
                asking = loop.sampling.asking
                if asking:
                    placing.idle.wait(timeout)
                    time.sleep(HAND_OVER_SECONDS)
                return asking

            pool.thinking = thinking
            ended = loop.run()
            if ended.state != "completed":
                raise RuntimeError(f"the job ended as {ended.state}: {ended.reason}")
        finally:
            store.close()
    run.asked = len(placing.placed)
    run.evaluations = len(pool.finished)
    run.thinking_seconds = placing.seconds
    for seconds, request in pool.finished:
        placed = placing.placed[request.plan.key]
        measurement = placed.replay(0, request.stop_step).measurement
        if request.stop_step == full and measurement is not None and seconds <= run.seconds:
            values = minimised(problem.objectives, measurement.metrics)
            feasible = problem.objectives.feasible(measurement.metrics)
            run.completions.append(Completion(seconds, values, placed.scored, feasible))
