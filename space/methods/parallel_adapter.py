"""Parallel bottleneck adapter beside a sublayer (He et al. 2021, arXiv 2110.04366): y + s·(U·σ(D·x + c) + e)."""

from space.methods.bits import BITS
from space.methods.method import Field, LearningRate, Method
from space.methods.serial_adapter import (
    BOTTLENECK_ROLES,
    BOTTLENECKS,
    NON_LINEARITY,
    bottleneck_parameters,
    bottleneck_tensors,
)

METHOD = Method(
    name="parallel-adapter",
    title="Parallel adapter",
    summary="a scaled bottleneck beside a sublayer, fed with the sublayer's input",
    source="He et al. 2021, arXiv 2110.04366",
    engine="E2",
    site_kind="sublayer",
    default_roles=("mlp",),
    role_choices=BOTTLENECK_ROLES,
    size=BOTTLENECKS,
    fields=(
        NON_LINEARITY,
        Field("scale", "s on the bottleneck's output", default=4.0, low=0.01, high=64.0, log=True),
        BITS,
    ),
    learning_rate=LearningRate(1e-4, 5e-3, 1e-3),
    parameters=bottleneck_parameters,
    tensors=bottleneck_tensors("parallel-adapter"),
    formula="2·d·b + b + d",
    composable=True,
    verified=("definition", "authors-code"),
)
