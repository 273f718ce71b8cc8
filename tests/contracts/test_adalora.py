"""AdaLoRA against its definition: the update, the penalty, which ranks are taken, and what is kept of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from runs import evaluate, known
from safetensors.torch import load_file
from tiny_batches import classifier, labelled, logits
from torch import Tensor
from tuned_site import Kept, assert_same, families, tuned_sites

from evaluator.attach import attached
from evaluator.backbone import Backbone
from evaluator.methods import Schedule
from space.configuration import Component, Configuration
from space.errors import FieldError
from space.methods import METHODS
from space.resolve import resolve

RANK = 4


def adalora(w: Tensor, kept: Kept, scaling: float) -> Tensor:
    """peft adds 1e-5 to the rank that it divides by."""
    update = kept["lora_B"] @ torch.diag(kept["lora_E"].flatten()) @ kept["lora_A"]
    return w + scaling * RANK / (RANK + 1e-5) * update


@pytest.mark.parametrize("family", families("adalora", {}))
def test_the_update_is_the_papers(tiny_backbones: dict[str, Backbone], family: str) -> None:
    with tuned_sites(tiny_backbones[family], "adalora", RANK, {"scaling": 3.0}) as sites:
        for site in sites:
            weight = adalora(site.weight, site.kept, 3.0)
            assert_same(site, torch.nn.functional.linear(site.x, weight, site.bias))


def test_the_penalty_is_the_mean_distance_from_orthonormal(tiny_backbones: dict[str, Backbone]) -> None:
    """As peft's own forward pass has it, and as the exported script writes it."""
    backbone = tiny_backbones["bert"]
    options = {"orthogonality": 0.3}
    plan = resolve(
        Configuration(components=(Component(method="adalora", size=(RANK,), options=options),)), backbone.table
    )
    with attached(backbone, plan, seed=0) as attachment:
        trained = {name: each for name, each in attachment.model.named_parameters() if each.requires_grad}
        gram = [p @ p.T for name, p in trained.items() if "lora_A" in name]
        gram += [p.T @ p for name, p in trained.items() if "lora_B" in name]
        expected = 0.3 * sum((each - torch.eye(RANK)).square().sum().sqrt() for each in gram) / len(gram)
        penalty = attachment.penalty()
        assert penalty is not None
        torch.testing.assert_close(penalty, expected)
        inputs = labelled(attachment.model.eval())
        added = attachment.tuner(**inputs).loss - attachment.model(**inputs).loss
        torch.testing.assert_close(added, expected, rtol=1e-4, atol=1e-4)
        scope = {"model": attachment.tuner, "trained": trained, "torch": torch}
        torch.testing.assert_close(eval(METHODS["adalora"].peft_loss, scope), expected)


def test_the_least_important_ranks_of_all_matrices_are_taken(tiny_backbones: dict[str, Backbone]) -> None:
    """Importance of rank i: s(e_i) + mean s(A_i) + mean s(B_i), s the average of |p·g| times that of its deviation."""
    backbone = tiny_backbones["bert"]
    options = {"keep": 0.5, "interval": 2, "warmup": 0.2, "until": 0.8, "sensitivity_memory": 0.7}
    plan = resolve(
        Configuration(components=(Component(method="adalora", size=(RANK,), options=options),)), backbone.table
    )
    steps, start, end = 10, 2, 8
    with attached(backbone, plan, seed=0) as attachment:
        optimiser = torch.optim.AdamW(attachment.parameters, lr=2e-2)
        schedule = Schedule(attachment.model, optimiser, steps, tuner=attachment.schedule)
        names = [name for name, each in attachment.model.named_parameters() if each.requires_grad and "lora_" in name]
        named = dict(attachment.model.named_parameters())
        average = {name: torch.zeros_like(named[name]) for name in names}
        deviation = {name: torch.zeros_like(named[name]) for name in names}
        values = [name for name in names if "lora_E" in name]
        inputs = labelled(attachment.model)
        for step in range(steps):
            attachment.model(**inputs).loss.backward()
            optimiser.step()
            with torch.no_grad():
                for name in names if step + 1 < end else ():
                    found = (named[name] * named[name].grad).abs()
                    average[name] = 0.7 * average[name] + 0.3 * found
                    deviation[name] = 0.85 * deviation[name] + 0.15 * (found - average[name]).abs()
            schedule.after_step(step)
            optimiser.zero_grad()
            score = {name: average[name] * deviation[name] for name in names}
            ranks = torch.cat(
                [
                    score[name].flatten()
                    + score[name.replace("lora_E", "lora_A")].mean(dim=1)
                    + score[name.replace("lora_E", "lora_B")].mean(dim=0)
                    for name in values
                ]
            )
            left = torch.cat([named[name].flatten() != 0 for name in values])
            share = 1 - (step + 1 - start) / (end - start)
            if start < step + 1 <= end and step % 2:
                budget = int(len(ranks) / 2 * (1 + share**3))
                assert torch.equal(left, ranks > ranks.sort().values[len(ranks) - budget - 1])
            if step + 1 > end:
                assert int(left.sum()) == len(ranks) // 2


def test_one_rank_cannot_be_taken(tiny_backbones: dict[str, Backbone]) -> None:
    with pytest.raises(FieldError, match="of one rank none can be taken; choose rank 2 or more"):
        resolve(Configuration(components=(Component(method="adalora", size=(1,)),)), tiny_backbones["bert"].table)


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_rungs_go_on_bit_for_bit_and_what_is_left_is_what_is_kept(
    plan_of, request_of, tiny_backbones: dict[str, Backbone], tmp_path: Path, family: str
) -> None:
    """Rungs end before ranks are taken, while they are, and after it; then the run's end."""
    backbone = tiny_backbones[family]
    plan = plan_of("adalora", family=family, size=(RANK,), options={"keep": 0.5, "interval": 2}, learning_rate=1e-2)
    request = request_of(plan, family=family, full_steps=20, stop_step=20, training={"head_learning_rate": 1e-2})
    folders = {"checkpoint_to": str(tmp_path / "whole"), "adapter_to": str(tmp_path / "adapter")}
    whole = evaluate(request.model_copy(update=folders))
    before: str | None = None
    for stop in (1, 7, 12, 15, 20):
        here = tmp_path / str(stop)
        update = {
            "stop_step": stop,
            "checkpoint_to": str(here),
            "resume_from": before,
            "adapter_to": str(here / "adapter"),
        }
        last = evaluate(request.model_copy(update=update))
        before = str(here)
        with attached(backbone, plan, seed=1) as attachment:
            attachment.load_state(torch.load(here / "checkpoint.pt", weights_only=True)["state"])
            trained = logits(attachment.model)
        loaded = PeftModel.from_pretrained(classifier(backbone), str(here / "adapter"))
        torch.testing.assert_close(logits(loaded), trained, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(logits(loaded.merge_and_unload()), trained, rtol=1e-4, atol=1e-4)
        config = json.loads((here / "adapter" / "adapter_config.json").read_text())
        assert (config["total_step"], config["tinit"], config["tfinal"]) == (20, 2, 8)
        left = sum(map(sum, config["rank_pattern"].values())) if stop >= 12 else RANK * len(plan.entries)
        assert left == (RANK // 2 if stop >= 12 else RANK) * len(plan.entries)
        tensors = load_file(here / "adapter" / "adapter_model.safetensors")
        assert sum(each.numel() for name, each in tensors.items() if "lora_E" in name) == left
    one, other = (torch.load(tmp_path / name / "checkpoint.pt", weights_only=True) for name in ("whole", "20"))
    assert one["state"].keys() == other["state"].keys()
    assert all(torch.equal(tensor, other["state"][name]) for name, tensor in one["state"].items())
    assert known(last) == known(whole)
    # Half of the ranks are stored; names and the pattern come on top.
    assert whole.metrics["adapter_bytes"] < 4 * plan.trainable_parameters / 2 + 10_000


def test_a_matrix_may_lose_all_its_ranks(tiny_backbones: dict[str, Backbone], tmp_path: Path) -> None:
    backbone = tiny_backbones["bert"]
    plan = resolve(Configuration(components=(Component(method="adalora", size=(RANK,)),)), backbone.table)
    with attached(backbone, plan, seed=0) as attachment:
        state = attachment.state()
        first, *others = (name for name in state if name.endswith(".left"))
        state[first][:] = False
        for name in others:
            state[name.removesuffix(".left")] += 1.0
        attachment.load_state(state)
        attachment.save(tmp_path)
        trained = logits(attachment.model)
    assert load_file(tmp_path / "adapter_model.safetensors")[_kept(first)].shape == (0, 1)
    loaded = PeftModel.from_pretrained(classifier(backbone), str(tmp_path))
    torch.testing.assert_close(logits(loaded), trained, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(logits(loaded.merge_and_unload()), trained, rtol=1e-4, atol=1e-4)


def _kept(name: str) -> str:
    """What peft's file calls the singular values that the state has a mask of."""
    return f"base_model.model.{name.removesuffix('.default.left')}"


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_short_runs_end_well(plan_of, request_of, steps: int) -> None:
    assert evaluate(request_of(plan_of("adalora", size=(RANK,)), full_steps=steps)).step == steps
