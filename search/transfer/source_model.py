"""A Gaussian process on what one source measured, in plain numpy: the web process and the loop ask it too.

Squared-exponential kernel with a lengthscale for each input, the dimension-scaled prior on them (Hvarfner et al. 2024,
arXiv 2402.02229) and BoTorch's default prior on the noise; hyperparameters at the mode of the posterior. The same model
as BoTorch's `SingleTaskGP`, which a test compares it with.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

Floats = NDArray[np.float64]

STEPS = 60
"""Of L-BFGS; past these the prediction hardly moves."""
LENGTH_DEVIATION = math.sqrt(3.0)
NOISE_MEAN, NOISE_DEVIATION = -4.0, 1.0
LEAST_NOISE, MOST_NOISE = 1e-4, 2.0
JITTER = 1e-6


class SourceModel:
    """Fitted to inputs X (n x d, about [0, 1]) and values y (n), at least two of them different."""

    def __init__(self, X: Floats, y: Floats) -> None:
        self.centre = float(y.mean())
        self.spread = float(y.std(ddof=1))
        """Mean and standard deviation of the values: predictions are given in units of them."""
        self._X = X
        values = (y - self.centre) / self.spread
        width = X.shape[1]
        start = np.array([*np.full(width, math.sqrt(2.0) + 0.5 * math.log(width)), NOISE_MEAN])
        bounds = [(-3.0, 8.0)] * width + [(math.log(LEAST_NOISE), math.log(MOST_NOISE))]
        squares = (X[:, None, :] - X[None, :, :]) ** 2
        found = minimize(
            _loss, start, (squares, values), jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": STEPS}
        )
        self.lengthscales, self.noise = np.exp(found.x[:-1]), float(np.exp(found.x[-1]))
        covariance = np.exp(-0.5 * (squares / self.lengthscales**2).sum(axis=-1))
        # A constant mean, by generalised least squares.
        factor = cho_factor(covariance + (self.noise + JITTER) * np.eye(len(y)), lower=True)
        ones = cho_solve(factor, np.ones(len(y)))
        self.mean = float(ones @ values / ones.sum())
        self._weights = cho_solve(factor, values - self.mean)

    def predict(self, X: Floats) -> Floats:
        """The posterior mean at X (n x d), in standard deviations of the source's values from their mean. Shape [n]."""
        scaled, own = X / self.lengthscales, self._X / self.lengthscales
        squares = (scaled**2).sum(axis=1)[:, None] + (own**2).sum(axis=1)[None, :] - 2.0 * scaled @ own.T
        return np.asarray(self.mean + np.exp(-0.5 * np.maximum(squares, 0.0)) @ self._weights)


def _loss(log: Floats, squares: Floats, values: Floats) -> tuple[float, Floats]:
    """Negative log posterior of the log hyperparameters (lengthscales, then noise), and its gradient."""
    width = squares.shape[-1]
    inverse = np.exp(-2.0 * log[:-1])
    noise = math.exp(log[-1])
    kernel = np.exp(-0.5 * squares @ inverse)
    covariance = kernel + (noise + JITTER) * np.eye(len(values))
    factor = cho_factor(covariance, lower=True)
    precision = cho_solve(factor, np.eye(len(values)))
    mean = float(precision.sum(axis=0) @ values / precision.sum())
    rest = precision @ (values - mean)
    loss = 0.5 * (values - mean) @ rest + float(np.log(np.diag(factor[0])).sum())
    # d loss / d K = (precision - rest restᵀ) / 2; the mean is at its optimum, so it adds nothing.
    pull = 0.5 * (precision - np.outer(rest, rest))
    slopes = np.einsum("ij,ijk->k", pull * kernel, squares) * inverse
    deviations = (log[:-1] - math.sqrt(2.0) - 0.5 * math.log(width)) / LENGTH_DEVIATION
    loss += 0.5 * float(deviations @ deviations) + float(log[:-1].sum())
    quiet = (log[-1] - NOISE_MEAN) / NOISE_DEVIATION
    loss += 0.5 * quiet**2 + float(log[-1])
    gradient = np.append(
        slopes + deviations / LENGTH_DEVIATION + 1.0, noise * np.trace(pull) + quiet / NOISE_DEVIATION + 1.0
    )
    return float(loss), gradient
