"""Gaussian processes on the learned metrics, the fidelity among their inputs.

So a short run informs about the full one without passing for it. Inputs of a dimension that is inactive are constants
(the space's features), so one process serves the whole conditional space. What kind of process is the job's choice
(`search.samplers.bayes.kinds`). Every observation is a row of its own, so runs of one configuration with several seeds
tell the noise.

Fitting starts from the hyperparameters that an earlier trial of the history keeps in its attributes; every
`REFIT_EVERY`-th trial starts afresh. The fit is therefore a function of the stored history alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from botorch.models.gpytorch import GPyTorchModel
from torch import Tensor

from search.objectives import Objectives
from search.samplers.bayes.encoding import Encoding
from search.samplers.bayes.fitting import Hyperparameters
from search.samplers.bayes.kinds import DEFAULT, fit_of
from search.samplers.bayes.models import Models
from search.samplers.bayes.readings import LOSS, Reading, readings
from search.samplers.bayes.source_prior import SourcePrior
from search.samplers.sampler import History, PastTrial

HYPERPARAMETERS = "hyperparameters"
"""Attribute of a proposal: the fitted hyperparameters, by metric."""
REFIT_EVERY = 16
WORST_MODELLED = 1.5
"""Values beyond this place on the scale (1 is what a constant predicts) are cut: diverged runs would bend the fit."""
FAILURE = "failure"
"""Name of the output that models failed trials (1) against the others (0), present from `ENOUGH_FAILURES` on."""
ENOUGH_FAILURES = 2


class Surrogate:
    """The fitted model of one history. Outputs are `metrics`, each on its scale (0 best, 1 worst), minimised."""

    def __init__(
        self,
        encoding: Encoding,
        objectives: Objectives,
        history: History,
        trials: list[PastTrial],
        kind: str = DEFAULT,
        priors: Mapping[str, SourcePrior] | None = None,
    ) -> None:
        """`trials`: what was measured (`past.evidence`); at least two. `kind`: one of `kinds.KINDS`. `priors`: for
        some metrics, the mean that earlier jobs give."""
        priors = priors or {}
        data = {
            name: _data(encoding, readings(trials, name, each.scale, quality=each.quality and name != LOSS))
            for name, each in objectives.learned.items()
        }
        failed = [trial for trial in history.trials if trial.state == "failed"]
        if len(failed) >= ENOUGH_FAILURES:
            X = encoding.rows([trial.point for trial in (*trials, *failed)])
            Y = torch.tensor([[0.0]] * len(trials) + [[1.0]] * len(failed), dtype=torch.float64)
            data[FAILURE] = (X, Y)
        for metric, prior in priors.items():
            X, Y = data[metric]
            data[metric] = (X, prior.taken_off(Y, X))
        self.kind = kind
        start, fit = starting_hyperparameters(history), fit_of(kind)
        fitted = {metric: fit(X, Y, encoding.columns, start.get(metric)) for metric, (X, Y) in data.items()}
        for metric, prior in priors.items():
            prior.put_before(fitted[metric].model)
        self.metrics = tuple(fitted)
        models: list[GPyTorchModel] = [each.model for each in fitted.values()]
        self.model = Models(*models)
        self.hyperparameters = {metric: each.hyperparameters for metric, each in fitted.items()}

    def mean(self, X: Tensor) -> Tensor:
        """Posterior mean, shape n x metrics."""
        with torch.no_grad():
            return self.model.posterior(X).mean


def starting_hyperparameters(history: History) -> Mapping[str, Hyperparameters]:
    """Those of the latest trial that keeps some; none when it is time to start afresh."""
    number = history.trials[-1].number + 1 if history.trials else 0
    if number % REFIT_EVERY == 0:
        return {}
    for trial in reversed(history.trials):
        if HYPERPARAMETERS in trial.attributes:
            found: Mapping[str, Hyperparameters] = trial.attributes[HYPERPARAMETERS]
            return found
    return {}


def _data(encoding: Encoding, seen: Sequence[Reading]) -> tuple[Tensor, Tensor]:
    """Every rung of every trial that was read: inputs n x width and values n x 1."""
    X = encoding.rows([trial.point for trial, _, _ in seen], [fidelity for _, fidelity, _ in seen])
    places = [min(value, WORST_MODELLED) for _, _, value in seen]
    return X, torch.tensor(places, dtype=torch.float64).unsqueeze(-1)
