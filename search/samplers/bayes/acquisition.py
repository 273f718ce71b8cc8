"""What a further trial is worth: log noisy expected hypervolume improvement, or the way to the first feasible trial.

BoTorch maximises, so every objective is negated. Known objectives are read from the inputs' own columns
(`search.samplers.bayes.encoding`), which makes them exact for measured, running and candidate points alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from botorch.acquisition.acquisition import AcquisitionFunction
from botorch.acquisition.logei import qLogNoisyExpectedImprovement, qLogProbabilityOfFeasibility
from botorch.acquisition.multi_objective import logei
from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
from botorch.acquisition.multi_objective.objective import GenericMCMultiOutputObjective
from botorch.acquisition.multi_objective.utils import prune_inferior_points_multi_objective
from botorch.acquisition.objective import GenericMCObjective
from botorch.sampling.normal import SobolQMCNormalSampler
from botorch.utils.multi_objective.scalarization import get_chebyshev_scalarization
from torch import Tensor

from search.objectives import Constraint, Objectives
from search.samplers.bayes.encoding import Encoding
from search.samplers.bayes.surrogate import FAILURE, Surrogate

SAMPLES = {2: 64, 3: 16, 4: 8}
"""Quasi-Monte-Carlo samples of the posterior, by objectives: the hypervolume's boxes are found for each sample, and
their number grows steeply with the objectives. Beyond these, random scalarisations take over (ParEGO)."""
BASELINE = {2: 96, 3: 48, 4: 24}
"""Measured points kept as possible members of the front, by objectives."""

logei._load_attempted = True
"""Keeps BoTorch 0.18 from compiling its C++ kernel at the first call: that takes about 30 s and a compiler, rounds
differently from one machine to the next, and saves a tenth of a second a suggestion here."""

HYPERVOLUME = "qLogNEHVI"
"""The name of the acquisition function whose value is the logarithm of an expected gain of hypervolume."""

Violation = Callable[[Tensor], Tensor]
Values = Callable[[Tensor, Tensor | None], Tensor]


@dataclass(frozen=True)
class Acquisition:
    """`name` for the user; `function` maps n x 1 x width to n values, larger is better."""

    name: str
    function: AcquisitionFunction
    feasible: bool
    """False while no measured trial is expected to hold every constraint."""


def acquisition(
    surrogate: Surrogate,
    encoding: Encoding,
    objectives: Objectives,
    measured: Tensor,
    running: Tensor,
    rng: np.random.Generator,
) -> Acquisition:
    """The acquisition function given `measured` (n x width, n at least 1) and `running` (k x width) points."""
    violations = [_violation(surrogate, bound) for bound in objectives.constraints if not bound.known]
    if FAILURE in surrogate.metrics:
        place = surrogate.metrics.index(FAILURE)
        violations.append(lambda samples: samples[..., place] - 0.5)
    pending = running if len(running) else None
    constraints = violations or None
    if violations:
        means = surrogate.mean(measured)
        holds = torch.stack([violation(means) <= 0 for violation in violations]).all(dim=0)
        if not bool(holds.any()):
            function = qLogProbabilityOfFeasibility(
                surrogate.model, violations, sampler=_sampler(rng), X_pending=pending
            )
            return Acquisition("qLogProbabilityOfFeasibility", function, feasible=False)
    values = _objective_values(surrogate, encoding, objectives)
    count = len(objectives.objectives)
    if count in SAMPLES:
        objective = GenericMCMultiOutputObjective(values)
        reference = -torch.from_numpy(objectives.reference)
        hypervolume = qLogNoisyExpectedHypervolumeImprovement(
            surrogate.model,
            reference,
            _likely_front(surrogate, measured, reference, objective, constraints),
            sampler=_sampler(rng, SAMPLES[count]),
            objective=objective,
            constraints=constraints,
            X_pending=pending,
        )
        return Acquisition(HYPERVOLUME, hypervolume, feasible=True)
    weights = torch.from_numpy(rng.dirichlet(np.ones(count)))
    scalarised = get_chebyshev_scalarization(weights, values(surrogate.mean(measured), measured))

    def scalar(samples: Tensor, X: Tensor | None = None) -> Tensor:
        return scalarised(values(samples, X), X)

    improvement = qLogNoisyExpectedImprovement(
        surrogate.model,
        measured,
        sampler=_sampler(rng),
        objective=GenericMCObjective(scalar),
        constraints=constraints,
        X_pending=pending,
        prune_baseline=False,
    )
    return Acquisition("qLogNEI" if count == 1 else "qLogNParEGO", improvement, feasible=True)


def _sampler(rng: np.random.Generator, samples: int = 64) -> SobolQMCNormalSampler:
    return SobolQMCNormalSampler(torch.Size([samples]), seed=int(rng.integers(2**31)))


def _objective_values(surrogate: Surrogate, encoding: Encoding, objectives: Objectives) -> Values:
    """Samples of the learned metrics (... x q x metrics) and inputs (... x q x width) to objectives, maximised."""
    places = [
        ("known", encoding.inputs + encoding.known.index(index))
        if objective.known
        else ("learned", surrogate.metrics.index(objective.metric))
        for index, objective in enumerate(objectives.objectives)
    ]

    def values(samples: Tensor, X: Tensor | None = None) -> Tensor:
        if X is None:
            raise ValueError("the known objectives are read from the inputs")
        columns = [
            samples[..., place] if kind == "learned" else X[..., place].expand(samples.shape[:-1])
            for kind, place in places
        ]
        return -torch.stack(columns, dim=-1)

    return values


def _violation(surrogate: Surrogate, bound: Constraint) -> Violation:
    place = surrogate.metrics.index(bound.metric)
    limit = bound.scale.position(bound.limit)
    direction = bound.sign * (1 if bound.scale.worst > bound.scale.best else -1)
    return lambda samples: direction * (samples[..., place] - limit)


def _likely_front(
    surrogate: Surrogate,
    measured: Tensor,
    reference: Tensor,
    objective: GenericMCMultiOutputObjective,
    constraints: list[Violation] | None,
) -> Tensor:
    """The measured points that may be on the front, `BASELINE` at most; the first when none beats the reference."""
    kept = prune_inferior_points_multi_objective(
        surrogate.model,
        measured,
        reference,
        objective=objective,
        constraints=constraints,
        num_samples=256,
        max_frac=min(1.0, BASELINE[len(reference)] / len(measured)),
    )
    return kept if len(kept) else measured[:1]
