"""One trial at full fidelity, as the front sees it: which of its runs count, and what its metrics are taken to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from evaluator.evaluate import Measurement
from search.estimate import Estimate
from search.ledger import Trial
from search.objectives import Objectives


@dataclass(frozen=True)
class Point:
    """One trial at full fidelity. `samples`: one row of metric values a seed."""

    trial: Trial
    samples: tuple[Measurement, ...]
    fresh: bool
    """Trained with seeds that did not select it: its values are confirmed."""
    estimates: Mapping[str, Estimate] = field(default_factory=dict)
    """What is reported of each learned objective and constraint; empty before the spread between seeds is known."""
    beliefs: Mapping[str, Estimate] = field(default_factory=dict)
    """Of the same, by all there is: a sampled point's own run beside its fresh ones, and the other points."""

    @cached_property
    def measured(self) -> dict[str, float]:
        """Mean over `samples` of every metric that all of them have."""
        names = set.intersection(*(set(sample.metrics) for sample in self.samples))
        return {name: float(np.mean([sample.metrics[name] for sample in self.samples])) for name in sorted(names)}

    @cached_property
    def values(self) -> dict[str, float]:
        """What is reported: `measured`, and where the run that selected the point is all there is, the estimate."""
        return {**self.measured, **{name: estimate.value for name, estimate in self.estimates.items()}}

    @property
    def test(self) -> dict[str, float]:
        tested = [sample.test_metrics for sample in self.samples if sample.test_metrics]
        return {name: float(np.mean([each[name] for each in tested])) for name in tested[0]} if tested else {}


def point_of(trial: Trial, objectives: Objectives, full_steps: int) -> Point | None:
    """What is known of a trial in full: its fresh seeds, else its own full run; None before it was measured in full.

    All runs of a trial that another job chose are fresh. A baseline's own run only chose its learning rate, so it is
    reported by fresh seeds or not at all.
    """
    full = runs_in_full(trial, objectives, full_steps)
    fresh = tuple(measured for purpose, measured in full if purpose != "rung" or trial.unselected)
    if fresh:
        return Point(trial, fresh, fresh=True)
    if not full or trial.record.kind == "baseline":
        return None
    return Point(trial, tuple(measured for _, measured in full), fresh=False)


def runs_in_full(trial: Trial, objectives: Objectives, full_steps: int) -> list[tuple[str, Measurement]]:
    """Purpose and measurement of each run of the full length that measured every objective."""
    return [
        (record.purpose, measured)
        for record, measured in trial.measured()
        if record.stop_step == full_steps and objectives.measured(measured.metrics)
    ]
