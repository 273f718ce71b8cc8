"""The problems by name. A module is imported when its problem is made: some load a tensor library."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.search.problems.problem import Problem

BOXES = ("branin-currin", "zdt2", "c2dtlz2", "vehicle-safety", "zdt1", "zdt3", "dtlz2", "penicillin")
"""The comparison has the first four; the others are further ones, run by those who name them."""
TABLES = ("glosses", "news")
CONDITIONAL = "conditional"
NAMES = (*TABLES, CONDITIONAL, *BOXES)


def make_problem(name: str) -> Problem:
    """The problem called `name`.

    Raises:
        FieldError: its table is not there.
    """
    if name in BOXES:
        from benchmarks.search.problems.box import Box

        return Box(name)
    if name == CONDITIONAL:
        from benchmarks.search.problems.conditional import Conditional

        return Conditional()
    from benchmarks.search.problems.recorded import Recorded

    return Recorded(name)
