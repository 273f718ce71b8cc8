"""Runs of the evaluator that trains, and what two equal ones have in common."""

from __future__ import annotations

from typing import Any

import torch

from evaluator.evaluate import EvaluationRequest, Measurement
from evaluator.finetune import FineTuneEvaluator
from search.metrics import METRICS

OBSERVED = {name for name, metric in METRICS.items() if metric.observed}


def evaluate(request: EvaluationRequest, evaluator: FineTuneEvaluator | None = None) -> Measurement:
    return (evaluator or FineTuneEvaluator()).evaluate(request, lambda _: None, lambda: False)


def known(measurement: Measurement) -> dict[str, float]:
    """The metrics that are a function of the request."""
    return {name: value for name, value in measurement.metrics.items() if name not in OBSERVED}


def assert_same(one: Any, other: Any) -> None:
    """Equal bit for bit, whatever tensors, dicts and lists lie in it."""
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for left, right in zip(one, other, strict=True):
            assert_same(left, right)
    else:
        assert one == other
