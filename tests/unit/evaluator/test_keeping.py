"""Compressed changes: ComPEFT against its definition, its code, and what is kept of a run."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import PeftModel
from transformers import AutoModelForSequenceClassification

from evaluator.attach import attached
from evaluator.backbone import Backbone
from evaluator.checkpoint import load_checkpoint
from evaluator.compressions import COMPRESSIONS as HALVES
from evaluator.compressions.compeft import decode, encode
from evaluator.compressions.golomb import decode_positions, encode_positions, exponent
from evaluator.finetune import FineTuneEvaluator
from evaluator.keeping import FILE, load_compressed
from space.compressions import COMPRESSIONS
from space.configuration import Applied, Component, Configuration
from space.resolve import resolve

OPTIONS = {"density": 0.1, "scale": 2.0}


def test_both_halves_know_the_same_compressions() -> None:
    assert HALVES.keys() == COMPRESSIONS.keys()


@settings(max_examples=50)
@given(positions=st.sets(st.integers(0, 5000)), b=st.integers(0, 9))
def test_positions_are_read_back(positions: set[int], b: int) -> None:
    given_positions = np.array(sorted(positions), dtype=np.int64)
    bits = encode_positions(given_positions, b)
    trailing = np.concatenate([bits, np.zeros(5, dtype=np.uint8)])
    found, used = decode_positions(trailing, len(given_positions), b)
    assert np.array_equal(found, given_positions)
    assert used == len(bits)


@pytest.mark.parametrize("density", [0.005, 0.02, 0.1, 0.2, 0.5, 1.0])
def test_the_code_is_near_the_entropy(density: float) -> None:
    rng = np.random.default_rng(0)
    numbers = 200_000
    positions = np.flatnonzero(rng.random(numbers) < density).astype(np.int64)
    bits = len(encode_positions(positions, exponent(density)))
    entropy = -sum(share * math.log2(share) for share in (density, 1 - density) if share) * numbers
    assert bits <= max(1.08 * entropy, 1.02 * len(positions))
    if density < 1:
        assert all(len(encode_positions(positions, b)) >= 0.99 * bits for b in range(12))


def test_compeft_is_its_definition() -> None:
    change = torch.randn(5000, generator=torch.Generator().manual_seed(0))
    kept = torch.zeros(5000)
    largest = change.abs().topk(500).indices
    kept[largest] = 2.0 * change.std() * change[largest].sign()
    torch.testing.assert_close(torch.from_numpy(decode(encode(change.numpy(), OPTIONS))), kept)


@settings(max_examples=30)
@given(
    numbers=st.lists(st.floats(-10, 10, width=32), min_size=1, max_size=60),
    density=st.floats(0.001, 1.0),
)
def test_any_change_has_a_code(numbers: list[float], density: float) -> None:
    change = np.array(numbers, dtype=np.float32)
    found = decode(encode(change, {"density": density, "scale": 1.0}))
    assert found.shape == change.shape
    assert np.isfinite(found).all()
    assert np.count_nonzero(found) <= max(1, round(density * len(change)))
    assert (found * change >= 0).all()


@pytest.mark.parametrize("family", ["bert", "llama", "gpt2"])
@pytest.mark.parametrize("methods", [("lora",), ("dora",), ("vera",), ("serial-adapter", "prefix-tuning")])
def test_what_is_saved_is_what_the_code_stands_for(
    tiny_backbones: dict[str, Backbone], family: str, methods: tuple[str, ...], tmp_path: Path
) -> None:
    """For peft in its own file, and again from the code alone."""
    backbone = tiny_backbones[family]
    components = tuple(Component(method=method) for method in methods)
    plan = resolve(
        Configuration(components=components, compression={"name": "compeft", "options": OPTIONS}), backbone.table
    )
    with attached(backbone, plan, seed=4) as attachment:
        start = torch.cat([each.detach().flatten() for each in attachment.parameters])
        with torch.no_grad():
            for parameter in attachment.parameters:
                parameter += 0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3))
        before = [each.detach().clone() for each in attachment.parameters]
        attachment.save(tmp_path)
        assert all(torch.equal(one, other) for one, other in zip(attachment.parameters, before, strict=True))
        assert attachment.keeper is not None
        size = attachment.adapter_bytes()
        attachment.keeper.keep()
        assert attachment.adapter_bytes() == size == (tmp_path / FILE).stat().st_size
        kept = [each.detach().clone() for each in attachment.parameters]
        change = torch.cat([each.flatten() for each in kept]) - start
    assert len(change[change.abs() > 1e-6]) == round(0.1 * plan.trainable_parameters)
    assert size < 4 * plan.trainable_parameters / 8

    def base() -> torch.nn.Module:
        return AutoModelForSequenceClassification.from_pretrained(
            backbone.spec.path, num_labels=3, pad_token_id=backbone.pad_token_id
        )

    def numbers(model: PeftModel) -> list[torch.Tensor]:
        head = set(backbone.table.head_modules)
        return [
            each.detach()
            for name, each in model.named_parameters()
            if each.requires_grad and not any(f".{module}." in name for module in head)
        ]

    for loaded in (
        PeftModel.from_pretrained(base(), str(tmp_path), is_trainable=True),
        load_compressed(base(), tmp_path),
    ):
        found = numbers(loaded)
        assert len(found) == len(kept)
        assert all(torch.equal(one, other) for one, other in zip(found, kept, strict=True))


def test_quality_is_measured_of_what_is_kept_and_training_goes_on_from_what_is_not(
    plan_of, request_of, tmp_path: Path
) -> None:
    plan = plan_of("lora", learning_rate=5e-3)
    plain = request_of(plan, test=True, checkpoint_to=str(tmp_path / "plain"))
    compressed = plain.model_copy(
        update={
            "plan": plan.model_copy(
                update={"compression": Applied(name="compeft", options={"density": 0.02, "scale": 1.0})}
            ),
            "checkpoint_to": str(tmp_path / "compressed"),
            "adapter_to": str(tmp_path / "adapter"),
        }
    )
    one, other = (
        FineTuneEvaluator().evaluate(request, lambda _: None, lambda: False) for request in (plain, compressed)
    )
    assert [point.loss for point in one.curve] == [point.loss for point in other.curve]
    assert one.metrics["loss"] != other.metrics["loss"]
    assert one.test_metrics != other.test_metrics
    assert other.curve[-1].validation.items() <= other.metrics.items()
    assert other.metrics["adapter_bytes"] == (tmp_path / "adapter" / FILE).stat().st_size
    assert other.metrics["adapter_bytes"] < one.metrics["adapter_bytes"] / 4
    states = []
    for folder in ("plain", "compressed"):
        run = torch.load(tmp_path / folder / "checkpoint.pt", weights_only=True)["run"]
        states.append(load_checkpoint(tmp_path / folder, run).state)
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
