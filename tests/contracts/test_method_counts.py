"""The count of any plan is the number of trainable parameters of the model that is built from it."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evaluator.attach import attached
from evaluator.backbone import Backbone
from space.configuration import Component, Configuration
from space.errors import FieldError
from space.methods import METHODS, Field
from space.resolve import resolve

SEARCHABLE = sorted(name for name, method in METHODS.items() if method.searchable)
COMPOSABLE = sorted(name for name, method in METHODS.items() if method.composable)
SIZES = st.one_of(st.integers(1, 40), st.sampled_from(["d", "d/2", "d/8", "d/64"]))


@st.composite
def components(draw: st.DrawFn, name: str) -> Component:
    method = METHODS[name]
    roles = draw(st.sampled_from(((), method.default_roles, *method.role_choices)))
    size = tuple(draw(st.lists(SIZES, min_size=1, max_size=3))) if method.size else ()
    options = {field.name: draw(_values(field)) for field in method.fields}
    return Component(method=name, roles=roles, size=size, options=options)


def _values(field: Field) -> st.SearchStrategy[object]:
    if field.choices:
        return st.sampled_from(field.choices)
    low, high = field.low or 0, field.high or 1
    if isinstance(field.default, int):
        return st.integers(int(low), min(int(high), 12))
    return st.one_of(st.just(field.default), st.floats(low, min(high, 16.0)))


@st.composite
def configurations(draw: st.DrawFn, names: list[str] | None) -> Configuration:
    names = names or draw(st.lists(st.sampled_from(COMPOSABLE), min_size=2, unique=True))
    layers = draw(st.lists(st.booleans(), max_size=5).filter(lambda bits: not bits or any(bits)))
    return Configuration(components=tuple(draw(components(name)) for name in names), layers=tuple(layers))


@pytest.mark.parametrize("family", ["bert", "llama", "gpt2", "vit"])
@pytest.mark.parametrize("name", [*SEARCHABLE, "union"])
@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_plans_count_is_the_models(
    tiny_backbones: dict[str, Backbone], family: str, name: str, data: st.DataObject
) -> None:
    backbone = tiny_backbones[family]
    configuration = data.draw(configurations(None if name == "union" else [name]))
    sparsity = data.draw(st.sampled_from((1.0, 1.0, 0.6)))
    try:
        plan = resolve(configuration.model_copy(update={"sparsity": sparsity}), backbone.table)
    except FieldError:
        # What does not fit is refused; that it is rightly so is tested elsewhere.
        return
    with attached(backbone, plan, seed=0) as attachment:
        assert sum(parameter.numel() for parameter in attachment.parameters) == plan.trainable_parameters
        assert len(attachment.parameters) == len({id(parameter) for parameter in attachment.parameters})
