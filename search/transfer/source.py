"""A source: what a job keeps of an earlier one. Read once, at submission, so nothing that befalls the earlier job since
changes this one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from pydantic import Field

from search.ledger import Trial, history_of
from search.metrics import METRICS
from search.objectives import Objectives
from search.pareto import non_dominated
from search.point import point_of
from search.samplers.sampler import Observation
from space.configuration import Configuration
from space.frozen import Frozen

MOST_TRIALS = 100
"""Of one source that are kept, its front first, then what was trained in full: a model of more learns little that is
new, and takes memory and time that grow with their square and cube."""


class SourceTrial(Frozen):
    """One sampled trial of an earlier job."""

    number: int
    configuration: Configuration
    observations: tuple[Observation, ...]
    """The search's own runs."""
    reported: dict[str, float] = Field(default_factory=dict)
    """Metrics at full fidelity as that job reports them, a mean over `seeds`; empty where it was not trained so far."""
    seeds: int = 0


class Source(Frozen):
    """An earlier job as it stood when another was submitted."""

    job: str
    name: str
    data: str
    """Name of its data's file or hub repository, for people."""
    model: str
    """The same of its model."""
    trials: tuple[SourceTrial, ...]

    @property
    def in_full(self) -> tuple[SourceTrial, ...]:
        return tuple(trial for trial in self.trials if trial.reported)

    def stands_for(self, metric: str) -> str | None:
        """The metric of this source that says what `metric` says there: itself, or for a quality that the source did
        not measure the held-out loss; None where there is neither."""
        measured = {name for trial in self.in_full for name in trial.reported}
        if metric in measured:
            return metric
        return "loss" if METRICS[metric].quality and "loss" in measured else None


def source_trials(trials: Iterable[Trial], objectives: Objectives, full_steps: int) -> tuple[SourceTrial, ...]:
    """The sampled trials with results, by number; `objectives` and `full_steps` are those of their own job."""
    found: list[SourceTrial] = []
    for trial in trials:
        past = next(iter(history_of([trial]).trials), None)
        if past is None or past.state == "failed" or not past.observations:
            continue
        point = point_of(trial, objectives, full_steps)
        found.append(
            SourceTrial(
                number=trial.number,
                configuration=trial.configuration,
                observations=tuple(
                    Observation(each.fidelity, each.seed, _metrics(each.values)) for each in past.observations
                ),
                reported=_metrics(point.values) if point is not None else {},
                seeds=len(point.samples) if point is not None else 0,
            )
        )
    able = [trial for trial in found if trial.reported and objectives.measured(trial.reported)]
    best = non_dominated(np.array([objectives.minimised(trial.reported) for trial in able]))
    front = {trial.number for trial, kept in zip(able, best, strict=True) if kept}
    order = sorted(found, key=lambda trial: (trial.number not in front, not trial.reported, trial.number))
    kept = order[:MOST_TRIALS]
    return tuple(sorted(kept, key=lambda trial: trial.number))


def _metrics(values: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in values.items() if name in METRICS}
