"""The bytes of a plan's adapter on disk, known before anything is trained.

A safetensors file is eight bytes, a header in JSON that names each tensor with its type, shape and place, and the
numbers (https://github.com/huggingface/safetensors#format). All follow from the plan where nothing changes the tensors
that its methods leave (`Method.tensors`): no quantisation, no treatment, no ranks that move while it trains.
"""

from __future__ import annotations

import math

from space.choices import Choices
from space.methods import METHODS
from space.methods.bits import BITS, quantised
from space.native import native
from space.plan import Plan
from space.sites import SiteTable
from space.sparsity import find_allocator

FLOAT_BYTES = 4
"""What is trained is held and saved in float32, whatever the base model's precision."""
LENGTH_BYTES = 8
ALIGNMENT = 8
"""The header is padded to a multiple of this."""


def stored_bytes(plan: Plan, table: SiteTable) -> int | None:
    """Size of the file of what the methods of `plan` train, head left out; None where the plan does not tell."""
    if plan.initialisation or plan.procedure or plan.compression or table.backbone_path is None:
        return None
    by_peft = native(plan) is not None
    shapes: dict[str, tuple[int, ...]] = {}
    for entry in plan.entries:
        site, tensors = table.find(entry.layer, entry.role), METHODS[entry.method].tensors
        if site is None or tensors is None or quantised(entry.options):
            return None
        shapes.update(tensors(site, table, entry.size, by_peft))
    if not shapes:
        return 0
    start = f"base_model.model.{table.backbone_path}."
    header, end = len("{}") + len(shapes) - 1, 0
    for name in sorted(shapes):
        begin, end = end, end + FLOAT_BYTES * math.prod(shapes[name])
        shape = ",".join(map(str, shapes[name]))
        header += len(f'"{start}{name}":{{"dtype":"F32","shape":[{shape}],"data_offsets":[{begin},{end}]}}')
    return LENGTH_BYTES + -(-header // ALIGNMENT) * ALIGNMENT + end


def tell_bytes(choices: Choices, table: SiteTable) -> bool:
    """Whether `stored_bytes` knows the size of every plan of a space."""
    members = (*choices.methods, *choices.union)
    added = [METHODS[name] for allocator in choices.allocators for name in find_allocator(allocator).adds]
    return (
        table.backbone_path is not None
        and not choices.treatments
        and all(method.tensors is not None for method in (*(each.method for each in members), *added))
        and not any(quantised({BITS.name: bits}) for each in members for bits in each.options.get(BITS.name, ()))
    )
