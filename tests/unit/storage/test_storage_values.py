"""JSON, text and cursors at their edges."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.errors import InvalidQuery
from storage.json_values import canonical, checked, storable
from storage.paging import from_cursor, to_cursor

few = settings(max_examples=50)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
    max_leaves=10,
)


@few
@given(JSON)
def test_plain_json_passes_as_an_equal_copy(value) -> None:
    copy = checked(value, "value")
    assert copy == value
    assert json.loads(canonical(copy)) == value
    if isinstance(value, list | dict):
        assert copy is not value


@few
@given(st.dictionaries(st.text(), st.integers()))
def test_the_canonical_form_knows_no_order(value) -> None:
    assert canonical(value) == canonical(dict(reversed(value.items())))


def test_tuples_are_lists() -> None:
    assert checked({"rungs": (0.1, 1.0)}, "spec") == {"rungs": [0.1, 1.0]}


@few
@given(st.text(st.characters(codec=None)))
def test_text_is_made_storable(text) -> None:
    kept = storable(text)
    assert "\x00" not in kept
    kept.encode("utf-8")
    if text.isprintable():
        assert kept == text


@few
@given(st.integers(-(2**63) + 1, 2**63 - 1), st.none() | st.floats(allow_nan=False, allow_infinity=False))
def test_a_cursor_brings_its_position_back(number, value) -> None:
    kinds = ((float, type(None)), int)
    assert from_cursor(to_cursor("trials", value, number), "trials", kinds) == [value, number]


@few
@given(st.text())
def test_any_other_text_is_no_cursor(text) -> None:
    with pytest.raises(InvalidQuery):
        from_cursor(text, "trials", (int,))


@pytest.mark.parametrize("position", [(2**63,), (True,), ("1",), (1.5,), (None,), (1, 2), ()])
def test_a_forged_position_is_refused(position) -> None:
    with pytest.raises(InvalidQuery):
        from_cursor(to_cursor("trials", *position), "trials", (int,))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_forged_number_is_refused(value) -> None:
    with pytest.raises(InvalidQuery):
        from_cursor(to_cursor("trials", value), "trials", (float,))
