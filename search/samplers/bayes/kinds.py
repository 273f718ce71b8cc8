"""The surrogate models that a job may choose from. Loads no tensor library.

To add one, write its module (a function `fit` like `gaussian_process.fit`), name it in `_MODULES` and in
`search.job.SamplerSpec`; the tests of the surrogate run on it.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING

from space.errors import FieldError

if TYPE_CHECKING:
    from search.samplers.bayes.fitting import Fit

_MODULES = {
    "gp": "search.samplers.bayes.gaussian_process",
    "map-saas": "search.samplers.bayes.map_saas",
    "saas": "search.samplers.bayes.saas",
}
KINDS = tuple(_MODULES)
DEFAULT = "gp"
"""By measurement: docs/decisions/0012-the-surrogate-by-measurement.md."""
_EXTRAS = {"saas": ("saas", ("jax", "numpyro"))}
"""Kinds that need packages which are not installed with Paretune: the extra's name, and what it brings."""

_QUICK = {"saas": "map-saas"}


def check_kind(name: str, field: str) -> None:
    """Raises FieldError, with this field, where there is no surrogate called `name`, or what it needs is not there."""
    if name not in _MODULES:
        raise FieldError(field, f"unknown surrogate {name!r}; known: {', '.join(KINDS)}")
    extra, needed = _EXTRAS.get(name, ("", ()))
    missing = [package for package in needed if importlib.util.find_spec(package) is None]
    if missing:
        raise FieldError(
            field,
            f"{name} needs {' and '.join(missing)}, which are not installed: run "
            f'pip install "paretune[{extra}]", or choose gp or map-saas',
        )


def quick(name: str) -> str:
    """The kind to answer with while somebody waits: the same prior, fitted in seconds."""
    return _QUICK.get(name, name)


def fit_of(name: str) -> Fit:
    """How models of the kind `name`, one that `check_kind` lets pass, are fitted."""
    fit: Fit = importlib.import_module(_MODULES[name]).fit
    return fit
