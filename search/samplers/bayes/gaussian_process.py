"""Kind `gp`: one Gaussian process with a prior on its lengthscales that is scaled by the dimension.

The prior is that of Hvarfner, Hellsten and Nardi (2024, arXiv 2402.02229). Where not all features are numbers that
mean the same for every configuration (a method, a layer), the covariance is a sum of two: one over all the features,
and one over those alone that are (size, learning rate, depth, share kept, parameters, fidelity). What a learning rate
does to one method is then evidence for another from the first trials on, which a single product of all features finds
only after many (docs/decisions/0012-the-surrogate-by-measurement.md).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from botorch.models.gp_regression import SingleTaskGP
from botorch.models.transforms.outcome import Standardize
from botorch.models.utils.gpytorch_modules import get_covar_module_with_dim_scaled_prior
from gpytorch.kernels import Kernel
from torch import Tensor

from search.samplers.bayes.encoding import Columns
from search.samplers.bayes.fitting import Fitted, Hyperparameters, fit_by_steps


def fit(X: Tensor, Y: Tensor, columns: Columns, start: Hyperparameters | None) -> Fitted:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # inputs that are constant in this history, values without spread
        model = SingleTaskGP(X, Y, covar_module=_covariance(columns), outcome_transform=Standardize(1))
    return fit_by_steps(model, start)


def _covariance(columns: Columns) -> Kernel:
    everything = range(columns.inputs)
    if len(columns.shared) == columns.inputs:
        return get_covar_module_with_dim_scaled_prior(columns.inputs, active_dims=list(everything))
    return _over(everything) + _over(columns.shared)


def _over(places: Sequence[int]) -> Kernel:
    """Matérn 5/2 over these columns, of unit variance: scales that were learned made the model too sure of itself."""
    return get_covar_module_with_dim_scaled_prior(len(places), use_rbf_kernel=False, active_dims=list(places))
