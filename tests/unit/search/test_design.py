"""The design's learning rates: gathered around what the catalogue knows."""

from __future__ import annotations

from statistics import geometric_mean

import numpy as np
import pytest

from benchmarks.synthetic_peft import encoder_table
from search.samplers.bayes.design import around_defaults, study_design
from space.load import load_space
from space.methods import METHODS
from space.space import SearchSpace

TABLE = encoder_table(4, 64)
METHOD_NAMES = ("lora", "ia3")


def space_of(**rates: object) -> SearchSpace:
    return load_space({"methods": list(METHOD_NAMES), "layers": "all", **rates}, TABLE)


def drawn(space: SearchSpace, u: float) -> dict[str, float]:
    """The learning rate of each dimension that holds one, where its draw is `u`."""
    moved = around_defaults(space)(np.full(len(space.dimensions), u))
    return {
        dimension.name: float(dimension.at(place))
        for dimension, place in zip(space.dimensions, moved, strict=True)
        if dimension.name.endswith("learning_rate")
    }


def test_the_middle_is_each_methods_default_and_the_ends_stay() -> None:
    space = space_of()
    for name in METHOD_NAMES:
        rate = METHODS[name].learning_rate
        dimension = f"{name}.learning_rate"
        assert drawn(space, 0.5)[dimension] == pytest.approx(rate.default, rel=1e-3)
        assert drawn(space, 0.0)[dimension] == pytest.approx(rate.low)
        assert drawn(space, 1.0)[dimension] == pytest.approx(rate.high)


def test_half_of_the_draws_are_within_a_quarter_of_the_way_to_either_end() -> None:
    space = space_of()
    rate = METHODS["lora"].learning_rate
    found = np.array([drawn(space, u)["lora.learning_rate"] for u in np.linspace(0.001, 0.999, 401)])
    assert (np.diff(found) > 0).all()
    low, high = rate.default * (rate.low / rate.default) ** 0.25, rate.default * (rate.high / rate.default) ** 0.25
    assert ((found > low) & (found < high)).mean() == pytest.approx(0.5, abs=0.02)


def test_one_range_for_all_is_drawn_around_the_mean_of_their_defaults() -> None:
    space = space_of(learning_rate=[1e-6, 1.0])
    defaults = [METHODS[name].learning_rate.default for name in METHOD_NAMES]
    assert drawn(space, 0.5) == {"learning_rate": pytest.approx(geometric_mean(defaults), rel=1e-3)}


def test_a_default_that_the_user_left_out_moves_nothing() -> None:
    space = space_of(learning_rate=[1e-8, 1e-6])
    u = np.full(len(space.dimensions), 0.3)
    assert (around_defaults(space)(u) == u).all()


def test_a_plain_studys_design_has_one_trial_a_parameter_within_bounds() -> None:
    assert [study_design(parameters) for parameters in (0, 1, 5, 6, 8, 20)] == [5, 5, 5, 6, 8, 8]
