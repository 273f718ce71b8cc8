"""A setting for one test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from loop_setting import Setting


@pytest.fixture
def setting(tmp_path: Path, tiny_models: dict[str, Path], tiny_data: Path) -> Iterator[Setting]:
    made = Setting(tmp_path, tiny_models["bert"], tiny_data)
    yield made
    made.store.close()
