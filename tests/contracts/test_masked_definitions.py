"""Masked deltas against their definitions: the update, and what each schedule trains when, in dense tensor code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from evaluator.attach import attached
from evaluator.backbone import Backbone
from evaluator.methods import Schedule
from evaluator.methods.paretune.layer import ParetuneLayer
from space.configuration import Component, Configuration
from space.errors import FieldError
from space.plan import Plan
from space.resolve import resolve
from space.sites import Site

FAMILIES = ("bert", "llama", "gpt2")
MASKED = ("sft", "lt-sft", "id3", "sara")


def weight(module: nn.Module, site: Site) -> Tensor:
    value = module.get_parameter("weight").detach()
    return value.T if site.layout == "conv1d" else value


def linear(module: nn.Module, site: Site, x: Tensor) -> Tensor:
    bias = dict(module.named_parameters()).get("bias")
    return nn.functional.linear(x, weight(module, site), bias)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("method", MASKED)
@pytest.mark.parametrize("role", ["mlp.up", "mlp.down"])
def test_a_masked_delta_is_a_sparse_matrix_beside_the_weight(
    tiny_backbones: dict[str, Backbone], family: str, method: str, role: str
) -> None:
    backbone = tiny_backbones[family]
    component = Component(method=method, roles=(role,), size=(30,))
    plan = resolve(Configuration(components=(component,)), backbone.table)
    site = backbone.table.find(1, role)
    assert site is not None
    with attached(backbone, plan, seed=0) as attachment:
        module: Any = backbone.backbone.get_submodule(site.module)
        part = module.paretune_components["default"][method]
        values, positions = part.values, part.indices.tolist()
        assert part.indices.dtype == torch.int32
        assert len(set(positions)) == len(positions) == -(-site.in_size * site.out_size * 30 // 1000)
        with torch.no_grad():
            values += torch.randn(values.shape, generator=torch.Generator().manual_seed(0))
        dense = torch.zeros(site.out_size, site.in_size)
        for position, value in zip(positions, values.tolist(), strict=True):
            dense[position // site.in_size, position % site.in_size] = value
        x = torch.randn(2, 3, site.in_size, requires_grad=True)
        expected = linear(module.base_layer, site, x) + x @ dense.T
        torch.testing.assert_close(module(x), expected, rtol=1e-4, atol=1e-5)
        upstream = torch.randn_like(expected)
        wanted = torch.autograd.grad(expected, x, upstream)[0]
        got, to_values = torch.autograd.grad(module(x), (x, values), upstream)
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5)
        whole = torch.einsum("bto,bti->oi", upstream, x.detach()).flatten()
        torch.testing.assert_close(to_values, whole[positions], rtol=1e-4, atol=1e-5)
        assert len(attachment.parameters) == 3


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("role", ["attention.output", "mlp.down", "mlp.up"])
def test_s2ft_trains_dense_slices_of_whole_heads_and_channels(
    tiny_backbones: dict[str, Backbone], family: str, role: str
) -> None:
    backbone = tiny_backbones[family]
    component = Component(method="s2ft", roles=(role,), size=(17,))
    plan = resolve(Configuration(components=(component,)), backbone.table)
    site = backbone.table.find(1, role)
    assert site is not None
    with attached(backbone, plan, seed=0) as attachment:
        module: Any = backbone.backbone.get_submodule(site.module)
        part = module.paretune_components["default"]["s2ft"]
        channels = part.channels.tolist()
        if role == "attention.output":  # heads of 8 channels: two of them
            assert len(channels) == 16
            heads = [channel // 8 for channel in channels[::8]]
            assert channels == [8 * head + each for head in heads for each in range(8)]
        else:
            assert len(channels) == len(set(channels)) == 17
        with torch.no_grad():
            part.values += torch.randn(part.values.shape, generator=torch.Generator().manual_seed(0))
        x = torch.randn(2, 3, site.in_size)
        dense = torch.zeros(site.out_size, site.in_size)
        if role == "mlp.up":
            dense[channels] = part.values.detach()
        else:
            dense[:, channels] = part.values.detach()
        expected = linear(module.base_layer, site, x) + x @ dense.T
        torch.testing.assert_close(module(x), expected, rtol=1e-4, atol=1e-5)
        assert sum(each.numel() for each in attachment.parameters) == plan.trainable_parameters


@pytest.mark.parametrize("family", FAMILIES)
def test_s2ft_couples_the_matrices_of_a_layer_and_draws_each_layer_anew(
    tiny_backbones: dict[str, Backbone], family: str
) -> None:
    backbone = tiny_backbones[family]

    def drawn(seed: int) -> dict[tuple[int, str], list[int]]:
        component = Component(method="s2ft", roles=("mlp.up", "mlp.down"), size=(9,), options={"random_seed": seed})
        found = {}
        with attached(backbone, resolve(Configuration(components=(component,)), backbone.table), seed=seed):
            for layer in range(3):
                for role in ("mlp.up", "mlp.down"):
                    site = backbone.table.find(layer, role)
                    assert site is not None
                    module: Any = backbone.backbone.get_submodule(site.module)
                    found[layer, role] = module.paretune_components["default"]["s2ft"].channels.tolist()
        return found

    first = drawn(0)
    assert all(first[layer, "mlp.up"] == first[layer, "mlp.down"] for layer in range(3))
    assert len({tuple(channels) for channels in first.values()}) == 3
    assert drawn(1) != first


def test_s2ft_says_where_heads_cannot_be_told_apart(tiny_backbones: dict[str, Backbone]) -> None:
    def refused(family: str, role: str) -> str:
        component = Component(method="s2ft", roles=(role,))
        with pytest.raises(FieldError) as refusal:
            resolve(Configuration(components=(component,)), tiny_backbones[family].table)
        return refusal.value.message

    assert "several heads share its channels" in refused("llama", "attention.value")
    assert "several projections in one matrix; choose attention.output" in refused("gpt2", "attention.query_key_value")
    component = Component(method="s2ft", roles=("attention.value", "attention.output"), size=(8,))
    plan = resolve(Configuration(components=(component,)), tiny_backbones["bert"].table)
    assert plan.trainable_parameters == 3 * 2 * 8 * 32


def run(backbone: Backbone, plan: Plan, steps: int, full_steps: int, then: Callable[[Any], None]) -> None:
    with attached(backbone, plan, seed=0) as attachment:
        optimiser = torch.optim.AdamW([*attachment.parameters, *attachment.head], lr=0.01)
        schedule = Schedule(attachment.model, optimiser, full_steps)
        ids = torch.randint(5, 100, (4, 8), generator=torch.Generator().manual_seed(1))
        for step in range(steps):
            schedule.before_step(step)
            attachment.model(input_ids=ids, labels=torch.arange(4) % 3).loss.backward()
            optimiser.step()
            schedule.after_step(step)
            optimiser.zero_grad()
        then(attachment)


@pytest.mark.parametrize("method", MASKED)
def test_what_an_early_end_saves_is_what_it_measured(
    tiny_backbones: dict[str, Backbone], plan_of: Any, tmp_path: Any, method: str
) -> None:
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification

    backbone = tiny_backbones["bert"]
    measured: list[Tensor] = []
    ids = torch.tensor([[7, 8, 9, 10]])

    def save(attachment: Any) -> None:
        attachment.model.eval()
        with torch.no_grad():
            measured.append(attachment.model(input_ids=ids).logits)
        attachment.save(tmp_path)
        layers = [each for each in attachment.model.modules() if isinstance(each, ParetuneLayer)]
        assert all(layer.get_delta_weight("default").any() for layer in layers)

    run(backbone, plan_of(method, size=[20]), 3, 20, save)
    base = AutoModelForSequenceClassification.from_pretrained(backbone.spec.path, num_labels=3)
    loaded = PeftModel.from_pretrained(base, str(tmp_path)).eval()
    with torch.no_grad():
        assert torch.equal(loaded(input_ids=ids).logits, measured[0])
