"""Kind `saas`: fully Bayesian inference with the sparse axis-aligned subspace prior (Eriksson and Jankowiak 2021).

The hyperparameters are sampled by NUTS (arXiv 2103.00349), afresh at every fit: half a minute and more an objective.
Needs JAX and NumPyro, the extra `saas`; Pyro is not used since BoTorch 0.18.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from botorch.fit import fit_fully_bayesian_model_nuts
from botorch.models.fully_bayesian import SaasFullyBayesianSingleTaskGP
from botorch.models.transforms.input import FilterFeatures
from botorch.models.transforms.outcome import Standardize
from botorch.posteriors.gpytorch import GPyTorchPosterior
from torch import Tensor

from search.samplers.bayes.encoding import Columns
from search.samplers.bayes.fitting import Fitted, Hyperparameters
from search.samplers.bayes.matched import matched

WARM_UP = 128
SAMPLES = 128
THINNING = 16
"""Every so-manieth sample is kept: 8 of them."""
SEED = 0
"""The same data, the same samples."""


class MatchedSaas(SaasFullyBayesianSingleTaskGP):
    """BoTorch's model, but no ensemble to those who use it."""

    _is_ensemble = False

    def posterior(self, X: Tensor, *args: Any, **options: Any) -> GPyTorchPosterior:  # type: ignore[override]
        """At X (batch_shape x q x width), Gaussian where BoTorch's own is the mixture."""
        return matched(super().posterior(X, *args, **options))


def fit(X: Tensor, Y: Tensor, columns: Columns, start: Hyperparameters | None) -> Fitted:
    """`start` is of no use to NUTS: it would have to warm up again."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # inputs that are constant in this history, values without spread
        model = MatchedSaas(
            X, Y, input_transform=FilterFeatures(torch.arange(columns.inputs)), outcome_transform=Standardize(1)
        )
        fit_fully_bayesian_model_nuts(
            model,
            warmup_steps=WARM_UP,
            num_samples=SAMPLES,
            thinning=THINNING,
            disable_progbar=True,
            seed=SEED,
        )
    return Fitted(model, {})
