"""Begin with the points of earlier jobs' fronts, then go on with any sampler. Loads no tensor library."""

from __future__ import annotations

from search.samplers.forecast import Answer, Forecaster, Standing
from search.samplers.past import next_number, tried, with_proposals
from search.samplers.sampler import UNSELECTED, History, Proposal, Sampler
from search.transfer.transfer import SOURCE, SOURCE_TRIAL, Candidate, Transfer
from space.space import SearchSpace


class TransferSampler:
    """`Sampler` whose first proposals are the sources' points, as long as their source is not dropped; then another
    sampler's, unless nothing but the sources' is wanted."""

    def __init__(self, sampler: Sampler, transfer: Transfer, space: SearchSpace) -> None:
        self._sampler = sampler
        self._transfer = transfer
        self._space = space

    def ask(self, history: History, n: int) -> list[Proposal]:
        proposals = self._from_sources(history, n)
        if len(proposals) == n or self._transfer.only:
            return proposals
        return proposals + self._sampler.ask(with_proposals(history, proposals), n - len(proposals))

    def _from_sources(self, history: History, n: int) -> list[Proposal]:
        """Up to `n` points of the sources that are left to try."""
        seen = tried(self._space, history)
        left = [each for each in self._transfer.candidates if self._space.key(each.point) not in seen]
        if left and not self._transfer.only:
            dropped = self._transfer.dropped(history)
            left = [each for each in left if each.source.job not in dropped]
        return [self._proposal(each) for each in left[:n]]

    def _proposal(self, candidate: Candidate) -> Proposal:
        strategy = f"transfer: front of {candidate.source.job}"
        attributes = {SOURCE: candidate.source.job, SOURCE_TRIAL: candidate.number, UNSELECTED: self._transfer.only}
        configuration = self._space.decode(candidate.point)
        return Proposal(candidate.point, configuration, strategy, candidate.reason, attributes)


class ForecastingTransferSampler(TransferSampler):
    """The same before a sampler that forecasts, as `Forecaster` does: of the sources' points too."""

    def __init__(self, sampler: Forecaster, transfer: Transfer, space: SearchSpace) -> None:
        super().__init__(sampler, transfer, space)
        self._forecaster = sampler

    def ask_and_forecast(self, history: History, n: int, standing: Standing) -> Answer:
        proposals = self._from_sources(history, n)
        extended = with_proposals(history, proposals)
        new = frozenset(range(next_number(history), next_number(extended)))
        waiting = Standing(standing.waiting | new, standing.finishing)
        answer = self._forecaster.ask_and_forecast(extended, n - len(proposals), waiting)
        return Answer([*proposals, *answer.proposals], answer.forecasts, answer.full_runs)


def begin_with(transfer: Transfer, sampler: Sampler, space: SearchSpace) -> Sampler:
    """`sampler` behind the sources of `transfer`. Where nothing else is wanted, nothing is forecast: every point is
    trained in full."""
    if isinstance(sampler, Forecaster) and not transfer.only:
        return ForecastingTransferSampler(sampler, transfer, space)
    return TransferSampler(sampler, transfer, space)
