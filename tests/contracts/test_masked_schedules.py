"""Methods whose masks change while they train, against their definitions in dense steps."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from evaluator.attach import attached
from evaluator.backbone import Backbone
from evaluator.methods import Schedule, trained_methods
from evaluator.methods.component import Shape
from evaluator.methods.scheduled import Moment, Scheduled
from evaluator.methods.sparse_delta import SparseDelta
from space.methods import METHODS
from space.plan import Plan

TALL, WIDE = 6, 5

KEPT = 6
"""Entries of a TALL x WIDE matrix that DENSITY thousandths are."""

DENSITY = 200

BETAS, EPS, DECAY = (0.9, 0.999), 1e-8, 0.01


class Toy:
    """A component beside a frozen TALL x WIDE matrix, a quadratic loss, and AdamW at a rate that falls."""

    def __init__(self, method: str, full_steps: int, **options: float) -> None:
        generator = torch.Generator().manual_seed(1)
        self.weight = torch.randn(TALL, WIDE, generator=generator)
        self.target = torch.randn(TALL, WIDE, generator=generator)
        self.inputs = [torch.randn(4, WIDE, generator=generator) for _ in range(full_steps)]
        kind = trained_methods()[method].component
        assert kind is not None
        torch.manual_seed(0)
        defaults = {field.name: field.default for field in METHODS[method].fields}
        component = kind.create(Shape(WIDE, TALL, DENSITY, 0, self.weight), {**defaults, **options})
        assert isinstance(component, SparseDelta)
        self.component = component
        self.full_steps = full_steps
        self.optimiser = torch.optim.AdamW(component.parameters(), betas=BETAS, eps=EPS, weight_decay=DECAY)

    def rate(self, step: int) -> float:
        return 0.05 * (1 - step / self.full_steps)

    def gradient(self, step: int, delta: Tensor) -> Tensor:
        """Of the loss in the dense update, written out: the loss is the mean square of what is left of the target."""
        x = self.inputs[step]
        return 2 * (x @ (self.weight + delta - self.target).T).T @ x / (len(x) * TALL)

    def step(self, step: int) -> None:
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate(step)
        moment = Moment(step, self.full_steps, self.weight, self.optimiser)
        self.component.before_step(moment)
        x = self.inputs[step]
        output = x @ (self.weight - self.target).T + self.component(x)
        self.optimiser.zero_grad()
        output.square().mean().backward()
        self.optimiser.step()
        self.component.after_step(moment)

    def delta(self) -> Tensor:
        return self.component.delta_weight().detach()

    def mask(self) -> set[int]:
        return set(self.component.used().tolist())


class MaskedAdam:
    """AdamW on a dense matrix of which only masked entries move, one at a time."""

    def __init__(self, mask: set[int]) -> None:
        self.delta, self.mean, self.square = (torch.zeros(TALL * WIDE) for _ in range(3))
        self.mask = set(mask)

    def step(self, gradient: Tensor, rate: float, done: int) -> None:
        for at in self.mask:
            g = float(gradient.flatten()[at])
            self.mean[at] = BETAS[0] * self.mean[at] + (1 - BETAS[0]) * g
            self.square[at] = BETAS[1] * self.square[at] + (1 - BETAS[1]) * g * g
            self.delta[at] *= 1 - rate * DECAY
            scale = (self.square[at] / (1 - BETAS[1] ** done)).sqrt() + EPS
            self.delta[at] -= rate * self.mean[at] / (1 - BETAS[0] ** done) / scale

    def matrix(self) -> Tensor:
        return self.delta.view(TALL, WIDE)


def test_sft_drops_the_smallest_and_regrows_where_gradients_were_large() -> None:
    interval, accumulation, drop, steps = 4, 2, 0.8, 14
    toy = Toy("sft", steps, interval=interval, accumulation=accumulation, drop=drop)
    assert len(toy.component.values) == KEPT
    dense = MaskedAdam(toy.mask())
    masks = [dense.mask.copy()]
    sums: dict[int, list[float]] = {}
    for step in range(steps):
        gradient = toy.gradient(step, dense.matrix()).flatten()
        dense.step(gradient, toy.rate(step), step + 1)
        if step % interval == 0:
            sums = {at: [] for at in sorted(range(TALL * WIDE), key=lambda at: -abs(float(gradient[at])))[:KEPT]}
        if step % interval < accumulation:
            for at, seen in sums.items():
                seen.append(float(gradient[at]))
        if step % interval == accumulation - 1:
            done = step + 1
            count = KEPT if done == accumulation else int(KEPT * drop * (1 - done / steps))
            leaving = sorted(dense.mask, key=lambda at: abs(float(dense.delta[at])))[:count]
            able = [at for at in sums if at not in dense.mask - set(leaving)]
            coming = sorted(able, key=lambda at: -abs(sum(sums[at])))[:count]
            gone = [at for at in leaving if at not in coming]
            new = [at for at in coming if at not in dense.mask]
            for old, at in zip(gone, new, strict=False):
                dense.mask = dense.mask - {old} | {at}
                dense.delta[old] = 0
                dense.mean[at] = sum(sums[at]) / accumulation * (1 - BETAS[0] ** done)
                dense.square[at] = sum(g * g for g in sums[at]) / accumulation * (1 - BETAS[1] ** done)
        toy.step(step)
        assert toy.mask() == dense.mask, step
        torch.testing.assert_close(toy.delta(), dense.matrix(), rtol=1e-3, atol=1e-5)
        masks.append(dense.mask.copy())
    changes = [step for step in range(steps) if masks[step] != masks[step + 1]]
    assert changes[0] == 1
    assert len(changes) > 1
    assert {step % interval for step in changes} == {1}


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0])
def test_id3_unmasks_an_equal_part_each_step_and_never_masks_again(power: float) -> None:
    steps, epsilon = 9, 1e-2
    toy = Toy("id3", steps, power=power, epsilon=epsilon)
    dense = MaskedAdam(set())
    for step in range(steps):
        gradient = toy.gradient(step, dense.matrix()).flatten()
        score = gradient.abs() / (toy.weight.flatten().abs() + epsilon) ** power
        count = KEPT * (step + 1) // steps - len(dense.mask)
        able = sorted((at for at in range(TALL * WIDE) if at not in dense.mask), key=lambda at: -float(score[at]))
        dense.mask |= set(able[:count])
        dense.step(gradient, toy.rate(step), step + 1)
        toy.step(step)
        assert toy.mask() == dense.mask, step
        torch.testing.assert_close(toy.delta(), dense.matrix(), rtol=1e-3, atol=1e-5)
    assert len(dense.mask) == KEPT


def test_lt_sft_keeps_what_a_full_run_changed_most_and_trains_it_from_zero() -> None:
    steps, full = 10, 4
    toy = Toy("lt-sft", steps, full_share=0.4)
    whole = nn.Parameter(torch.zeros(TALL, WIDE))
    optimiser = torch.optim.AdamW([whole], betas=BETAS, eps=EPS, weight_decay=DECAY)
    for step in range(full):
        whole.grad = toy.gradient(step, whole.detach())
        optimiser.param_groups[0]["lr"] = toy.rate(step)
        optimiser.step()
        if step < full - 1:
            toy.step(step)
            torch.testing.assert_close(toy.delta(), whole.detach(), rtol=1e-4, atol=1e-6)
    most = sorted(range(TALL * WIDE), key=lambda at: -abs(float(whole.detach().flatten()[at])))[:KEPT]
    toy.step(full - 1)
    assert toy.mask() == set(most)
    assert not toy.delta().any()
    masked = nn.Parameter(torch.zeros(KEPT))
    optimiser = torch.optim.AdamW([masked], betas=BETAS, eps=EPS, weight_decay=DECAY)
    for step in range(full, steps):
        delta = torch.zeros(TALL * WIDE)
        delta[most] = masked.detach()
        masked.grad = toy.gradient(step, delta.view(TALL, WIDE)).flatten()[most]
        optimiser.param_groups[0]["lr"] = toy.rate(step)
        optimiser.step()
        toy.step(step)
    delta = torch.zeros(TALL * WIDE)
    delta[most] = masked.detach()
    torch.testing.assert_close(toy.delta(), delta.view(TALL, WIDE), rtol=1e-4, atol=1e-6)


def low_rank_push(matrix: Tensor) -> Tensor:
    """X·(XᵀX)^(-1/2), the inverse taken where XᵀX is not zero: the gradient of the sum of X's singular values."""
    squares, v = torch.linalg.eigh(matrix.T.double() @ matrix.double())
    inverse = torch.where(squares > 1e-9, squares.clamp_min(1e-9) ** -0.5, 0.0)
    return (matrix.double() @ v * inverse @ v.T).float()


def test_sara_trains_the_smallest_entries_and_freezes_midway_what_has_grown() -> None:
    steps, penalty = 12, 0.05
    toy = Toy("sara", steps, penalty=penalty, midway=0.5)
    flat = toy.weight.flatten()
    smallest = sorted(range(TALL * WIDE), key=lambda at: abs(float(flat[at])))[:KEPT]
    threshold = max(abs(float(flat[at])) for at in smallest)
    dense = MaskedAdam(set(smallest))
    for step in range(steps):
        trained = torch.zeros(TALL * WIDE)
        trained[smallest] = (flat + dense.delta)[smallest]
        push = penalty * low_rank_push(trained.view(TALL, WIDE))
        dense.step(toy.gradient(step, dense.matrix()) + push, toy.rate(step), step + 1)
        if step + 1 == steps // 2:
            dense.mask = {at for at in dense.mask if abs(float(flat[at] + dense.delta[at])) <= threshold}
        toy.step(step)
        assert toy.mask() == set(smallest)
        torch.testing.assert_close(toy.delta(), dense.matrix(), rtol=1e-3, atol=1e-5)
    assert 0 < len(dense.mask) < KEPT


def test_lt_sft_shows_outside_training_what_it_would_keep() -> None:
    toy = Toy("lt-sft", 10, full_share=0.5)
    for step in range(3):
        toy.step(step)
    whole = toy.delta()
    toy.component.eval()
    kept = toy.delta()
    assert int(kept.count_nonzero()) == KEPT
    assert torch.equal(kept[kept != 0], whole[kept != 0])
    assert float(whole[kept == 0].abs().max()) <= float(kept[kept != 0].abs().min())
    toy.component.train()
    assert torch.equal(toy.delta(), whole)


def test_a_schedule_is_told_for_components_that_have_one_and_both_halves_agree() -> None:
    kinds = {name: each.component for name, each in trained_methods().items() if each.component is not None}
    ours = {name for name, kind in kinds.items() if issubclass(kind, Scheduled)}
    pefts = {name for name, each in trained_methods().items() if each.schedule is not None}
    assert ours | pefts == {name for name, method in METHODS.items() if method.scheduled}
    assert pefts == {name for name, method in METHODS.items() if method.peft_steps is not None}


def test_an_optimiser_that_lacks_the_component_is_named(tiny_backbones: dict[str, Backbone], plan_of: Any) -> None:
    plan: Plan = plan_of("lt-sft")
    with attached(tiny_backbones["bert"], plan, seed=0) as attachment:
        optimiser = torch.optim.AdamW(attachment.head)
        schedule = Schedule(attachment.model, optimiser, 4)
        schedule.before_step(0)
        ids = torch.tensor([[7, 8, 9]])
        attachment.model(input_ids=ids, labels=torch.tensor([1])).loss.backward()
        with pytest.raises(ValueError, match="give it every parameter"):
            schedule.after_step(0)
