"""IA3 (Liu et al. 2022, arXiv 2205.05638): learned scaling of keys, values and feed-forward activations."""

from collections.abc import Sequence
from typing import Any

from space.methods.method import LearningRate, Method, Options, Placed, Tensors
from space.methods.tuner import transposed
from space.sites import Site, SiteTable


def _parameters(site: Site, _table: SiteTable, _size: int, _options: Options) -> int:
    return site.in_size if site.role == "mlp.down" else site.out_size


def _tensors(site: Site, _table: SiteTable, _size: int, _by_peft: bool) -> Tensors:
    shape = (1, site.in_size) if site.role == "mlp.down" else (site.out_size, 1)
    return {f"{site.module}.ia3_l": shape}


def _fields(placed: Sequence[Placed]) -> dict[str, Any]:
    return {
        "peft_type": "IA3",
        "target_modules": sorted(site.module for _, site in placed),
        "feedforward_modules": sorted(site.module for _, site in placed if site.role == "mlp.down"),
        **transposed(placed),
    }


METHOD = Method(
    name="ia3",
    title="IA3",
    summary="a learned scale for each key, value and feed-forward activation",
    source="Liu et al. 2022, arXiv 2205.05638; peft IA3Config",
    engine="peft",
    site_kind="linear",
    default_roles=("attention.key", "attention.value", "mlp.down"),
    role_choices=(("attention.key", "attention.value", "mlp.down"), ("all-linear",)),
    learning_rate=LearningRate(1e-3, 3e-2, 5e-3),
    parameters=_parameters,
    tensors=_tensors,
    peft=_fields,
    formula="in on mlp.down, out elsewhere",
    merges=True,
    verified=("definition",),
)
