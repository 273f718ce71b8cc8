"""Serial bottleneck adapter after a sublayer: y + U·σ(D·y + c) + e.

One after the MLP is Pfeiffer's placement (2020, arXiv 2005.00247), one after each sublayer Houlsby's (2019, arXiv
1902.00751). It reads the sublayer's own output y, where AdapterHub's configuration of Pfeiffer's reads the layer norm
of y + residual.
"""

from collections.abc import Callable

from space.methods.bits import BITS
from space.methods.method import Field, LearningRate, Method, Options, SizeField, Tensors, component_tensors
from space.sites import Site, SiteTable

BOTTLENECKS = SizeField(
    name="bottleneck",
    choices=("d/128", "d/64", "d/32", "d/16", "d/8", "d/4"),
    default="d/16",
    limit=lambda _site, table: table.hidden_size,
    plural="bottleneck widths",
    symbol="b",
)
NON_LINEARITY = Field("non_linearity", "σ between both projections", default="relu", choices=("relu", "gelu", "silu"))
BOTTLENECK_ROLES = (("mlp",), ("attention", "mlp"))


def bottleneck_parameters(site: Site, _table: SiteTable, width: int, _options: Options) -> int:
    """2·d·b + b + d: both projections with their biases."""
    return width * (site.in_size + site.out_size) + width + site.out_size


def bottleneck_tensors(method: str) -> Callable[[Site, SiteTable, int, bool], Tensors]:
    """Both projections of `method` with their biases."""

    def tensors(site: Site, _table: SiteTable, width: int, _by_peft: bool) -> Tensors:
        shapes = {
            "down.weight": (width, site.in_size),
            "down.bias": (width,),
            "up.weight": (site.out_size, width),
            "up.bias": (site.out_size,),
        }
        return component_tensors(method, site.module, shapes)

    return tensors


METHOD = Method(
    name="serial-adapter",
    title="Serial adapter",
    summary="a bottleneck after a sublayer: Pfeiffer after the MLP, Houlsby after both",
    source="Houlsby et al. 2019, arXiv 1902.00751; Pfeiffer et al. 2020, arXiv 2005.00247",
    engine="E2",
    site_kind="sublayer",
    default_roles=("mlp",),
    role_choices=BOTTLENECK_ROLES,
    size=BOTTLENECKS,
    fields=(NON_LINEARITY, BITS),
    learning_rate=LearningRate(1e-4, 5e-3, 1e-3),
    parameters=bottleneck_parameters,
    tensors=bottleneck_tensors("serial-adapter"),
    formula="2·d·b + b + d",
    composable=True,
    verified=("definition", "authors-code"),
)
