"""Gaussian processes on the learned metrics.

One plain `SingleTaskGP` a metric, with the dimension-scaled prior on lengthscales (Hvarfner et al. 2024, arXiv
2402.02229) and the fidelity among its inputs, so that a short run informs about the full one without passing for it.
Inputs of a dimension that is inactive are constants (the space's features), so one process serves the whole conditional
space.

Fitting starts from the hyperparameters that an earlier trial of the history keeps in its attributes; every
`REFIT_EVERY`-th trial starts afresh. The fit is therefore a function of the stored history alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from botorch.models.gp_regression import SingleTaskGP
from botorch.models.model_list_gp_regression import ModelListGP
from botorch.models.transforms.outcome import Standardize
from botorch.models.utils.gpytorch_modules import get_covar_module_with_dim_scaled_prior
from botorch.optim.fit import fit_gpytorch_mll_scipy
from gpytorch.mlls import ExactMarginalLogLikelihood
from linear_operator.utils.errors import NotPSDError
from torch import Tensor

from search.metrics import METRICS
from search.objectives import Objectives
from search.samplers.bayes.encoding import Encoding
from search.samplers.bayes.readings import LOSS, Reading, readings
from search.samplers.sampler import History, PastTrial
from search.scales import Scale

HYPERPARAMETERS = "hyperparameters"
"""Attribute of a proposal: the fitted hyperparameters, by metric."""
REFIT_EVERY = 16
COLD_STEPS = 150
WARM_STEPS = 30
"""Steps of L-BFGS; past these the posterior hardly moves and a suggestion's time would not be bounded."""
WORST_MODELLED = 1.5
"""Values beyond this place on the scale (1 is what a constant predicts) are cut: diverged runs would bend the fit."""
FAILURE = "failure"
"""Name of the output that models failed trials (1) against the others (0), present from `ENOUGH_FAILURES` on."""
ENOUGH_FAILURES = 2

Hyperparameters = Mapping[str, Mapping[str, Any]]


class Surrogate:
    """The fitted model of one history. Outputs are `metrics`, each on its scale (0 best, 1 worst), minimised."""

    def __init__(self, encoding: Encoding, objectives: Objectives, history: History, trials: list[PastTrial]) -> None:
        """`trials`: those of `history` that were measured; at least two."""
        scales: dict[str, Scale] = {each.metric: each.scale for each in objectives.objectives if not each.known}
        scales |= {each.metric: each.scale for each in objectives.constraints if not each.known}
        failed = [trial for trial in history.trials if trial.state == "failed"]
        start = starting_hyperparameters(history)
        models: dict[str, SingleTaskGP] = {}
        for metric, scale in scales.items():
            quality = METRICS[metric].quality and metric != LOSS
            X, Y = _data(encoding, readings(trials, metric, scale, quality=quality))
            models[metric] = _fit(X, Y, encoding.inputs, start.get(metric))
        if len(failed) >= ENOUGH_FAILURES:
            X = encoding.rows([trial.point for trial in (*trials, *failed)])
            Y = torch.tensor([[0.0]] * len(trials) + [[1.0]] * len(failed), dtype=torch.float64)
            models[FAILURE] = _fit(X, Y, encoding.inputs, start.get(FAILURE))
        self.metrics = tuple(models)
        self.model = ModelListGP(*models.values())
        self.hyperparameters = {metric: _hyperparameters(model) for metric, model in models.items()}

    def mean(self, X: Tensor) -> Tensor:
        """Posterior mean, shape n x metrics."""
        with torch.no_grad():
            return self.model.posterior(X).mean


def starting_hyperparameters(history: History) -> Hyperparameters:
    """Those of the latest trial that keeps some; none when it is time to start afresh."""
    number = history.trials[-1].number + 1 if history.trials else 0
    if number % REFIT_EVERY == 0:
        return {}
    for trial in reversed(history.trials):
        if HYPERPARAMETERS in trial.attributes:
            found: Hyperparameters = trial.attributes[HYPERPARAMETERS]
            return found
    return {}


def _data(encoding: Encoding, seen: Sequence[Reading]) -> tuple[Tensor, Tensor]:
    """Every rung of every trial that was read: inputs n x width and values n x 1."""
    X = encoding.rows([trial.point for trial, _, _ in seen], [fidelity for _, fidelity, _ in seen])
    places = [min(value, WORST_MODELLED) for _, _, value in seen]
    return X, torch.tensor(places, dtype=torch.float64).unsqueeze(-1)


def _fit(X: Tensor, Y: Tensor, inputs: int, start: Mapping[str, Any] | None) -> SingleTaskGP:
    kernel = get_covar_module_with_dim_scaled_prior(ard_num_dims=inputs, active_dims=list(range(inputs)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # inputs that are constant in this history, values without spread
        model = SingleTaskGP(X, Y, covar_module=kernel, outcome_transform=Standardize(1))
    warm = start is not None and len(start["lengthscales"]) == inputs
    if start is not None and warm:
        model.covar_module.lengthscale = torch.tensor(start["lengthscales"], dtype=torch.float64)
        model.likelihood.noise = torch.tensor([start["noise"]], dtype=torch.float64)
        model.mean_module.constant.data.fill_(start["mean"])
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
    return model


def _hyperparameters(model: SingleTaskGP) -> dict[str, Any]:
    return {
        "lengthscales": [float(f"{each:.5g}") for each in model.covar_module.lengthscale.view(-1).tolist()],
        "noise": float(model.likelihood.noise.item()),
        "mean": float(model.mean_module.constant.item()),
    }
