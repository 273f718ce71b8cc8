"""Rank-stabilised LoRA (Kalajdzievski 2023, arXiv 2312.03732): ΔW = (α/√r)·B·A."""

from space.methods.linear import DROPOUT, QUERY_VALUE, ROLE_CHOICES, low_rank_parameters, low_rank_tensors
from space.methods.lora import RANKS, low_rank_tuner
from space.methods.method import Field, LearningRate, Method

METHOD = Method(
    name="rslora",
    title="rsLoRA",
    summary="LoRA scaled by 1/√r, so that large ranks learn as fast as small ones",
    source="Kalajdzievski 2023, arXiv 2312.03732; peft LoraConfig(use_rslora=True)",
    engine="peft",
    site_kind="linear",
    default_roles=QUERY_VALUE,
    role_choices=ROLE_CHOICES,
    size=RANKS,
    fields=(Field("alpha", "α in ΔW = (α/√r)·B·A", default=4.0, low=0.01, high=256.0, log=True), DROPOUT),
    learning_rate=LearningRate(1e-4, 5e-3, 1e-3),
    parameters=low_rank_parameters,
    tensors=low_rank_tensors,
    peft=low_rank_tuner(options={"alpha": "lora_alpha", "dropout": "lora_dropout"}, use_rslora=True),
    formula="r·(in + out)",
    merges=True,
    converts_to_lora=True,
    verified=("definition",),
)
