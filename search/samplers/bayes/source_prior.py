"""What earlier jobs measured, as the mean that the surrogate starts from.

A metric's values y are modelled as y = slope · p(x) + g(x): p is the weighted mean of the sources' own models, each in
standard deviations of its source, and g the surrogate's Gaussian process on what is left (the stacked model of Golovin
et al., "Google Vizier", 2017; Tighineanu et al. 2022, arXiv 2111.11223, compare its kin). The slope is a ridge estimate
from the job's own trials, drawn towards the sources' own spread as long as there are few, and never below 0. A source
that is dropped has no weight; without any, the surrogate is the plain one.

BoTorch knows this as an outcome transform that reads the inputs, so any of its models can stand behind it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from botorch.models.gpytorch import GPyTorchModel
from botorch.models.transforms.outcome import ChainedOutcomeTransform, OutcomeTransform
from botorch.posteriors.gpytorch import GPyTorchPosterior
from botorch.posteriors.posterior import Posterior
from torch import Tensor

from search.samplers.sampler import History
from search.transfer.source_model import SourceModel
from search.transfer.transfer import Transfer

PRIOR_TRIALS = 3.0
"""Values of the job that the sources' own spread counts for in the slope."""
LONGEST = 3.0
"""Standard deviations beyond which no source predicts: far from what it tried it knows nothing."""


def source_priors(transfer: Transfer, history: History, inputs: int) -> dict[str, SourcePrior]:
    """A prior for each metric of which a source is believed. `inputs`: the surrogate's, the space's features and the
    fidelity, as the sources' models have them."""
    believed: dict[str, list[tuple[float, SourceModel]]] = {}
    carried = {each.source.job: each for each in transfer.carried}
    for verdict in transfer.verdicts(history):
        if verdict.weight > 0:
            model = transfer.model(carried[verdict.source.job], verdict.metric)
            if model is not None:
                believed.setdefault(verdict.metric, []).append((verdict.weight, model))
    return {metric: SourcePrior(models, inputs) for metric, models in believed.items()}


class SourcePrior(OutcomeTransform):
    """Takes slope · p(x) off the values (n x 1), and adds it to the posterior's mean; X is n x width."""

    def __init__(self, models: Sequence[tuple[float, SourceModel]], inputs: int) -> None:
        """`models`: weight and model of each source; the weights add up to 1."""
        super().__init__()
        self._models = models
        self._inputs = inputs
        self._spread = sum(weight * model.spread for weight, model in models)
        self.slope = self._spread

    def taken_off(self, Y: Tensor, X: Tensor) -> Tensor:
        """What the sources do not explain of Y, which also says how steep their part is."""
        expected = self._expected(X).unsqueeze(-1)
        self.slope = _slope(expected.view(-1), Y.reshape(-1), self._spread)
        return Y - self.slope * expected

    def put_before(self, model: GPyTorchModel) -> None:
        """Let a model that was fitted to what was left predict the whole."""
        own = getattr(model, "outcome_transform", None)
        chain = ChainedOutcomeTransform(prior=self, own=own) if isinstance(own, OutcomeTransform) else self
        model.outcome_transform = chain

    def forward(self, Y: Tensor, Yvar: Tensor | None = None, X: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        return Y - self.slope * self._expected(X).unsqueeze(-1), Yvar

    def untransform(
        self, Y: Tensor, Yvar: Tensor | None = None, X: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        return Y + self.slope * self._expected(X).unsqueeze(-1), Yvar

    @property
    def _is_linear(self) -> bool:
        return True

    def untransform_posterior(self, posterior: Posterior, X: Tensor | None = None) -> GPyTorchPosterior:
        if not isinstance(posterior, GPyTorchPosterior):
            raise TypeError(f"a Gaussian posterior is moved, not {type(posterior).__name__}")
        distribution = posterior.distribution
        shift = self.slope * self._expected(X)
        if shift.dim() < distribution.mean.dim():  # an ensemble has a dimension of its members before the points
            shift = shift.unsqueeze(-2)
        moved = type(distribution)(distribution.mean + shift, distribution.lazy_covariance_matrix)
        return type(posterior)(moved)

    def _expected(self, X: Tensor | None) -> Tensor:
        """p(x) at X (batch x n x width). Shape batch x n."""
        if X is None:
            raise ValueError("what sources expect is a function of the inputs")
        rows = X[..., : self._inputs].reshape(-1, self._inputs).detach().numpy()
        said = sum(weight * np.clip(model.predict(rows), -LONGEST, LONGEST) for weight, model in self._models)
        return torch.as_tensor(said, dtype=X.dtype).reshape(X.shape[:-1])


def _slope(expected: Tensor, values: Tensor, spread: float) -> float:
    """Ridge estimate of the slope of `values` on `expected` (shapes [n]), drawn towards `spread`, at least 0."""
    if len(values) < 2:
        return spread
    across, up = expected - expected.mean(), values - values.mean()
    pull = PRIOR_TRIALS * float(expected.var()) if float(expected.var()) > 0 else 1.0
    return max(0.0, float((across @ up + pull * spread) / (across @ across + pull)))
