"""LoRA (Hu et al. 2021, arXiv 2106.09685): ΔW = s·B·A with A of r x in and B of out x r."""

from functools import partial

from space.methods.bits import BITS, quantised
from space.methods.linear import DROPOUT, QUERY_VALUE, ROLE_CHOICES, low_rank_parameters, low_rank_tensors, shorter_side
from space.methods.method import Field, LearningRate, Method, SizeField
from space.methods.tuner import tuner

RANKS = SizeField(name="rank", choices=(1, 2, 4, 8, 16, 32, 64), default=8, limit=shorter_side)

low_rank_tuner = partial(
    tuner, "LORA", size="r", pattern="rank_pattern", options={"dropout": "lora_dropout"}, transposes=True
)
"""peft's LoRA with the commonest rank, and a pattern for the modules whose rank differs from it."""
scaled_tuner = partial(low_rank_tuner, scaled="lora_alpha", scaled_pattern="alpha_pattern")
"""The same with α such that every site scales by the option `scaling`."""

METHOD = Method(
    name="lora",
    title="LoRA",
    summary="a low-rank update beside a weight matrix",
    source="Hu et al. 2021, arXiv 2106.09685; peft LoraConfig",
    engine="peft",
    site_kind="linear",
    default_roles=QUERY_VALUE,
    role_choices=ROLE_CHOICES,
    size=RANKS,
    fields=(
        Field("scaling", "s in ΔW = s·B·A; peft's lora_alpha is s·r", default=2.0, low=0.01, high=64.0, log=True),
        DROPOUT,
        BITS,
    ),
    learning_rate=LearningRate(1e-4, 5e-3, 1e-3),
    parameters=low_rank_parameters,
    tensors=low_rank_tensors,
    peft=scaled_tuner(),
    takes_our_tuner=quantised,
    formula="r·(in + out)",
    composable=True,
    merges=True,
    converts_to_lora=True,
    verified=("definition",),
)
