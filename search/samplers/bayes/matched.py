"""An ensemble of Gaussian processes seen as one: the Gaussian of the mixture's mean and covariance.

The members differ in hyperparameters only. Integrating over them by matching moments (Garnett, Osborne and Hennig
2014, arXiv 1310.6740) leaves every user of a surrogate one posterior, and one set of boxes for the hypervolume in place
of one a member.
"""

from __future__ import annotations

from botorch.posteriors.fully_bayesian import GaussianMixturePosterior
from botorch.posteriors.gpytorch import GPyTorchPosterior
from gpytorch.distributions import MultivariateNormal
from linear_operator import to_linear_operator


def matched(mixture: GaussianMixturePosterior) -> GPyTorchPosterior:
    """The Gaussian of a mixture's moments, of one output: batch_shape x q x 1."""
    covariance = to_linear_operator(mixture.mixture_covariance_matrix)
    return GPyTorchPosterior(MultivariateNormal(mixture.mixture_mean.squeeze(-1), covariance))
