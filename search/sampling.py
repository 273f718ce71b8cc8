"""Asking the sampler ahead of time, beside the loop, so that no worker waits for a suggestion."""

from __future__ import annotations

import logging
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from types import TracebackType

from search.ledger import Ledger
from search.objectives import Objectives
from search.outlook import KEY, Outlook, outlook_of, stored_outlook
from search.samplers.forecast import Answer, Forecaster, Standing
from search.samplers.random import RandomSampler
from search.samplers.sampler import History, Proposal, Sampler
from space.space import SearchSpace

log = logging.getLogger(__name__)

REASON_LENGTH = 300


@dataclass
class Sampling:
    """One thread that asks. Use it in a `with` statement; leaving it waits for a question under way."""

    sampler: Sampler
    space: SearchSpace
    ledger: Ledger
    objectives: Objectives
    seed: int
    seconds: list[float] = field(init=False)
    """A proposal's share of each question's wall time, over all the job's owners."""
    outlook: Outlook | None = field(init=False)
    """What the model last said of the trials that wait."""
    exhausted: bool = field(default=False, init=False)
    """The sampler knows no further configuration."""
    _asked: Future[Answer] | None = field(default=None, init=False)
    _wanted: int = field(default=0, init=False)
    _measured: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.seconds = list(self.ledger.job.progress.get("suggestion_seconds", []))
        self.outlook = stored_outlook(self.ledger.job.progress)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="suggest")

    def __enter__(self) -> Sampling:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown()

    @property
    def asking(self) -> bool:
        """A question is under way, or its answer waits to be collected."""
        return self._asked is not None

    @property
    def forecasts(self) -> bool:
        """Whether the sampler has a say in which trial runs on."""
        return isinstance(self.sampler, Forecaster)

    @property
    def outdated(self) -> bool:
        """The forecasts know less than has been measured since."""
        known = self.outlook
        return self.forecasts and self.ledger.measured_on_rungs > (0 if known is None else known.measured)

    def ask(self, n: int) -> None:
        """Begin to ask for `n` proposals, and for forecasts where the sampler makes them. The history is taken here:
        the loop changes it while the thread thinks."""
        self._wanted, self._measured = n, self.ledger.measured_on_rungs
        self._asked = self._thread.submit(self._ask, self.ledger.history(), n, self.ledger.standing())

    def _ask(self, history: History, n: int, standing: Standing) -> Answer:
        began = time.monotonic()
        try:
            if isinstance(self.sampler, Forecaster):
                answer = self.sampler.ask_and_forecast(history, n, standing)
            else:
                answer = Answer(self.sampler.ask(history, n))
        except Exception as error:
            # A model that cannot be fitted raises what its libraries please; hours of results must not end with it.
            log.exception("the sampler failed; drawing at random once")
            answer = Answer(self._at_random(history, n, error))
        if n:
            self.seconds.append(round((time.monotonic() - began) / n, 4))
        return answer

    def _at_random(self, history: History, n: int, error: Exception) -> list[Proposal]:
        reason = f"the sampler failed ({type(error).__name__}: {str(error)[:REASON_LENGTH]}), so an independent draw"
        drawn = RandomSampler(self.space, self.objectives, self.seed).ask(history, n)
        return [replace(proposal, strategy="random: the sampler failed", reason=reason) for proposal in drawn]

    def collect(self) -> None:
        """Make trials of the proposals, once they are there."""
        if self._asked is None or not self._asked.done():
            return
        answer = self._asked.result()
        self._asked = None
        if answer.proposals:
            plans = [self.space.plan(proposal.point) for proposal in answer.proposals]
            self.ledger.add_proposals(answer.proposals, plans)
        elif self._wanted:
            self.exhausted = True
        if self.forecasts:
            told = outlook_of(answer, self._measured)
            self.ledger.update(progress={KEY: told.as_json()})
            self.outlook = told  # stored first, so that another owner decides alike
