"""The source's Gaussian process is BoTorch's, in numpy; the rank correlation is scipy's, its interval holds."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from gpytorch.mlls import ExactMarginalLogLikelihood
from scipy import stats
from scipy.optimize import check_grad

from search.transfer.agreement import FEWEST, agreement
from search.transfer.source_model import SourceModel, _loss


def data(rows: int, width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.random((rows, width))
    return X, np.sin(4 * X[:, 0]) + X[:, 1] ** 2 + 0.05 * rng.standard_normal(rows)


def test_it_predicts_what_botorchs_model_predicts() -> None:
    X, y = data(30, 4)
    new = np.random.default_rng(1).random((20, 4))
    own = SourceModel(X, y)
    theirs = SingleTaskGP(torch.from_numpy(X), torch.from_numpy(y).unsqueeze(-1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit_gpytorch_mll(ExactMarginalLogLikelihood(theirs.likelihood, theirs))
    with torch.no_grad():
        expected = theirs.posterior(torch.from_numpy(new)).mean.squeeze(-1).numpy()
    assert own.centre + own.spread * own.predict(new) == pytest.approx(expected, abs=0.02 * float(np.ptp(y)))
    lengths = theirs.covar_module.lengthscale.detach().numpy().ravel()
    assert np.log(own.lengthscales) == pytest.approx(np.log(lengths), abs=0.1)


def test_the_gradient_of_its_posterior_is_right() -> None:
    X, y = data(12, 3)
    squares = (X[:, None, :] - X[None, :, :]) ** 2
    values = (y - y.mean()) / y.std(ddof=1)
    at = np.array([0.1, -0.4, 0.8, -2.0])
    error = check_grad(lambda log: _loss(log, squares, values)[0], lambda log: _loss(log, squares, values)[1], at)
    assert error < 1e-4


def test_far_from_its_data_it_falls_back_to_the_mean() -> None:
    X, y = data(20, 2)
    assert SourceModel(X, y).predict(np.full((1, 2), 1e3)) == pytest.approx([0.0], abs=1.0)
    assert abs(float(SourceModel(X, y).predict(X)[0]) * y.std(ddof=1) + y.mean() - y[0]) < 0.2


@pytest.mark.parametrize("ties", [False, True])
def test_the_rank_correlation_is_scipys(ties: bool) -> None:
    rng = np.random.default_rng(3)
    one, other = rng.standard_normal(25), rng.standard_normal(25)
    if ties:
        one, other = one.round(), other.round()
    found = agreement(list(one), [{1.0: value} for value in other])
    assert found.kendall == pytest.approx(stats.kendalltau(one, other).statistic)
    assert found.trials == 25


def test_its_interval_holds_the_true_correlation_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    for rho in (0.0, 0.6, -0.8):
        true = 2 / np.pi * np.arcsin(rho)
        held = 0
        for _ in range(300):
            one = rng.standard_normal(15)
            other = rho * one + np.sqrt(1 - rho**2) * rng.standard_normal(15)
            found = agreement(list(one), [{1.0: value} for value in other])
            held += found.low <= true <= found.high
        assert 0.9 <= held / 300 <= 0.99


def test_trials_are_compared_at_their_highest_common_fidelity() -> None:
    measured = [{0.1: 1.0, 1.0: 9.0}, {0.1: 2.0, 1.0: 8.0}, {0.1: 3.0}, {0.3: 5.0}]
    found = agreement([1.0, 2.0, 3.0, 4.0], measured)
    # Of the three pairs with a common fidelity the one in full is the other way round.
    assert found.kendall == pytest.approx(1 / 3)
    assert found.trials == 3
    assert (found.low, found.high) == (-1.0, 1.0)


def test_few_or_equal_trials_say_nothing() -> None:
    assert agreement([], []).trials == 0
    few = agreement([1.0] * 3 + [2.0], [{1.0: float(each)} for each in range(FEWEST - 1)])
    assert (few.low, few.high) == (-1.0, 1.0)
    equal = agreement([1.0] * 8, [{1.0: float(each)} for each in range(8)])
    assert (equal.kendall, equal.low, equal.high) == (0.0, -1.0, 1.0)
