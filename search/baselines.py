"""Hand-made baselines: what a user would train without a search, at equal cost beside it.

Each chooses its learning rate from three at the lowest rung on validation loss, then trains in full with the finalists'
seeds. Cheapest first.
"""

from __future__ import annotations

from dataclasses import dataclass

from space.configuration import Component, Configuration
from space.encode import Point
from space.errors import FieldError
from space.methods import METHODS
from space.plan import Plan
from space.resolve import resolve
from space.sites import SiteTable
from space.space import SearchSpace

FULL_FINE_TUNING_BYTES = 16
"""A parameter in training: weight, gradient and two moments of Adam, 4 bytes each."""


@dataclass(frozen=True)
class Baseline:
    """`candidates` differ in the learning rate only."""

    name: str
    title: str
    candidates: tuple[tuple[Configuration, Plan], ...]


_COMPONENTS: tuple[tuple[str, str, Component | None], ...] = (
    ("head-only", "head only on frozen features", None),
    ("lora-r8-query-value", "LoRA r=8 on query and value", Component(method="lora", size=(8,))),
    ("serial-adapter", "serial adapter after each MLP (Pfeiffer)", Component(method="serial-adapter", size=("d/16",))),
    ("lora-r8-all-linear", "LoRA r=8 on all linear sites", Component(method="lora", size=(8,), roles=("all-linear",))),
    ("full-fine-tuning", "full fine-tuning", Component(method="full-fine-tuning")),
)


def baselines(table: SiteTable, free_bytes: float) -> tuple[list[Baseline], list[str]]:
    """The baselines that fit the model, cheapest first, and a sentence for each that does not.

    `free_bytes`: memory that one worker may use; full fine-tuning is left out where it does not fit.
    """
    found: list[Baseline] = []
    left_out: list[str] = []
    for name, title, component in _COMPONENTS:
        if component is not None and component.method == "full-fine-tuning":
            needed = table.parameters * FULL_FINE_TUNING_BYTES
            if needed > free_bytes:
                left_out.append(f"{title}: needs at least {needed / 2**30:.1f} GiB a worker")
                continue
        try:
            found.append(Baseline(name, title, tuple(_candidates(component, table))))
        except FieldError as error:
            left_out.append(f"{title}: {error.message}")
    return found, left_out


def point_in(space: SearchSpace, configuration: Configuration) -> Point:
    """Where a baseline's configuration lies, so that the sampler knows what it reached; empty where it does not."""
    try:
        return space.point_of(configuration)
    except FieldError:
        return {}


def _candidates(component: Component | None, table: SiteTable) -> list[tuple[Configuration, Plan]]:
    if component is None:
        head_only = Configuration()
        return [(head_only, resolve(head_only, table))]
    rate = METHODS[component.method].learning_rate
    rates = (
        rate.low * (rate.default / rate.low) ** 0.5,
        rate.default,
        rate.default * (rate.high / rate.default) ** 0.5,
    )
    configurations = [Configuration(components=(component,), learning_rate=float(f"{each:.2g}")) for each in rates]
    return [(configuration, resolve(configuration, table)) for configuration in configurations]
