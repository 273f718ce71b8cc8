"""A site that one of peft's own tuners adapts, as dense tensors: what definitions written out are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from method_cases import TABLES, fits
from torch import Tensor, nn
from torch.nn import functional

from evaluator.attach import attached
from evaluator.backbone import Backbone
from space.configuration import Component, Configuration, OptionValue
from space.methods import METHODS
from space.resolve import resolve

ROLES = ("mlp.up", "mlp.down")
"""A tall matrix and a wide one, in one plan: tuners that share parts among sites must cut them to each."""
LAYER = 1
Options = Mapping[str, OptionValue]
Kept = Mapping[str, Tensor]
"""What a tuner holds at a site, trained and frozen, by peft's names without the adapter's."""
Definition = Callable[[Tensor, Kept], Tensor]
"""From the frozen weight, out x in, and what is held, to the weight that the tuner acts as."""
Case = tuple[str, Definition, int, Options]
"""Method, its definition, size (0: it has none) and options."""


@dataclass(frozen=True)
class TunedSite:
    """A site of layer `LAYER` with its trained numbers moved at random."""

    module: nn.Module
    weight: Tensor
    """Frozen, out x in."""
    bias: Tensor | None
    kept: Kept
    x: Tensor
    """Random input, 2 x 5 x in."""

    @property
    def trained(self) -> list[Tensor]:
        return [each for each in self.kept.values() if each.requires_grad]


def families(method: str, options: Options, roles: tuple[str, ...] = ROLES) -> list[str]:
    """Where `method` fits: a model of `nn.Linear`, and one whose weights are stored transposed."""
    component = Component(method=method, roles=roles, size=_size(method, 2), options=dict(options))
    return [family for family in ("bert", "gpt2") if fits(component, TABLES[family])]


def placed(cases: Sequence[Case]) -> list[Any]:
    """Parameters of a test: every case on each family that it fits."""
    return [
        pytest.param(family, *case, id=f"{case[1].__name__}-{family}")
        for case in cases
        for family in families(case[0], case[3])
    ]


@contextmanager
def tuned_sites(
    backbone: Backbone, method: str, size: int, options: Options, roles: tuple[str, ...] = ROLES
) -> Iterator[list[TunedSite]]:
    """`method` attached by our configuration, dropout off; its sites of layer `LAYER`."""
    component = Component(method=method, roles=roles, size=_size(method, size), options=dict(options))
    plan = resolve(Configuration(components=(component,)), backbone.table)
    generator = torch.Generator().manual_seed(0)
    with attached(backbone, plan, seed=0) as attachment:
        attachment.model.eval()
        with torch.no_grad():
            for parameter in attachment.parameters:
                parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
        found = []
        for role in sorted({entry.role for entry in plan.entries}):
            site = backbone.table.find(LAYER, role)
            assert site is not None
            module = backbone.backbone.get_submodule(site.module)
            base = module.get_submodule("base_layer")
            weight = base.get_parameter("weight").detach()
            found.append(
                TunedSite(
                    module,
                    weight.T if site.layout == "conv1d" else weight,
                    dict(base.named_parameters()).get("bias"),
                    held(module),
                    torch.randn(2, 5, site.in_size, generator=generator),
                )
            )
        yield found


def assert_same(site: TunedSite, expected: Tensor) -> None:
    """The module's output and the gradients of what it trains are `expected`'s, and not the base's."""
    output = site.module(site.x)
    base = functional.linear(site.x, site.weight, site.bias)
    assert (output - base).abs().max() > 1e-2
    torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-4)
    pull = torch.randn(output.shape, generator=torch.Generator().manual_seed(1))
    found, right = (
        torch.autograd.grad((each * pull).sum(), site.trained, materialize_grads=True) for each in (output, expected)
    )
    torch.testing.assert_close(found, right, rtol=1e-3, atol=1e-3)


def assert_defined(backbone: Backbone, method: str, definition: Definition, size: int, options: Options) -> None:
    """Every site's output and gradients are those of the weight that `definition` writes out."""
    with tuned_sites(backbone, method, size, options) as sites:
        for site in sites:
            assert_same(site, functional.linear(site.x, definition(site.weight, site.kept), site.bias))


def held(module: nn.Module) -> dict[str, Tensor]:
    """What the tuner holds at `module`, also the tensors that peft keeps in plain dictionaries."""
    everything = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    found = {
        name.replace(".default", ""): each for name, each in everything.items() if not name.startswith("base_layer")
    }
    for name, each in vars(module).items():
        if isinstance(each, Mapping | nn.Module) and "default" in each and isinstance(each["default"], Tensor):
            found[name] = each["default"]
    return found


def _size(method: str, size: int) -> tuple[int, ...]:
    return (size,) if METHODS[method].size is not None else ()
