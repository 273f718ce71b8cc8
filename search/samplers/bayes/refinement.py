"""The last step of the search for a candidate: its continuous numbers move to a hilltop of the acquisition function.

Neighbours find what to choose; by how much is found along the gradient, with BoTorch's batched L-BFGS-B. What is not a
continuous number stays.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

from botorch.acquisition.acquisition import AcquisitionFunction
from botorch.generation.gen import gen_candidates_scipy

from search.samplers.bayes.domain import Domain
from search.samplers.bayes.encoding import Encoding
from space.encode import Point

STEPS = 25
"""Of L-BFGS-B, at most."""


def refined(points: Sequence[Point], domain: Domain, encoding: Encoding, function: AcquisitionFunction) -> list[Point]:
    """`points` with their continuous numbers moved; those without such are left out.

    Nothing says that they are better, or valid: that is for the caller to look at.
    """
    alike: dict[tuple[tuple[int, str], ...], list[Point]] = {}
    for point in points:
        alike.setdefault(tuple(domain.continuous(point).items()), []).append(point)
    found: list[Point] = []
    for columns, group in alike.items():
        if columns:
            found += _refined(group, dict(columns), domain, encoding, function)
    return found


def _refined(
    points: Sequence[Point], columns: dict[int, str], domain: Domain, encoding: Encoding, function: AcquisitionFunction
) -> list[Point]:
    rows = encoding.rows(points).unsqueeze(-2)
    fixed = {index: rows[..., index] for index in range(rows.shape[-1]) if index not in columns}
    with warnings.catch_warnings(record=True):  # a line search that ends early leaves a worse point, which is no news
        moved, _ = gen_candidates_scipy(rows, function, 0.0, 1.0, options={"maxiter": STEPS}, fixed_features=fixed)
    places = moved[:, 0, list(columns)].clamp(0.0, 1.0)
    return [
        domain.moved(point, dict(zip(columns.values(), row, strict=True)))
        for point, row in zip(points, places.tolist(), strict=True)
        if all(map(math.isfinite, row))
    ]
