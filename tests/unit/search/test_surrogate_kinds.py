"""The kinds of surrogate: one interface, BoTorch's own moments, warm starts, and noise from repeated seeds."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest
import torch
from botorch.models.map_saas import EnsembleMapSaasSingleTaskGP
from scipy import stats
from torch import Tensor

from search.samplers import create_sampler
from search.samplers.bayes.encoding import Columns
from search.samplers.bayes.fitting import Fitted
from search.samplers.bayes.kinds import KINDS, check_kind, fit_of, quick
from search.samplers.bayes.map_saas import MEMBERS, SHRINKAGE, strengths
from space.errors import FieldError

pytestmark = pytest.mark.filterwarnings("ignore::linear_operator.utils.warnings.NumericalWarning")

HAS_NUTS = importlib.util.find_spec("numpyro") is not None
COLUMNS = Columns(inputs=5, shared=(0, 1, 4))
"""Two numbers, two flags, the fidelity; a sixth column rides along."""
NOISE = 0.05


def data(count: int, noise: float = NOISE, seeds: int = 1) -> tuple[Tensor, Tensor]:
    """Values that depend on the first number and a flag; the last column would give them away."""
    rng = np.random.default_rng(0)
    X = np.hstack([rng.random((count, 2)), rng.integers(2, size=(count, 2)), np.ones((count, 1))])
    X = np.repeat(X, seeds, axis=0)
    clean = 0.5 + 0.4 * (X[:, 0] - 0.4) ** 2 + 0.2 * X[:, 2]
    Y = (clean + noise * rng.normal(size=len(X)))[:, None]
    return torch.from_numpy(np.hstack([X, Y])), torch.from_numpy(Y)


def truth(X: Tensor) -> Tensor:
    return 0.5 + 0.4 * (X[:, 0] - 0.4) ** 2 + 0.2 * X[:, 2]


def deviation(fitted: Fitted, X: Tensor) -> float:
    """Of the noise that the model sees, in the values' units."""
    with torch.no_grad():
        loud = fitted.model.posterior(X, observation_noise=True).variance
        quiet = fitted.model.posterior(X).variance
    return float((loud - quiet).mean().sqrt())


@pytest.fixture(
    params=[
        pytest.param(kind, marks=[pytest.mark.skipif(not HAS_NUTS, reason="needs the extra saas"), pytest.mark.slow])
        if kind == "saas"
        else kind
        for kind in KINDS
    ]
)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


def test_every_kind_has_one_gaussian_posterior(kind: str) -> None:
    """Joint over the points asked about, in the values' units; the column that rides along is not looked at."""
    X, Y = data(40)
    fitted = fit_of(kind)(X, Y, COLUMNS, None)
    fresh, _ = data(60)
    fresh = fresh[40:]
    with torch.no_grad():
        posterior = fitted.model.posterior(fresh)
        wrong = fitted.model.posterior(torch.cat([fresh[:, :5], 100 * fresh[:, 5:]], dim=1))
        batched = fitted.model.posterior(fresh.unsqueeze(-2))
    assert posterior.mean.shape == (20, 1)
    assert posterior.rsample(torch.Size([7])).shape == (7, 20, 1)
    assert batched.mean.shape == (20, 1, 1)
    assert torch.equal(posterior.mean, wrong.mean)
    assert torch.allclose(batched.mean.squeeze(-1), posterior.mean)
    assert torch.allclose(batched.variance.squeeze(-1), posterior.variance, rtol=1e-4)
    assert stats.spearmanr(posterior.mean.squeeze(-1), truth(fresh)).statistic > 0.9
    json.dumps(fitted.hyperparameters, allow_nan=False)


def test_moments_are_those_of_botorchs_mixture() -> None:
    X, Y = data(30)
    model = fit_of("map-saas")(X, Y, COLUMNS, None).model
    fresh, _ = data(50)
    with torch.no_grad():
        mixture = EnsembleMapSaasSingleTaskGP.posterior(model, fresh[30:])
        ours = model.posterior(fresh[30:])
        draws = torch.stack([mixture.rsample(torch.Size([4000]))[:, member, :, 0] for member in range(MEMBERS)])
    assert torch.allclose(ours.mean, mixture.mixture_mean)
    assert torch.allclose(ours.variance, mixture.mixture_variance)
    found = torch.cov(draws.reshape(-1, 20).T)
    expected = ours.distribution.covariance_matrix
    assert float((found - expected).abs().max()) < 0.05 * float(expected.abs().max())


def test_strengths_share_their_prior_evenly() -> None:
    shares = [(place + 0.5) / MEMBERS for place in range(MEMBERS)]
    assert strengths(MEMBERS).tolist() == pytest.approx(stats.halfcauchy(scale=SHRINKAGE).ppf(shares))


@pytest.mark.parametrize("name", ["gp", "map-saas"])
def test_a_warm_start_goes_on_where_the_last_fit_ended(name: str) -> None:
    X, Y = data(40)
    cold = fit_of(name)(X, Y, COLUMNS, None)
    warm = fit_of(name)(X, Y, COLUMNS, json.loads(json.dumps(cold.hyperparameters)))
    fresh, _ = data(60)
    with torch.no_grad():
        assert torch.allclose(warm.model.posterior(fresh).mean, cold.model.posterior(fresh).mean, atol=0.01)


@pytest.mark.parametrize("foreign", [{}, {"lengthscales": [1.0] * 5, "noise": 0.1, "mean": 0.0}, "other"])
def test_hyperparameters_of_another_model_start_nothing(foreign: dict[str, object] | str) -> None:
    X, Y = data(20)
    if foreign == "other":
        foreign = dict(fit_of("map-saas")(X, Y, COLUMNS, None).hyperparameters)
    cold, started = (fit_of("gp")(X, Y, COLUMNS, start) for start in (None, foreign))
    assert cold.hyperparameters == started.hyperparameters


@pytest.mark.parametrize("noise", [0.01, 0.1])
def test_repeated_seeds_tell_the_noise(noise: float) -> None:
    """Eight configurations are few to tell structure from noise by; with four seeds of each there is no doubt."""
    X, Y = data(8, noise, seeds=4)
    pooled = float(np.sqrt(Y.numpy().reshape(8, 4).var(axis=1, ddof=1).mean()))
    assert deviation(fit_of("gp")(X, Y, COLUMNS, None), X) == pytest.approx(pooled, rel=0.35)


def test_unknown_and_unmet_kinds_name_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FieldError, match=r"sampler\.surrogate.*'forest'.*gp, map-saas, saas"):
        check_kind("forest", "sampler.surrogate")
    monkeypatch.setattr(importlib.util, "find_spec", _none_of("jax", "numpyro"))
    with pytest.raises(FieldError, match=r'surrogate.*jax and numpyro.*pip install "paretune\[saas\]"'):
        check_kind("saas", "surrogate")
    with pytest.raises(FieldError, match=r"^surrogate: saas needs"):
        create_sampler("bayes", surrogate="saas")
    for kind in KINDS:
        check_kind(quick(kind), "surrogate")


def _none_of(*missing: str):
    find = importlib.util.find_spec
    return lambda name, *rest: None if name in missing else find(name, *rest)
