"""AdaMSS against its definition: groups, update, what is frozen; and against peft's tuner where both do the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from peft import AdamssConfig, PeftModel, get_peft_model
from runs import evaluate, known
from tiny_batches import classifier, labelled, logits
from torch import Tensor, nn
from torch.nn import functional

from evaluator.attach import Attachment, attached
from evaluator.backbone import Backbone
from evaluator.methods import Schedule
from evaluator.methods.adamss import Subspaces, k_means
from space.configuration import Component, Configuration
from space.errors import FieldError
from space.methods import METHODS
from space.plan import Plan
from space.resolve import resolve

OPTIONS = {"subspaces": 4, "directions": 12}
DEFAULTS = {field.name: field.default for field in METHODS["adamss"].fields}


def adamss(w: Tensor, right: Tensor, group: list[int], a: Tensor, b: Tensor) -> Tensor:
    """Row j of the update is B_j·A_k·V with k its group."""
    return w + torch.stack([b[output] @ a[each] @ right for output, each in enumerate(group)])


def plan_on(backbone: Backbone, rank: int, **options: float) -> Plan:
    component = Component(method="adamss", roles=("mlp.up", "mlp.down"), size=(rank,), options=OPTIONS | options)
    return resolve(Configuration(components=(component,)), backbone.table)


def subspaces(attachment: Attachment) -> list[Subspaces]:
    return [each for each in attachment.model.modules() if isinstance(each, Subspaces)]


@pytest.mark.parametrize("family", ["bert", "llama", "gpt2"])
def test_the_update_is_its_definition(tiny_backbones: dict[str, Backbone], family: str) -> None:
    backbone = tiny_backbones[family]
    generator = torch.Generator().manual_seed(0)
    with attached(backbone, plan_on(backbone, 2), seed=0):
        for role in ("mlp.up", "mlp.down"):
            site = backbone.table.find(1, role)
            assert site is not None
            module = backbone.backbone.get_submodule(site.module)
            (found,) = (each for each in module.modules() if isinstance(each, Subspaces))
            base = module.get_base_layer()
            weight = base.weight.T if site.layout == "conv1d" else base.weight
            u, _, vh = torch.linalg.svd(weight)
            torch.testing.assert_close(found.right, vh[:12])
            for each in range(4):
                # A_k starts as the directions in which the group's rows are largest, some of them a matter of choice.
                members = u[found.group == each, :12]
                largest = torch.linalg.svdvals(members)[:2].square().sum()
                torch.testing.assert_close((members @ found.a[each].T).square().sum(), largest)
                torch.testing.assert_close(found.a[each] @ found.a[each].T, torch.eye(2))
            with torch.no_grad():
                for parameter in (found.a, found.b):
                    parameter += torch.randn(parameter.shape, generator=generator)
            x = torch.randn(2, 5, site.in_size, generator=generator)
            expected = functional.linear(
                x, adamss(weight, found.right, found.group.tolist(), found.a, found.b), getattr(base, "bias", None)
            )
            torch.testing.assert_close(module(x), expected, rtol=1e-4, atol=1e-4)
            pull = torch.randn(expected.shape, generator=generator)
            one, other = (
                torch.autograd.grad((each * pull).sum(), [found.a, found.b]) for each in (module(x), expected)
            )
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)


def test_it_is_pefts_where_there_is_no_bias_and_no_small_group() -> None:
    torch.manual_seed(0)
    base = nn.Linear(24, 40, bias=False)
    ours = Subspaces(base.weight.detach(), 2, DEFAULTS | OPTIONS | {"subspaces": 3})
    options = {"r": 12, "num_subspaces": 3, "subspace_rank": 2, "target_modules": ["0"]}
    theirs = get_peft_model(nn.Sequential(base), AdamssConfig(**options)).base_model.model[0]
    groups = theirs.seg_result["default"]
    assert min(map(len, groups.values())) >= 2
    with torch.no_grad():
        ours.right.copy_(theirs.adamss_newB["default"])
        for each, members in groups.items():
            ours.group[members] = each
            theirs.adamss_B["default"][each].normal_()
            ours.a[each] = theirs.adamss_A["default"][each]
            ours.b[members] = theirs.adamss_B["default"][each]
    trained = sum(each.numel() for name, each in theirs.named_parameters() if "adamss" in name)
    assert ours.a.numel() + ours.b.numel() == trained
    torch.testing.assert_close(ours.delta_weight(), theirs.get_delta_weight("default"))


def test_groups_are_k_means_own() -> None:
    """Three heaps of rows are told apart; each row is nearest to the mean of its own group."""
    generator = torch.Generator().manual_seed(0)
    heaps = torch.arange(30) % 3
    rows = torch.eye(3)[heaps] + 0.05 * torch.randn(30, 3, generator=generator)
    torch.manual_seed(1)
    group = k_means(rows, 3)
    means = torch.stack([rows[group == each].mean(dim=0) for each in range(3)])
    assert torch.equal(group, torch.cdist(rows, means).argmin(dim=1))
    assert len({(int(heap), int(each)) for heap, each in zip(heaps, group, strict=True)}) == 3


def test_the_groups_come_with_the_adapter(tiny_backbones: dict[str, Backbone], tmp_path: Path) -> None:
    """On a rounded model, where they would be found otherwise."""
    backbone = tiny_backbones["bert"]
    with attached(backbone, plan_on(backbone, 2), seed=3) as attachment:
        saved = [each.group.clone() for each in subspaces(attachment)]
        attachment.save(tmp_path)
    model = classifier(backbone)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.01 * torch.randn_like(parameter)
    loaded = PeftModel.from_pretrained(model, str(tmp_path))
    found = [each.group for each in loaded.modules() if isinstance(each, Subspaces)]
    assert all(torch.equal(one, other) for one, other in zip(saved, found, strict=True))


def test_the_least_important_groups_of_all_matrices_are_frozen(tiny_backbones: dict[str, Backbone]) -> None:
    backbone = tiny_backbones["bert"]
    plan = plan_on(backbone, 2, keep=0.5, warmup=0.2, until=0.8, interval=2, sensitivity_memory=0.7)
    with attached(backbone, plan, seed=0) as attachment:
        found = subspaces(attachment)
        parameters = [parameter for each in found for parameter in (each.a, each.b)]
        optimiser = torch.optim.AdamW(parameters, lr=2e-2)
        schedule = Schedule(attachment.model, optimiser, 10)
        inputs = labelled(attachment.model)
        average = [torch.zeros_like(each) for each in parameters]
        deviation = [torch.zeros_like(each) for each in parameters]
        groups = len(found) * 4
        left = torch.ones(groups, dtype=torch.bool)
        for step in range(10):
            before = [each.detach().clone() for each in parameters]
            schedule.before_step(step)
            attachment.model(**inputs).loss.backward()
            optimiser.step()
            schedule.after_step(step)
            for index, parameter in enumerate(parameters):
                group = found[index // 2].group.long()
                trains = left.view(-1, 4)[index // 2]
                trains = trains if index % 2 == 0 else trains[group]
                # The first step moves B alone: A's gradient is a multiple of B.
                moved = (parameter != before[index]).flatten(1).any(dim=1)
                assert not moved[~trains].any()
                assert moved[trains].all() or step == 0
                seen = (parameter * parameter.grad).detach().abs()
                average[index] = 0.7 * average[index] + 0.3 * seen
                deviation[index] = 0.85 * deviation[index] + 0.15 * (seen - average[index]).abs()
            optimiser.zero_grad()
            if step + 1 == 2:
                # Importance counts from the end of the warm-up.
                average, deviation = ([torch.zeros_like(each) for each in parameters] for _ in range(2))
            if step + 1 in (4, 6, 8):
                scores = [one * other for one, other in zip(average, deviation, strict=True)]
                importance = [
                    float(a[each].mean() + b[layer.group == each].mean())
                    for layer, a, b in zip(found, scores[::2], scores[1::2], strict=True)
                    for each in range(4)
                ]
                budget = int(groups / 2 * (1 + (1 - (step + 1 - 2) / 6) ** 3))
                among = [each for each in range(groups) if left[each]]
                left[:] = False
                left[sorted(among, key=lambda each: -importance[each])[:budget]] = True
                average, deviation = ([torch.zeros_like(each) for each in parameters] for _ in range(2))
            assert torch.equal(~torch.cat([each.frozen for each in found]), left)
        assert int(left.sum()) == groups / 2


def test_more_ranks_than_directions_are_refused(tiny_backbones: dict[str, Backbone]) -> None:
    with pytest.raises(FieldError, match="rank 13 takes more than the 12 directions there are; choose a lower rank"):
        plan_on(tiny_backbones["bert"], 13)


@pytest.mark.parametrize(("family", "keep"), [("bert", 0.4), ("gpt2", 1.0)])
def test_rungs_go_on_bit_for_bit(
    plan_of, request_of, tiny_backbones: dict[str, Backbone], tmp_path: Path, family: str, keep: float
) -> None:
    """Rungs end before groups are frozen, while they are, and after it."""
    plan = plan_of("adamss", family=family, size=(2,), options=OPTIONS | {"keep": keep, "interval": 2})
    request = request_of(plan, family=family, full_steps=20, stop_step=14)
    folders = {"checkpoint_to": str(tmp_path / "whole"), "adapter_to": str(tmp_path / "adapter")}
    whole = evaluate(request.model_copy(update=folders))
    before: str | None = None
    for stop in (1, 5, 9, 12, 14):
        here = str(tmp_path / str(stop))
        last = evaluate(request.model_copy(update={"stop_step": stop, "checkpoint_to": here, "resume_from": before}))
        before = here
    one, other = (torch.load(tmp_path / name / "checkpoint.pt", weights_only=True) for name in ("whole", "14"))
    assert one["state"].keys() == other["state"].keys()
    assert all(torch.equal(tensor, other["state"][name]) for name, tensor in one["state"].items())
    assert known(last) == known(whole)
    frozen = [tensor for name, tensor in one["state"].items() if name.endswith(".frozen")]
    assert sum(int(each.sum()) for each in frozen) == (round(0.6 * 4 * len(plan.entries)) if keep < 1 else 0)
    with attached(tiny_backbones[family], plan, seed=1) as attachment:
        attachment.load_state(one["state"])
        trained = logits(attachment.model)
    loaded = PeftModel.from_pretrained(classifier(tiny_backbones[family]), str(tmp_path / "adapter"))
    assert torch.equal(logits(loaded), trained)


def test_averages_count_as_memory(plan_of, request_of) -> None:
    plans = {keep: plan_of("adamss", size=(2,), options=OPTIONS | {"keep": keep}) for keep in (0.5, 1.0)}
    memory = {keep: evaluate(request_of(plan, full_steps=2)).metrics["training_memory"] for keep, plan in plans.items()}
    assert memory[0.5] - memory[1.0] >= 3 * 4 * plans[0.5].trainable_parameters
