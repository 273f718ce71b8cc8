"""Kind `map-saas`: an ensemble of Gaussian processes that hold most inputs to be irrelevant, each more or less so.

The sparse axis-aligned subspace prior (Eriksson and Jankowiak 2021, arXiv 2103.00349) with maximum-a-posteriori
lengthscales in place of samples, one member a strength of the global shrinkage (BoTorch's
`EnsembleMapSaasSingleTaskGP`). The strengths are quantiles of their prior, not draws, so that a fit is a function of
its data and may go on from the one before.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import torch
from botorch.models.map_saas import EnsembleMapSaasSingleTaskGP
from botorch.models.transforms.input import FilterFeatures
from botorch.models.transforms.outcome import Standardize
from botorch.posteriors.gpytorch import GPyTorchPosterior
from torch import Tensor

from search.samplers.bayes.encoding import Columns
from search.samplers.bayes.fitting import Fitted, Hyperparameters, fit_by_steps
from search.samplers.bayes.matched import matched

MEMBERS = 4
SHRINKAGE = 0.1
"""Scale of the half-Cauchy prior on the global shrinkage, as in the paper."""


class MatchedMapSaas(EnsembleMapSaasSingleTaskGP):
    """BoTorch's ensemble, but no ensemble to those who use it."""

    _is_ensemble = False

    def posterior(self, X: Tensor, *args: Any, **options: Any) -> GPyTorchPosterior:  # type: ignore[override]
        """At X (batch_shape x q x width), Gaussian where BoTorch's own is the mixture."""
        return matched(super().posterior(X, *args, **options))


def strengths(members: int) -> Tensor:
    """The global shrinkages: the middles of equal shares of their prior. Shape [members]."""
    shares = (torch.arange(members, dtype=torch.float64) + 0.5) / members
    return SHRINKAGE * torch.tan(shares * math.pi / 2)


def fit(X: Tensor, Y: Tensor, columns: Columns, start: Hyperparameters | None) -> Fitted:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # inputs that are constant in this history, values without spread
        model = MatchedMapSaas(
            X,
            Y,
            num_taus=MEMBERS,
            taus=strengths(MEMBERS),
            input_transform=FilterFeatures(torch.arange(columns.inputs)),
            outcome_transform=Standardize(1, batch_shape=torch.Size([MEMBERS])),
        )
    return fit_by_steps(model, start)
