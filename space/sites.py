"""Sites: the places of a base model that a method may be attached to.

A site is named by role and layer, never by one model family's attribute name. The evaluator inspects a backbone once,
on the meta device, and gives the `SiteTable`; everything in this room works from that table alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Literal

from pydantic import Field

from space.frozen import Frozen

SiteKind = Literal["linear", "norm", "sublayer", "layer", "model"]

ATTENTION_ROLES = ("attention.query", "attention.key", "attention.value", "attention.output")
MLP_ROLES = ("mlp.gate", "mlp.up", "mlp.down")
FUSED_ROLES = {
    "attention.query": "attention.query_key_value",
    "attention.key": "attention.query_key_value",
    "attention.value": "attention.query_key_value",
    "mlp.gate": "mlp.gate_up",
    "mlp.up": "mlp.gate_up",
}
"""Where a model holds several projections in one matrix: the role asked for, and the one that stands for it."""

LINEAR_ROLES = (*ATTENTION_ROLES, *MLP_ROLES, "attention.query_key_value", "mlp.gate_up")
NORM_ROLES = (
    "norm.attention",
    "norm.mlp",
    "norm.attention.output",
    "norm.mlp.output",
    "norm.query",
    "norm.key",
)
"""A sublayer's norm: before it or, where residual sums are normalised, behind its sum; a second one between sublayer
and sum; and those of every head's queries and keys."""
LAYER_ROLE = "layer"
ROLE_GROUPS: dict[str, tuple[str, ...]] = {
    "all-linear": LINEAR_ROLES,
    "attention-linear": (*ATTENTION_ROLES, "attention.query_key_value"),
    "mlp-linear": (*MLP_ROLES, "mlp.gate_up"),
    "all-norms": NORM_ROLES,
}
"""Names that stand for whichever of several roles a model has, so a configuration carries over between families."""


class Site(Frozen):
    """One place of one model.

    `kind` "linear": a weight matrix of `out_size` x `in_size`. `kind` "norm": a layer or RMS norm, `in_size` and
    `out_size` its width. `kind` "sublayer": attention or MLP as a whole, from
    `input_module`, where its input enters, to `module`, where its output leaves before the residual sum. `kind`
    "layer": a whole layer, residual sums included. `kind` "model": the whole backbone (`layer` is -1), for full
    fine-tuning.
    """

    layer: int = Field(ge=-1)
    role: str
    kind: SiteKind
    in_size: int = Field(ge=0)
    out_size: int = Field(ge=0)
    module: str
    """Dotted path of the module in the backbone: the evaluator's address, opaque here."""
    input_module: str = ""
    layout: Literal["linear", "conv1d"] = "linear"
    """`conv1d`: the weight is stored transposed (GPT-2)."""
    bias: bool = False
    """A linear site's matrix has a bias; a norm's weight has a shift beside it."""

    @property
    def name(self) -> str:
        return f"{self.layer}.{self.role}" if self.layer >= 0 else self.role


class SiteTable(Frozen):
    """Every site of one backbone, with the sizes that parameter formulas need."""

    model_type: str
    form: Literal["encoder", "decoder"]
    inputs: Literal["text", "image"] = "text"
    """What the model reads; an image is a class token and patches, in a fixed number."""
    hidden_size: int = Field(gt=0)
    depth: int = Field(gt=0)
    heads: int = Field(gt=0)
    key_value_size: int = Field(gt=0)
    """Width of one layer's keys (and of its values): key-value heads x head size."""
    max_positions: int = Field(gt=0)
    parameters: int = Field(gt=0)
    """Parameters of the backbone without task head: what full fine-tuning trains."""
    takes_prefix: bool = True
    """Attention goes through transformers' attention interface, where prefix tuning adds keys and values."""
    backbone_path: str | None = None
    """Path of the backbone in the whole classifier, with which its tensors' names in files begin. None: not said, as in
    tables of earlier versions."""
    head_modules: tuple[str, ...] = ()
    """Modules of the whole classifier (paths from its top, not from the backbone) that are the task head."""
    sites: tuple[Site, ...]

    @cached_property
    def _by_place(self) -> dict[tuple[int, str], Site]:
        return {(site.layer, site.role): site for site in self.sites}

    def find(self, layer: int, role: str) -> Site | None:
        return self._by_place.get((layer, role))

    def roles(self) -> tuple[str, ...]:
        """Roles that this model has, each once, in the table's order."""
        return tuple(dict.fromkeys(site.role for site in self.sites))

    def at(self, layers: Iterable[int], roles: Iterable[str]) -> list[Site]:
        """Sites of the given layers and roles that exist, in layer order."""
        wanted = list(dict.fromkeys(roles))
        found = (self.find(layer, role) for layer in layers for role in wanted)
        return [site for site in found if site is not None]
