"""Adaptive shrinkage: what many noisy measurements, of which the best are looked at, say about the truth behind each.

The best of many measurements is best partly by luck. How much of it is luck is seen from all of them together: the true
values are taken to scatter around a straight line in the known covariates by a mixture of centred normal distributions
of several widths, whose shares (and the line) are fitted to the measurements by expectation maximisation. What a
measurement says is then its posterior; given a right prior it stays right whatever was selected by looking at the
measurements. After Stephens, "False discovery rates: a new deal" (2017, ash), with a line in place of the common mean,
as in Fay and Herriot (1979). Against one normal distribution, the mixture shrinks the crowd strongly and leaves a true
exception alone: a diverged run does not make every other value credible. Loads no tensor library.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FEWEST = 4
"""Measurements that can say anything about their own scatter."""
PER_COVARIATE = 4
"""Measurements for each coefficient of the line; with fewer it is level."""
WIDTHS = np.array([0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0])
"""Of the mixture's parts, in units of the measurements' mean noise: from all luck to all truth."""
PRIOR_COUNT = 0.125
"""Measurements that each part is credited with beforehand: a few measurements must not rule any out."""
ROUNDS = 200
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Mixture:
    """A mixture of normal distributions for each of n values. Shapes [n, parts]."""

    weights: Floats
    means: Floats
    deviations: Floats

    @property
    def mean(self) -> Floats:
        """Shape [n]."""
        return np.asarray((self.weights * self.means).sum(axis=1))


def shrink(measured: Floats, variances: Floats, covariates: Floats) -> Mixture:
    """What is believed of the values behind `measured`, with its noise of known `variances` (all positive).

    Shapes [n], [n] and [n, covariates]. With fewer than `FEWEST` measurements nothing is known beside each by itself.
    """
    if len(measured) < FEWEST:
        return Mixture(np.ones((len(measured), 1)), measured[:, None], np.sqrt(variances)[:, None])
    rows = _design(covariates)
    total = variances[:, None] + (np.sqrt(variances.mean()) * WIDTHS) ** 2
    shares = np.full(len(WIDTHS), 1.0 / len(WIDTHS))
    line, spread = _line(rows, measured, (1.0 / total).mean(axis=1))
    for _ in range(ROUNDS):
        belonging = _belonging(measured - rows @ line, total, shares)
        before = shares
        shares = belonging.sum(axis=0) + PRIOR_COUNT
        shares /= shares.sum()
        line, spread = _line(rows, measured, (belonging / total).sum(axis=1))
        if np.abs(shares - before).max() < TOLERANCE:
            break
    centre = (rows @ line)[:, None]
    uncertain = np.einsum("ij,jk,ik->i", rows, spread, rows)[:, None]
    kept = 1.0 - variances[:, None] / total
    return Mixture(
        _belonging(measured - centre[:, 0], total, shares),
        centre + kept * (measured[:, None] - centre),
        np.sqrt(kept * variances[:, None] + (1.0 - kept) ** 2 * uncertain),
    )


def _design(covariates: Floats) -> Floats:
    """A level, and the covariates that differ between measurements where there are enough of them. Shape [n, p]."""
    level = np.ones((len(covariates), 1))
    varied = covariates[:, np.ptp(covariates, axis=0) > 0] if covariates.size else covariates
    rows = np.hstack([level, varied - varied.mean(axis=0)]) if varied.shape[1] else level
    enough = len(rows) >= PER_COVARIATE * rows.shape[1] and np.linalg.matrix_rank(rows) == rows.shape[1]
    return rows if enough else level


def _line(rows: Floats, measured: Floats, precisions: Floats) -> tuple[Floats, Floats]:
    """Coefficients by weighted least squares, and their covariance."""
    weighed = rows * precisions[:, None]
    covariance = np.asarray(np.linalg.inv(rows.T @ weighed), dtype=np.float64)
    return covariance @ (weighed.T @ measured), covariance


def _belonging(residuals: Floats, total: Floats, shares: Floats) -> Floats:
    """Probability of each part for each measurement. Shape [n, parts]."""
    logs = np.log(shares) - 0.5 * (np.log(total) + residuals[:, None] ** 2 / total)
    likely = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray(likely / likely.sum(axis=1, keepdims=True))
