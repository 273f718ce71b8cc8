"""A recipe as a file to hand out."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class RecipeFile:
    name: str
    """ASCII, no path separators."""
    media_type: str
    content: bytes


def file_stem(job_name: str, trial: int) -> str:
    """Start of a file name: letters, digits and dashes of the job's name, and the trial."""
    slug = re.sub(r"[^a-z0-9]+", "-", job_name.lower()).strip("-")[:60] or "job"
    return f"{slug}-trial-{trial}"
