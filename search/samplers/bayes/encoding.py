"""From points to model inputs. One row is: the domain's features, log-fidelity, then the known objectives.

The Gaussian processes see all columns but the known objectives; those ride along so that an acquisition function,
which gets nothing but the inputs, knows their exact values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from search.objectives import Objectives
from search.samplers.bayes.domain import Domain
from search.samplers.fidelity import log_fidelity
from space.encode import Point


@dataclass(frozen=True)
class Columns:
    """What the columns of a row are."""

    inputs: int
    """The first so many are the model's inputs; what comes after rides along."""
    shared: tuple[int, ...]
    """Those among them that say the same of every point: the domain's shared features, and the fidelity."""


class Encoding:
    """Rows of model inputs for a domain's points. Shapes: n x `width`, the first `inputs` columns for the GPs."""

    def __init__(self, domain: Domain, objectives: Objectives) -> None:
        self._domain = domain
        self._objectives = objectives
        self.known = [index for index, objective in enumerate(objectives.objectives) if objective.known]
        self.inputs = len(domain.feature_names) + 1
        self.width = self.inputs + len(self.known)
        self.columns = Columns(self.inputs, (*domain.shared_features, self.inputs - 1))

    def rows(self, points: Sequence[Point], fidelities: Sequence[float] | None = None) -> Tensor:
        """Inputs of `points` at `fidelities` (default: full). Shape n x width, float64."""
        if not points:
            return torch.empty(0, self.width, dtype=torch.float64)
        columns = [
            self._domain.features(list(points)),
            np.array([[log_fidelity(fidelity)] for fidelity in fidelities or [1.0] * len(points)]),
            np.array([self._known_values(point) for point in points]).reshape(len(points), len(self.known)),
        ]
        return torch.from_numpy(np.concatenate(columns, axis=1, dtype=np.float64))

    def _known_values(self, point: Point) -> list[float]:
        """The known objectives at a point, minimised and scaled, in the order of `known`."""
        objectives = [self._objectives.objectives[index] for index in self.known]
        return [objective.minimised(self._domain.known(point, objective.metric)) for objective in objectives]

    def excess(self, point: Point) -> float:
        """How far the constraints on known metrics are broken, all together, in units of their scales; 0: all hold."""
        bounds = [bound for bound in self._objectives.constraints if bound.known]
        return sum(max(bound.violation(self._domain.known(point, bound.metric)), 0.0) for bound in bounds)

    def allowed(self, point: Point) -> bool:
        """Whether the constraints on known metrics hold."""
        return self.excess(point) == 0
