"""A conditional problem shaped like a PEFT search, whose front is known: for tests and timings, nothing is trained.

Accuracy rises with the logarithm of the trainable parameters towards a ceiling, each method at its own pace, falls
off quadratically with the distance of log learning rate from the method's own optimum, and depends on which layers
are on. A short run loses accuracy that the full run wins back. Noise is a function of the plan, so that a trial
repeats.
"""

from __future__ import annotations

import hashlib
import itertools
import math

import numpy as np

from space.configuration import Component, Configuration
from space.plan import Plan
from space.resolve import resolve
from space.sites import Site, SiteTable
from space.space import SearchSpace

CEILING = 0.93
FLOOR = 0.20
PACE = {"lora": 1.0, "dora": 0.95, "ia3": 2.2, "serial-adapter": 0.8, "parallel-adapter": 1.1, "prefix-tuning": 0.5}
"""How fast a method gains with log-parameters."""
OPTIMUM = {
    "lora": 1.5e-3, "dora": 1.2e-3, "ia3": 8e-3, "serial-adapter": 1e-3, "parallel-adapter": 6e-4, "prefix-tuning":
    5e-3,
}  # fmt: skip
"""Best peak learning rate."""


def encoder_table(depth: int, hidden: int) -> SiteTable:
    """Sites of a BERT-like encoder with four heads and a four times wider feed-forward layer."""
    wide = 4 * hidden
    sizes = {
        "attention.query": (hidden, hidden),
        "attention.key": (hidden, hidden),
        "attention.value": (hidden, hidden),
        "attention.output": (hidden, hidden),
        "mlp.up": (hidden, wide),
        "mlp.down": (wide, hidden),
    }
    sites = [
        Site(layer=layer, role=role, kind="linear", in_size=i, out_size=o, module=f"layer.{layer}.{role}")
        for layer in range(depth)
        for role, (i, o) in sizes.items()
    ]
    sites += [
        Site(layer=layer, role=role, kind="sublayer", in_size=hidden, out_size=hidden, module=f"layer.{layer}.{role}")
        for layer in range(depth)
        for role in ("attention", "mlp")
    ]
    parameters = depth * 12 * hidden * hidden
    sites.append(Site(layer=-1, role="model", kind="model", in_size=0, out_size=0, module=""))
    return SiteTable(
        model_type="bert", form="encoder", hidden_size=hidden, depth=depth, heads=4, key_value_size=hidden,
        max_positions=512, parameters=parameters, sites=tuple(sites),
    )  # fmt: skip


def accuracy(plan: Plan, depth: int, fidelity: float = 1.0, noise: float = 0.0) -> float:
    """Validation accuracy of `plan` after `fidelity` of its steps."""
    if not plan.entries:
        return FLOOR + 0.1
    per_method: dict[str, int] = {}
    for entry in plan.entries:
        per_method[entry.method] = per_method.get(entry.method, 0) + entry.parameters
    gain = sum(PACE.get(method, 0.7) * math.log10(1 + count / 300) for method, count in per_method.items())
    heights = [(entry.layer + 1) / depth for entry in plan.entries if entry.layer >= 0]
    height = sum(heights) / len(heights) if heights else 0.5
    learned = (CEILING - FLOOR) * (1 - math.exp(-0.9 * gain)) * (0.75 + 0.25 * height)
    rate = plan.learning_rate or 1e-3
    optimum = min(OPTIMUM.get(method, 1e-3) for method in per_method)
    learned *= math.exp(-0.5 * (math.log10(rate / optimum) / 0.45) ** 2)
    learned *= 1 - 0.45 * (1 - fidelity) ** 2
    return min(1.0, max(0.0, FLOOR + learned + noise * _gauss(plan, fidelity)))


def measure(plan: Plan, depth: int, fidelity: float = 1.0, noise: float = 0.0) -> dict[str, float]:
    """Every metric of one synthetic evaluation."""
    value = accuracy(plan, depth, fidelity, noise)
    parameters = plan.trainable_parameters
    return {
        "accuracy": value,
        "macro_f1": max(0.0, value - 0.02),
        "loss": -math.log(max(value, 1e-3)),
        "trainable_parameters": float(parameters),
        "adapter_bytes": 4.0 * parameters + 600.0 * len(plan.entries),
        "training_memory": 16.0 * parameters + 2e5 * sum(1 + entry.layer for entry in plan.entries),
        "step_seconds": 0.1 + 0.002 * len(plan.entries) + 1e-8 * parameters,
        "inference_latency": 0.01 + 0.0002 * len(plan.entries),
    }


def _gauss(plan: Plan, fidelity: float) -> float:
    seed = int(hashlib.sha256(f"{plan.key}:{fidelity:.6f}".encode()).hexdigest()[:12], 16)
    return float(np.random.default_rng(seed).standard_normal())


def plans_at_best_rates(space: SearchSpace) -> list[dict[str, float]]:
    """Noiseless full-fidelity measurements of every plan of a space small enough to list, each at its best rate.

    The space has one `layers` bit a layer, and its methods differ in size only; the front is among these.
    """
    found = []
    for method in space.choices.groups:
        sizes = next(member.sizes for member in space.choices.methods if member.method.name == method) or (None,)
        for size, layers in itertools.product(sizes, itertools.product((False, True), repeat=space.table.depth)):
            if any(layers):
                component = Component(method=method, size=() if size is None else (size,))
                configuration = Configuration(components=(component,), layers=layers, learning_rate=OPTIMUM[method])
                found.append(measure(resolve(configuration, space.table), space.table.depth))
    return found
