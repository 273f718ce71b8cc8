"""What methods at weight matrices share: placements, conditions, formulas."""

from __future__ import annotations

from collections.abc import Callable

from space.methods.method import Field, Options, Tensors, component_tensors
from space.sites import Site, SiteTable

QUERY_VALUE = ("attention.query", "attention.value")
ROLE_CHOICES = (QUERY_VALUE, ("attention-linear",), ("mlp-linear",), ("all-linear",))
DROPOUT = Field("dropout", "dropout on the input of the adapter's path", default=0.0, low=0.0, high=0.9)

Refusal = Callable[[Site, SiteTable, int, Options], str | None]


def low_rank_parameters(site: Site, _table: SiteTable, rank: int, _options: Options) -> int:
    """r·(in + out)."""
    return rank * (site.in_size + site.out_size)


def low_rank_tensors(site: Site, _table: SiteTable, rank: int, by_peft: bool) -> Tensors:
    """A and B of a product of rank r."""
    a, b = (rank, site.in_size), (site.out_size, rank)
    if by_peft:
        return {f"{site.module}.lora_A.weight": a, f"{site.module}.lora_B.weight": b}
    return component_tensors("lora", site.module, {"a.weight": a, "b.weight": b})


def shorter_side(site: Site, _table: SiteTable) -> int:
    """min(in, out): the largest rank of an update."""
    return min(site.in_size, site.out_size)


def input_width(site: Site, _table: SiteTable) -> int:
    return site.in_size


def entries(site: Site, _table: SiteTable) -> int:
    """in·out."""
    return site.in_size * site.out_size


def plain_layout(site: Site, _table: SiteTable, _size: int, _options: Options) -> str | None:
    """Refuses transposed weights, which this tuner of peft does not take."""
    if site.layout == "conv1d":
        return "its weight is stored transposed (Conv1D), which peft does not support here; choose another method"
    return None


def input_multiple_of(option: str) -> Refusal:
    """Refuses sites whose input the option's value does not divide."""

    def _refuses(site: Site, _table: SiteTable, _size: int, options: Options) -> str | None:
        return _remainder(option, options, {"input": site.in_size})

    return _refuses


def output_multiple_of(option: str) -> Refusal:
    """Refuses sites whose output the option's value does not divide."""

    def _refuses(site: Site, _table: SiteTable, _size: int, options: Options) -> str | None:
        return _remainder(option, options, {"output": site.out_size})

    return _refuses


def both_multiples_of(option: str) -> Refusal:
    """Refuses sites whose input or output the option's value does not divide."""

    def _refuses(site: Site, _table: SiteTable, _size: int, options: Options) -> str | None:
        return _remainder(option, options, {"input": site.in_size, "output": site.out_size})

    return _refuses


def any_of(*refusals: Refusal) -> Refusal:
    """Refuses what one of `refusals` refuses, with its reason."""

    def _refuses(site: Site, table: SiteTable, size: int, options: Options) -> str | None:
        return next((reason for each in refusals if (reason := each(site, table, size, options))), None)

    return _refuses


def _remainder(option: str, options: Options, widths: dict[str, int]) -> str | None:
    divisor = int(options[option])
    for name, width in widths.items():
        if width % divisor:
            return f"its {name} width {width} is no multiple of {option} {divisor}; choose a {option} that divides it"
    return None
