"""Errors of input in words that name the field and the remedy."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from search.fields import Invalid, parse
from search.job import JobSpec

GOOD = {"model": {"path": "m"}, "task": {"data": {"path": "d.csv"}}}


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"model": {"path": "m", "colour": 1}}, "model.colour", "known: path, hub, revision, sites"),
        ({"objectives": [{"metric": "loss", "gaol": "x"}]}, "objectives.0.gaol", "known: metric, goal, reference"),
        ({"task": {}}, "task.data", "is missing"),
        ({"budget": {"trials": 0}}, "budget.trials", "should be greater than or equal to 1, not '0'"),
        ({"model": {}}, "model", "give either path"),
        ({"model": {"hub": "a/b"}}, "model", "needs a revision"),
        ({"fidelity": {"rungs": [1.0, 0.5]}}, "fidelity.rungs", "ascend"),
        ({"task": {"data": {"path": "d"}, "split": {"test": 2}}}, "task.split.test", "less than 1"),
        ({"budget": {"steps": 200, "total_steps": 100}}, "budget", "total_steps is below steps"),
        ({"budget": "large"}, "budget", "mapping of fields to values"),
        ({"space": "lora"}, "space", "mapping of fields to values"),
        ({"objectives": "accuracy"}, "objectives", "should be a list"),
        ({"objectives": []}, "objectives", "the list should have at least 1 item"),
        ({"name": "   "}, "name", "one line of text"),
        ({"name": "a\nb"}, "name", "without control characters"),
        ({"name": "a\u2028b"}, "name", "without control characters"),
        ({"name": "\x1b[2J"}, "name", "without control characters"),
        ({"name": "news \u202egnp.exe"}, "name", "direction of writing (U+202E)"),
        ({"name": "\u2067news\u2069"}, "name", "direction of writing (U+2067, U+2069)"),
        ({"model": {"path": ""}}, "model.path", "at least 1 character"),
        ({"model": {"path": "x" * 5000}}, "model.path", "at most 4096 characters"),
        ({"task": {"data": {"path": ""}}}, "task.data.path", "at least 1 character"),
        ({"model": {"hub": "a/b", "revision": "../main"}}, "model.revision", "should match pattern"),
        ({"task": {"data": {"hub": "a/b", "revision": "a b", "file": "c.csv"}}}, "task.data.revision", "match pattern"),
    ],
)
def test_each_error_names_field_and_remedy(change: dict[str, object], field: str, words: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse(JobSpec, {**GOOD, **change})
    (error,) = caught.value.errors
    assert error.field == field
    assert words in error.message


@pytest.mark.parametrize("container", [lambda inner: [inner], lambda inner: {"a": inner}])
def test_a_space_is_as_deep_as_a_space_can_be(container: Callable[[object], object]) -> None:
    deep: object = 1
    for _ in range(7):
        deep = container(deep)
    parse(JobSpec, {**GOOD, "space": {"methods": deep}})
    with pytest.raises(Invalid, match=r"nested more than 8 deep; see docs/spaces\.md") as caught:
        parse(JobSpec, {**GOOD, "space": {"methods": container(deep)}})
    assert [error.field for error in caught.value.errors] == ["space"]


def test_a_list_is_not_also_called_too_short_for_a_wrong_item() -> None:
    with pytest.raises(Invalid) as caught:
        parse(JobSpec, {**GOOD, "objectives": [{"metric": "beauty"}]})
    assert [error.field for error in caught.value.errors] == ["objectives.0.metric"]


def test_long_input_is_not_echoed_whole() -> None:
    with pytest.raises(Invalid) as caught:
        parse(JobSpec, {**GOOD, "workers": "x" * 10_000})
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("data", [None, [], "text", 3])
def test_what_is_no_mapping_is_refused(data: object) -> None:
    with pytest.raises(Invalid):
        parse(JobSpec, data)
