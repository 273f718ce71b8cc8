"""Pools under contract. A new pool is one more line in `IMPLEMENTATIONS`."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pool_requests import OpenPool

from evaluator.pool.pool import Pool

HERE = Path(__file__).parents[1]
IMPLEMENTATIONS = ["evaluator.pool.local:LocalPool"]


@pytest.fixture(params=IMPLEMENTATIONS)
def implementation(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def open_pool(implementation: str, tmp_path: Path) -> Iterator[OpenPool]:
    """Opens pools of the light evaluator, with the implementation's options, and closes them."""
    module, _, name = implementation.partition(":")
    constructor = getattr(importlib.import_module(module), name)
    pools: list[Pool] = []

    def open_one(size: int = 1, **options: Any) -> Pool:
        options = {"evaluator": "light_evaluator:LightEvaluator", "environment": {"PYTHONPATH": str(HERE)}} | options
        pools.append(constructor(size, tmp_path / f"logs-{len(pools)}", **options))
        return pools[-1]

    yield open_one
    for pool in pools:
        pool.close()
