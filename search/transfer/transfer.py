"""What a job makes of its sources: points to begin with, whether each source is to be believed, and by how much.

A source is believed metric by metric. Its model (`source_model`) predicts the job's own trials; once the 95% interval
of the rank correlation with what they measured lies below `USEFUL`, the source is dropped for that metric: its weight
is 0. Between sources that are kept, weights are those of ranking-weighted ensembles (Feurer, Letham, Bakshy, "Scalable
meta-learning for Bayesian optimization using ranking-weighted Gaussian process ensembles", 2018): the share of
bootstrap samples of the job's trials that the source orders best. Everything is a function of sources and history.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from search.correlation import FEWEST
from search.metrics import METRICS
from search.objectives import Objectives
from search.samplers.fidelity import log_fidelity
from search.samplers.sampler import History, Observation, PastTrial
from search.transfer.agreement import Agreement, Signs, agreement_of, comparisons, signs
from search.transfer.carried import Carried, CarriedTrial, carry, front_points, place
from search.transfer.source import Source
from search.transfer.source_model import SourceModel
from space.encode import Point
from space.space import SearchSpace

Floats = NDArray[np.float64]
State = Literal["learning", "kept", "dropped"]

USEFUL = 0.2
"""Kendall's rank correlation under which a source misleads about as often as it helps: 2 of 5 pairs in wrong order."""
ENOUGH_ROWS = 4
"""Values of a source, not all the same, that a model of it takes."""
RESAMPLES = 200
SOURCE = "source"
SOURCE_TRIAL = "source_trial"
"""Attributes of a proposal that is a source's point: the source's id, and its trial's number there."""


@dataclass(frozen=True)
class Candidate:
    """A point of a source's front, to begin with."""

    source: Source
    number: int
    """The source's trial."""
    point: Point
    reason: str


@dataclass(frozen=True)
class Verdict:
    """What the job's trials say of one source about one metric."""

    source: Source
    metric: str
    state: State
    weight: float
    """Of all sources' say about the metric; 0 of a dropped one."""
    agreement: Agreement

    @property
    def statement(self) -> str:
        found = self.agreement
        if self.state == "learning":
            return f"believed until {FEWEST} trials can be compared ({found.trials} so far)"
        what = "dropped after" if self.state == "dropped" else "believed after"
        why = f", {self.weight:.0%} of the sources' say" if 0 < self.weight < 1 else ""
        return f"{what} {found.trials} trials: {found.words}{why}"


class Transfer:
    """The sources of one job on its own space; `only`: nothing but their points is sampled."""

    def __init__(
        self,
        sources: Iterable[Source],
        space: SearchSpace,
        objectives: Objectives,
        warm_start: int = 0,
        only: bool = False,
    ) -> None:
        self.carried: tuple[Carried, ...] = tuple(carry(source, space) for source in sources)
        self.warm_start = warm_start
        self.only = only
        self._space = space
        self._objectives = objectives
        self._models: dict[tuple[str, str], SourceModel | None] = {}
        self._predicted: dict[tuple[str, str, int], float] = {}

    @property
    def metrics(self) -> list[str]:
        """The learned metrics that sources may speak about."""
        return [each.metric for each in self._objectives.objectives if not each.known]

    # Where to begin

    @cached_property
    def candidates(self) -> tuple[Candidate, ...]:
        """Points of the sources' fronts, one source after another in turn, best first, no plan twice."""
        fronts = [self._candidates(each) for each in self.carried]
        turns = [each for turn in range(max(map(len, fronts), default=0)) for each in _at(fronts, turn)]
        unique: dict[str, Candidate] = {}
        for each in turns:
            unique.setdefault(self._space.key(each.point), each)
        return tuple(unique.values())[: self.warm_start]

    def _candidates(self, carried: Carried) -> list[Candidate]:
        points = front_points(carried, self._space, self._objectives, self.warm_start)
        return [
            Candidate(carried.source, each.trial.number, each.point, self._reason(carried.source, each, index == 0))
            for index, each in enumerate(points)
        ]

    def _reason(self, source: Source, carried: CarriedTrial, knee: bool) -> str:
        reported = carried.trial.reported
        named = [name for name in (source.stands_for(metric) for metric in self.metrics) if name is not None]
        values = [f"{name} {reported[name]:.4g} there" for name in dict.fromkeys(named) if name in reported]
        what = "the knee of its front" if knee else "of its front"
        return ", ".join([f"trial {carried.trial.number} of job {source.job} ({source.name}), {what}", *values])

    # What sources say

    def model(self, carried: Carried, metric: str) -> SourceModel | None:
        """The source's model of `metric`, smaller is better; None where too little was measured."""
        key = carried.source.job, metric
        if key not in self._models:
            rows, values = self._rows(carried, metric)
            fits = len(values) >= ENOUGH_ROWS and float(np.ptp(values)) > 0
            self._models[key] = SourceModel(self._inputs(rows), values) if fits else None
        return self._models[key]

    def _rows(self, carried: Carried, metric: str) -> tuple[list[tuple[Point, float]], Floats]:
        """What the source measured of `metric`, smaller is better: (point, fidelity) of each run, and the values."""
        name = carried.source.stands_for(metric)
        if name is None:
            return [], np.zeros(0)
        objective = next(each for each in self._objectives.objectives if each.metric == metric)
        scale = objective.scale if name == metric else None
        seen = [
            (each.point, run.fidelity, place(name, run.values[name], scale))
            for each in carried.trials
            for run in each.trial.observations
            if math.isfinite(run.values.get(name, math.nan))
        ]
        return [(point, fidelity) for point, fidelity, _ in seen], np.array([value for *_, value in seen])

    def _inputs(self, rows: Sequence[tuple[Point, float]]) -> Floats:
        features = self._space.features([point for point, _ in rows])
        logs = np.array([[log_fidelity(each)] for _, each in rows])
        return np.concatenate([features, logs], axis=1)

    # Whether they are right

    def verdicts(self, history: History) -> list[Verdict]:
        """What the measured trials of `history` say of each source, metric by metric."""
        found: list[Verdict] = []
        for metric in self.metrics:
            trials = [trial for trial in history.trials if trial.state != "failed" and self._measured(trial, metric)]
            truth, common = comparisons([self._measured(trial, metric) for trial in trials])
            heard = [each for each in self.carried if self.model(each, metric) is not None]
            guesses = [signs(self._predictions(each, metric, trials)) for each in heard]
            agreements = [agreement_of(each, truth, common) for each in guesses]
            kept = [index for index, each in enumerate(agreements) if each.high >= USEFUL]
            weights = dict(zip(kept, _weights([guesses[index] for index in kept], truth), strict=True))
            for index, (carried, each) in enumerate(zip(heard, agreements, strict=True)):
                state: State = "dropped" if index not in kept else "learning" if each.trials < FEWEST else "kept"
                found.append(Verdict(carried.source, metric, state, weights.get(index, 0.0), each))
        return found

    def unproven(self, history: History) -> set[int]:
        """Numbers of the trials of sources that the job's own trials do not speak for, or not yet. They do not stand
        in for a design: a source that misleads then costs its own trials and no more."""
        proven = {
            each.source.job
            for each in self.verdicts(history)
            if each.agreement.trials >= FEWEST and each.agreement.kendall > 0 and each.state == "kept"
        }
        return {
            trial.number
            for trial in history.trials
            if SOURCE in trial.attributes and trial.attributes[SOURCE] not in proven
        }

    def dropped(self, history: History) -> set[str]:
        """Sources that no metric believes any more."""
        verdicts = self.verdicts(history)
        believed = {each.source.job for each in verdicts if each.state != "dropped"}
        return {each.source.job for each in verdicts} - believed

    def _measured(self, trial: PastTrial, metric: str) -> dict[float, float]:
        """By fidelity, smaller is better; a quality by the held-out loss, which tells short runs apart better."""
        found: dict[float, float] = {}
        for run in trial.observations:
            value = _value(run, metric)
            if value is not None:
                found.setdefault(run.fidelity, value)
        return found

    def _predictions(self, carried: Carried, metric: str, trials: Sequence[PastTrial]) -> list[float]:
        """Of full runs, kept by trial: a trial's point never changes."""
        keys = [(carried.source.job, metric, trial.number) for trial in trials]
        new = [(key, trial) for key, trial in zip(keys, trials, strict=True) if key not in self._predicted]
        model = self.model(carried, metric)
        if new and model is not None:
            predicted = model.predict(self._inputs([(trial.point, 1.0) for _, trial in new]))
            self._predicted |= {key: float(value) for (key, _), value in zip(new, predicted, strict=True)}
        return [self._predicted[key] for key in keys]

    def report(self, history: History) -> list[dict[str, Any]]:
        """The sources and what is thought of them, as JSON for people."""
        verdicts = self.verdicts(history)
        return [
            {
                "job": each.source.job,
                "carried": len(each.trials),
                "statement": each.statement,
                "verdicts": [_verdict(verdict) for verdict in verdicts if verdict.source is each.source],
            }
            for each in self.carried
        ]


def _at(fronts: Sequence[list[Candidate]], turn: int) -> list[Candidate]:
    return [front[turn] for front in fronts if turn < len(front)]


def _value(run: Observation, metric: str) -> float | None:
    known = METRICS[metric]
    name = "loss" if known.quality and "loss" in run.values else metric
    value = run.values.get(name)
    if value is None or not math.isfinite(value):
        return None
    return value if METRICS[name].goal == "minimize" else -value


def _weights(guesses: Sequence[Signs], truth: Signs) -> list[float]:
    """The share of bootstrap samples of the trials in which each source orders fewest pairs wrongly; equal before there
    are trials to tell."""
    if not guesses:
        return []
    wrong = np.array([(guess * truth < 0).astype(float) for guess in guesses])
    if len(guesses) == 1 or not truth.any():
        return [1.0 / len(guesses)] * len(guesses)
    generator = np.random.default_rng(len(truth))
    wins = np.zeros(len(guesses))
    for _ in range(RESAMPLES):
        drawn = np.bincount(generator.integers(len(truth), size=len(truth)), minlength=len(truth)).astype(float)
        losses = np.einsum("i,sij,j->s", drawn, wrong, drawn)
        best = losses == losses.min()
        wins += best / best.sum()
    return [float(share) for share in wins / RESAMPLES]


def _verdict(verdict: Verdict) -> dict[str, Any]:
    found = verdict.agreement
    return {
        "metric": verdict.metric,
        "state": verdict.state,
        "weight": round(verdict.weight, 4),
        "kendall": found.kendall,
        "interval": [found.low, found.high],
        "trials": found.trials,
        "statement": verdict.statement,
    }
