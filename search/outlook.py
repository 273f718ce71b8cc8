"""What the sampler's model last said of the waiting trials, as the job's progress keeps it. Loads no tensor library.

It decides what runs next, so it is stored before it is used: a loop that is killed goes on with the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from search.samplers.forecast import Answer, Forecast

KEY = "forecast"
"""In the job's progress."""


@dataclass(frozen=True)
class Outlook:
    measured: int
    """Evaluations on rungs that had ended when it was asked for."""
    forecasts: Mapping[int, Forecast]
    """By trial."""
    full_runs: int
    """Trained in full, that the model had seen."""

    @property
    def modelled(self) -> bool:
        """False while the sampler has too little to model, and the ladder decides without it."""
        return self.full_runs > 0

    def as_json(self) -> dict[str, Any]:
        trials = [[each.trial, each.fidelity, each.probability, each.gain] for each in self.forecasts.values()]
        return {"measured": self.measured, "full_runs": self.full_runs, "trials": trials}


def outlook_of(answer: Answer, measured: int) -> Outlook:
    told = answer.forecasts or []
    full_runs = 0 if answer.forecasts is None else answer.full_runs
    return Outlook(measured, {each.trial: each for each in told}, full_runs)


def stored_outlook(progress: Mapping[str, Any]) -> Outlook | None:
    """None before the first."""
    found = progress.get(KEY)
    if found is None:
        return None
    told = [Forecast(int(trial), *rest) for trial, *rest in found["trials"]]
    return Outlook(found["measured"], {each.trial: each for each in told}, found["full_runs"])
