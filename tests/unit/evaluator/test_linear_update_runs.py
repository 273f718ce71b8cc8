"""Runs of updates of frozen matrices, and of norms, rung by rung."""

from __future__ import annotations

from pathlib import Path

import pytest
from runs import evaluate, known

METHODS = ("dsee", "ln-tuning", "loca", "loldu", "lora-sb", "poly", "snell", "soka", "ssf", "svfit")


@pytest.mark.parametrize("method", METHODS)
def test_a_resumed_rung_is_the_unbroken_run_bit_for_bit(plan_of, request_of, tmp_path: Path, method):
    request = request_of(plan_of(method), full_steps=6, stop_step=5)
    whole = evaluate(request)
    evaluate(request.model_copy(update={"stop_step": 2, "checkpoint_to": str(tmp_path)}))
    last = evaluate(request.model_copy(update={"resume_from": str(tmp_path)}))
    assert known(last) == known(whole)
    assert [point.validation for point in last.curve][-1] == [point.validation for point in whole.curve][-1]
