"""The model that benchmarks train."""

from __future__ import annotations

import sys
from pathlib import Path

from api.demo_data import minilm


def demo_model() -> Path:
    """Folder of MiniLM; where the demo extra is not installed, ends the program and says how to."""
    folder = minilm()
    if folder is None:
        sys.exit("install the demo extra: pip install -e '.[demo]'")
    return folder
