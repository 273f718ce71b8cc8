"""What all surrogate models share: how a fit starts from the one before, how it is bounded, and what is kept of it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from botorch.models.gp_regression import SingleTaskGP
from botorch.models.gpytorch import GPyTorchModel
from botorch.optim.fit import fit_gpytorch_mll_scipy
from gpytorch.mlls import ExactMarginalLogLikelihood
from linear_operator.utils.errors import NotPSDError
from torch import Tensor

from search.samplers.bayes.encoding import Columns

COLD_STEPS = 150
WARM_STEPS = 10
"""Steps of L-BFGS; past these the posterior hardly moves and a suggestion's time would not be bounded."""

Hyperparameters = Mapping[str, Any]
"""Of one model: plain numbers and lists by the parameters' names, as JSON holds them."""


@dataclass(frozen=True)
class Fitted:
    """A model whose posterior is Gaussian, in the units of the values that it was given, and what to start its next fit
    from."""

    model: GPyTorchModel
    hyperparameters: Hyperparameters


class Fit(Protocol):
    def __call__(self, X: Tensor, Y: Tensor, columns: Columns, start: Hyperparameters | None) -> Fitted:
        """Fit to inputs X (n x width) and values Y (n x 1).

        `start`: what an earlier fit gave, if it is to go on from there.
        """
        ...


def fit_by_steps(model: SingleTaskGP, start: Hyperparameters | None) -> Fitted:
    """Maximise the posterior density of the hyperparameters, from `start` where it is of such a model."""
    warm = start is not None and _load(model, start)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    likelihood = ExactMarginalLogLikelihood(model.likelihood, model)
    likelihood.train()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the steps are bounded on purpose
        try:
            fit_gpytorch_mll_scipy(likelihood, options={"maxiter": WARM_STEPS if warm else COLD_STEPS})
        except NotPSDError:
            model.load_state_dict(before)
    model.eval()
    return Fitted(model, {name: _rounded(value) for name, value in model.named_parameters()})


def _load(model: SingleTaskGP, start: Hyperparameters) -> bool:
    """Give the model these hyperparameters; False, and nothing changed, where they are another model's."""
    own = dict(model.named_parameters())
    values = {name: torch.tensor(value, dtype=torch.float64) for name, value in start.items()}
    if {name: value.shape for name, value in own.items()} != {name: value.shape for name, value in values.items()}:
        return False
    with torch.no_grad():
        for name, value in values.items():
            own[name].copy_(value)
    return True


def _rounded(value: Tensor) -> Any:
    """As nested lists of five significant digits: they are stored with every trial."""

    def rounded(each: Any) -> Any:
        return [rounded(inner) for inner in each] if isinstance(each, list) else float(f"{each:.5g}")

    return rounded(value.detach().tolist())
