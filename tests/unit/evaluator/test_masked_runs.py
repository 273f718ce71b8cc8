"""Runs of methods whose masks change: rungs, memory, learning."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from runs import assert_same, evaluate, known

OPTIONS = {"sft": {"interval": 4, "accumulation": 2}}
METHODS = ("sft", "lt-sft", "id3", "sara", "s2ft")


def plan(plan_of, method: str, **fields):
    size = {"size": [12] if method == "s2ft" else [30]}
    return plan_of(method, options=OPTIONS.get(method, {}), **size, **fields)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_a_resumed_rung_is_the_unbroken_run_bit_for_bit(plan_of, request_of, tmp_path: Path, family, method):
    """The rungs end within SFT's sums, within LT-SFT's full run and after it."""
    request = request_of(plan(plan_of, method, family=family), family=family, full_steps=20, stop_step=14)
    whole = evaluate(request.model_copy(update={"checkpoint_to": str(tmp_path / "whole")}))
    before: str | None = None
    for stop in (3, 9, 14):
        here = str(tmp_path / str(stop))
        update = {"stop_step": stop, "checkpoint_to": here, "resume_from": before}
        last = evaluate(request.model_copy(update=update))
        before = here
    one, other = (torch.load(tmp_path / name / "checkpoint.pt", weights_only=True) for name in ("whole", "14"))
    for key in ("state", "optimiser", "random"):
        assert_same(one[key], other[key])
    assert known(last) == known(whole)


@pytest.mark.parametrize("method", METHODS)
def test_a_masked_delta_learns_more_than_the_head_alone(plan_of, request_of, method):
    size = [16] if method == "s2ft" else [300]
    fields = {"training": {"head_learning_rate": 0.01}, "full_steps": 100}
    alone = evaluate(request_of(plan_of(), **fields))
    masked = evaluate(request_of(plan_of(method, size=size, learning_rate=0.01), **fields))
    assert masked.metrics["loss"] < 0.98 * alone.metrics["loss"]


def test_what_a_schedule_keeps_counts_as_memory(plan_of, request_of):
    chosen = plan(plan_of, "id3")
    requests = {name: request_of(plan(plan_of, name), full_steps=2) for name in ("sft", "lt-sft", "id3")}
    memory = {name: evaluate(request).metrics for name, request in requests.items()}
    entries = 3 * (4 * 32 * 32 + 2 * 32 * 64)
    assert memory["sft"]["training_memory"] - memory["id3"]["training_memory"] == 12 * chosen.trainable_parameters
    assert memory["lt-sft"]["training_memory"] - memory["id3"]["training_memory"] == 16 * entries
    # Values and positions, each of four bytes; names come on top.
    assert 8 * chosen.trainable_parameters < memory["id3"]["adapter_bytes"] < 8 * chosen.trainable_parameters + 10_000
