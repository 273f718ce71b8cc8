"""An ensemble of Gaussian processes seen as one: the Gaussian of the mixture's mean and covariance.

The members differ in hyperparameters only. Integrating over them by matching moments (Garnett, Osborne and Hennig
2014, arXiv 1310.6740) leaves every user of a surrogate one posterior, and one set of boxes for the hypervolume in place
of one a member.
"""

from __future__ import annotations

from typing import Any, cast

from botorch.models.gpytorch import GPyTorchModel
from botorch.posteriors.fully_bayesian import GaussianMixturePosterior
from botorch.posteriors.gpytorch import GPyTorchPosterior
from gpytorch.distributions import MultivariateNormal
from torch import Tensor


class Matched(GPyTorchModel):
    """Put before one of BoTorch's ensembles of a single output among a class's bases."""

    _is_ensemble = False

    def posterior(self, X: Tensor, *args: Any, **options: Any) -> GPyTorchPosterior:
        """At X (batch_shape x q x width); its mean and covariance are the mixture's."""
        mixture = cast(GaussianMixturePosterior, super().posterior(X, *args, **options))
        mean, covariance = mixture.mixture_mean.squeeze(-1), mixture.mixture_covariance_matrix
        return GPyTorchPosterior(MultivariateNormal(mean, covariance))
