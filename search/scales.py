"""Scales of metrics, fixed when a job is submitted: where 0 (best possible) and 1 (worst worth having) lie."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from evaluator.task import TaskType
from space.errors import FieldError
from space.frozen import Frozen
from space.sites import SiteTable

Values = NDArray[np.float64] | np.float64

SECONDS_CEILING = 100.0
"""No space says beforehand how slow a step can get; a reference in the job overrides this one."""
NATS_CEILING = 10.0
"""Loss a token of guessing evenly among 22,000 tokens: a language model that has forgotten all."""
NATS_UNIT = 0.01
"""Differences of losses are told apart from about here on; below 0 there is only noise, which counts as 0."""
PROCESS_BYTES = 4 << 30
"""More than a worker takes for libraries and tokenised data."""
NEAR = 0.05
"""Of a scale's length: differences from a limit up to about this are told apart linearly, larger ones by their size."""


class Scale(Frozen):
    """A metric's values on [0, 1]: `best` is 0, `worst` is 1, linear or as log10(1 + x/unit) between."""

    best: float
    worst: float
    unit: float = Field(default=1.0, gt=0)
    log: bool = False
    around: float | None = None
    """A limit, where the scale is drawn out around one: what lies far beyond it matters less than on which side of it
    a value is (bilog transform, Eriksson and Poloczek 2021, arXiv 2002.08526, whose unit here is `NEAR`)."""

    @model_validator(mode="after")
    def _has_length(self) -> Scale:
        if self.best == self.worst:
            raise ValueError("a scale needs two different ends")
        return self

    def drawn_out(self, limit: float) -> Scale:
        """The same scale, drawn out around `limit`."""
        return self.model_copy(update={"around": limit})

    def transformed(self, value: float) -> float:
        """`value` or log10(1 + value/unit), drawn out where the scale is; a negative cost (none exists) counts as 0."""
        return float(self._transformed(np.float64(value)))

    @property
    def span(self) -> float:
        """Length of the scale in transformed units, always positive."""
        return abs(self.transformed(self.worst) - self.transformed(self.best))

    def positions(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """`position` of each value."""
        return np.asarray(self._placed(values))

    def position(self, value: float) -> float:
        """Where `value` lies: 0 at `best`, 1 at `worst`, going on beyond both."""
        return float(self._placed(np.float64(value)))

    def value(self, position: float) -> float:
        """The value that lies at `position`."""
        best, worst = self.transformed(self.best), self.transformed(self.worst)
        plain = best + position * (worst - best)
        if self.around is not None:
            away = math.copysign(self._near * math.expm1(abs(plain)), plain)
            plain = float(self._plain(np.float64(self.around))) + away
        return self.unit * (math.pow(10.0, plain) - 1.0) if self.log else plain

    def _placed(self, values: Values) -> Values:
        best, worst = self.transformed(self.best), self.transformed(self.worst)
        return (self._transformed(values) - best) / (worst - best)

    def _transformed(self, values: Values) -> Values:
        plain = self._plain(values)
        if self.around is None:
            return plain
        away = plain - self._plain(np.float64(self.around))
        return np.sign(away) * np.log1p(np.abs(away) / self._near)

    def _plain(self, values: Values) -> Values:
        return np.log10(1.0 + np.maximum(values, 0.0) / self.unit) if self.log else values

    @property
    def _near(self) -> float:
        return NEAR * abs(float(self._plain(np.float64(self.worst)) - self._plain(np.float64(self.best))))


def quality_scale(metric: str, task: TaskType, classes: Sequence[float] | None) -> Scale:
    """From a perfect score to what predicting a constant gives (the majority class, the mean label).

    Labels of a regression are standardised on the training rows, so the constant's mean squared error is 1.
    """
    if task == "text-regression":
        return {
            "mse": Scale(best=0.0, worst=1.0),
            "loss": Scale(best=0.0, worst=1.0),
        }.get(metric, Scale(best=1.0, worst=0.0))
    shares = [share for share in classes or () if share > 0]
    if len(shares) < 2:
        raise FieldError("task.label", "a classification needs at least two classes; name another column")
    majority = max(shares)
    constant = {
        "accuracy": majority,
        "macro_f1": 2 * majority / (1 + majority) / len(shares),
        "matthews": 0.0,
        "loss": -sum(share * math.log(share) for share in shares),
    }[metric]
    return Scale(best=0.0 if metric == "loss" else 1.0, worst=constant)


def behaviour_scale(metric: str, task: TaskType, classes: Sequence[float] | None) -> Scale:
    """From the best there can be to what is worth nothing.

    Calibration: to being always sure of the majority class. Memorisation: to a gap as large as the loss of a constant
    prediction. Forgetting: to `NATS_CEILING`.
    """
    if metric == "calibration_error":
        return Scale(best=0.0, worst=1.0 - quality_scale("accuracy", task, classes).worst)
    if metric == "weight_sparsity":
        return Scale(best=1.0, worst=0.0)
    worst = quality_scale("loss", task, classes).worst if metric == "memorisation_gap" else NATS_CEILING
    return Scale(best=0.0, worst=worst, unit=NATS_UNIT, log=True)


def cost_ceiling(metric: str, table: SiteTable, most_parameters: float, tokens: int) -> float:
    """The most that a configuration of the space can cost, from above and roughly where it cannot be known.

    `tokens`: padded tokens of one training batch.
    """
    parameters = max(most_parameters, 1.0)
    if metric == "trainable_parameters":
        return parameters
    if metric == "adapter_bytes":
        # float32 weights, and 256 bytes of header for each of at most 8 tensors a site
        return 4 * parameters + 2048 * max(len(table.sites), 1)
    # float32 weights, gradient and two Adam moments of what is trained; per token and layer about 34 hidden vectors of
    # activations (Korthikanti et al. 2022, arXiv 2205.05198), doubled for attention scores and adapters
    training = 16 * parameters + 4 * 68 * tokens * table.hidden_size * table.depth
    if metric == "training_memory":
        return training
    if metric == "peak_memory":
        # twice the model: as loaded, and copies of what is written
        return training + 8 * table.parameters + PROCESS_BYTES
    return SECONDS_CEILING
