"""Prefix tuning (Li & Liang 2021, arXiv 2101.00190): p learned keys and values in front of a layer's own."""

from space.methods.method import LearningRate, Method, Options, SizeField, Tensors, component_tensors
from space.sites import Site, SiteTable


def _parameters(_site: Site, table: SiteTable, tokens: int, _options: Options) -> int:
    return 2 * tokens * table.key_value_size


def _tensors(site: Site, table: SiteTable, tokens: int, _by_peft: bool) -> Tensors:
    shape = (tokens, table.key_value_size)
    return component_tensors("prefix-tuning", site.input_module, {"keys": shape, "values": shape})


def _refuses(_site: Site, table: SiteTable, _tokens: int, _options: Options) -> str | None:
    return None if table.takes_prefix else "its attention takes no further keys and values; choose another method"


METHOD = Method(
    name="prefix-tuning",
    title="Prefix tuning",
    summary="learned keys and values in front of each chosen attention layer's own",
    source="Li & Liang 2021, arXiv 2101.00190; per-layer keys and values without re-parametrisation",
    engine="E2",
    site_kind="sublayer",
    default_roles=("attention",),
    size=SizeField(
        "tokens",
        (1, 2, 4, 8, 16, 32),
        default=8,
        limit=lambda _site, table: table.hidden_size,
        plural="prefix tokens",
        symbol="p",
    ),
    learning_rate=LearningRate(1e-3, 5e-2, 1e-2),
    refuses=_refuses,
    parameters=_parameters,
    tensors=_tensors,
    formula="2·p·key-value width",
    composable=True,
    starts_at_base=False,
    verified=("definition", "authors-code"),
)
