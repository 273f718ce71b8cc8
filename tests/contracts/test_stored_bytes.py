"""The bytes that a plan says its adapter takes on disk are those of the adapter that the evaluator attaches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluator.attach import attached
from evaluator.backbone import Backbone, load_backbone
from evaluator.task import ModelSpec
from space.load import load_space
from space.presets import PRESETS
from space.space import SearchSpace

ALL: dict[str, Any] = {**PRESETS["all"].spec, "allocator": "uniform"}
POINTS = 24


def told_and_saved(backbone: Backbone, space: SearchSpace) -> list[tuple[float, int]]:
    """What random points say, and what the evaluator measures."""
    rng = np.random.default_rng(0)
    found = []
    for point in (space.sample(rng) for _ in range(POINTS)):
        with attached(backbone, space.plan(point), seed=0) as attachment:
            found.append((space.known(point, "adapter_bytes"), attachment.adapter_bytes()))
    return found


@pytest.mark.parametrize("family", ["bert", "llama", "gpt2", "vit"])
def test_bytes_are_those_of_the_attached_adapter(family: str, tiny_backbones: dict[str, Backbone]) -> None:
    backbone = tiny_backbones[family]
    found = told_and_saved(backbone, load_space(ALL, backbone.table))
    assert all(told == saved for told, saved in found)
    assert len(set(found)) > POINTS / 2


@pytest.mark.parametrize("method", ALL["methods"])
def test_every_base_method_alone(method: str, tiny_backbones: dict[str, Backbone]) -> None:
    backbone = tiny_backbones["gpt2"]
    space = load_space({"methods": [method], "layers": ["all", "bits"]}, backbone.table)
    assert all(told == saved for told, saved in told_and_saved(backbone, space))


def test_bytes_do_not_follow_the_base_models_precision(tiny_models: dict[str, Path]) -> None:
    backbone = load_backbone(ModelSpec(path=str(tiny_models["bert"])), labels=3, precision="bfloat16")
    assert all(told == saved for told, saved in told_and_saved(backbone, load_space(ALL, backbone.table)))


@pytest.mark.parametrize(
    "spec",
    [
        {"methods": ["lora"], "options": {"lora": {"bits": [4, 32]}}},
        {"methods": ["lora", "vera"]},
        {"methods": ["lora"], "compression": ["compeft"]},
        {"methods": ["lora"], "initialisation": ["pissa"]},
        {"methods": ["lora"], "sparsity": [0.5], "allocator": "spt"},
    ],
)
def test_bytes_that_training_decides_are_not_told(spec: dict[str, Any], tiny_backbones: dict[str, Backbone]) -> None:
    space = load_space(spec, tiny_backbones["bert"].table)
    assert space.known_metrics == ("trainable_parameters",)
