"""The searches by name. A module is imported when its search is made: most load libraries of their own."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.search.opponents.opponent import Opponent
    from benchmarks.search.problems.problem import Problem

RUNGS = (0.125, 0.25, 1.0)
"""Of the full run: the recorded ones that come near a job's default (0.11, 0.33, 1.0) and do well
(docs/decisions/0011-the-model-decides-who-runs-on.md)."""

_CLASSES = {
    "random": ("random", "Random", ()),
    "optuna-tpe": ("optuna_samplers", "Tpe", ("optuna",)),
    "optuna-nsga2": ("optuna_samplers", "Nsga2", ("optuna",)),
    "optuna-gp": ("optuna_samplers", "Gp", ("optuna", "torch")),
    "optuna-botorch": ("optuna_samplers", "BoTorch", ("optuna", "optuna-integration", "botorch")),
    "paretune-sampler": ("optuna_samplers", "ParetuneBayes", ("optuna", "torch", "botorch", "gpytorch")),
    "ax": ("ax_client", "Ax", ("ax-platform", "botorch")),
    "syne-tune-moasha": ("syne_tune", "MoAsha", ("syne-tune",)),
    "syne-tune-mo-rea": ("syne_tune", "MoRea", ("syne-tune",)),
    "autopeft": ("autopeft", "AutoPeft", ("botorch",)),
}


@dataclass(frozen=True)
class Own:
    """Paretune's loop with one of its samplers; `rungs` None: in full only."""

    sampler: str
    rungs: tuple[float, ...] | None = None


OWN = {"bayes": Own("bayes"), "paretune": Own("bayes", RUNGS), "paretune-random": Own("random", RUNGS)}
NAMES = (*_CLASSES, *OWN)
FIDELITY = ("syne-tune-moasha",)
"""Opponents that make sense only where there are rungs."""


def make_opponent(name: str, problem: Problem, seed: int, budget: int) -> Opponent:
    module, attribute, _ = _CLASSES[name]
    found: Opponent = getattr(importlib.import_module(f"{__name__}.{module}"), attribute)(problem, seed, budget)
    return found


def packages(name: str) -> tuple[str, ...]:
    """Distributions whose versions matter to it."""
    return ("torch", "botorch", "gpytorch") if name in OWN else _CLASSES[name][2]
