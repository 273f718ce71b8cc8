"""How a model sees a run's fidelity: by its logarithm, so that a rung is as far from the next as that from its next."""

from __future__ import annotations

import math

LOWEST = 0.01
"""The fidelity that is 0."""
FULL = 1.0
"""The full run's place."""


def log_fidelity(fidelity: float) -> float:
    """Place of a fidelity (0 to 1, a share of the full steps) between `LOWEST`, or less, and `FULL`."""
    return FULL - math.log(max(fidelity, LOWEST)) / math.log(LOWEST)
