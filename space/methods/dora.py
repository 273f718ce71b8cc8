"""DoRA (Liu et al. 2024, arXiv 2402.09353): LoRA on the direction of W, a learned magnitude for each output."""

from space.methods.linear import DROPOUT, QUERY_VALUE, ROLE_CHOICES, low_rank_tensors
from space.methods.lora import RANKS, scaled_tuner
from space.methods.method import Field, LearningRate, Method, Options, Tensors
from space.sites import Site, SiteTable


def _parameters(site: Site, _table: SiteTable, rank: int, _options: Options) -> int:
    return rank * (site.in_size + site.out_size) + site.out_size


def _tensors(site: Site, table: SiteTable, rank: int, by_peft: bool) -> Tensors:
    magnitude = {f"{site.module}.lora_magnitude_vector": (site.out_size,)}
    return {**low_rank_tensors(site, table, rank, by_peft), **magnitude}


METHOD = Method(
    name="dora",
    title="DoRA",
    summary="LoRA on a weight's direction with a learned magnitude for each output",
    source="Liu et al. 2024, arXiv 2402.09353; peft LoraConfig(use_dora=True)",
    engine="peft",
    site_kind="linear",
    default_roles=QUERY_VALUE,
    role_choices=ROLE_CHOICES,
    size=RANKS,
    fields=(
        Field("scaling", "s in s·B·A; peft's lora_alpha is s·r", default=2.0, low=0.01, high=64.0, log=True),
        DROPOUT,
    ),
    learning_rate=LearningRate(1e-4, 5e-3, 1e-3),
    parameters=_parameters,
    tensors=_tensors,
    peft=scaled_tuner(use_dora=True),
    formula="r·(in + out) + out",
    merges=True,
    verified=("definition",),
)
