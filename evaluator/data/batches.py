"""Batches: which rows each training step sees, and rows as padded tensors.

Rows of like length share a batch, so that little of a batch is padding. The order of the whole full-fidelity run is a
function of its seed and length alone; a rung is a prefix of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch

from evaluator.data.tokenise import Tokens

WINDOW = 25
"""Batches among which rows are sorted by length: wide enough to save most padding."""
WINDOWS_PER_EPOCH = 4
"""At least so many windows in an epoch of a small data set: else every epoch would cut the same rows into one batch."""

Indices = npt.NDArray[np.int64]


def training_batches(
    lengths: npt.NDArray[np.int64], batch_size: int, full_steps: int, seed: int, start: int = 0
) -> Iterator[Indices]:
    """Row indices of steps `start` to `full_steps` - 1, each of shape (batch_size,).

    Epochs follow each other without a gap, each a permutation of all rows, so every batch is full. `lengths`: tokens of
    each training row.
    """
    rows = len(lengths)
    size = max(1, min(WINDOW, rows // batch_size // WINDOWS_PER_EPOCH))
    for window in range(start // size, -(-full_steps // size)):
        first = window * size
        steps = min(size, full_steps - first)
        members = _stream(rows, first * batch_size, steps * batch_size, seed)
        by_length = members[np.argsort(lengths[members], kind="stable")]
        batches = by_length.reshape(steps, batch_size)
        order = np.random.default_rng([seed, 1, window]).permutation(steps)
        yield from batches[order[max(0, start - first) :]]


def _stream(rows: int, begin: int, count: int, seed: int) -> Indices:
    """`count` row indices from position `begin` of the endless sequence of shuffled epochs."""
    first, last = begin // rows, (begin + count - 1) // rows
    epochs = [np.random.default_rng([seed, 0, epoch]).permutation(rows) for epoch in range(first, last + 1)]
    return np.concatenate(epochs)[begin - first * rows :][:count]


def evaluation_batches(lengths: npt.NDArray[np.int64], batch_size: int) -> list[Indices]:
    """Every row once, longest first: the batch that needs most memory comes first, and padding is least."""
    order = np.argsort(-lengths, kind="stable")
    return [order[begin : begin + batch_size] for begin in range(0, len(order), batch_size)]


def collate(
    tokens: Tokens, rows: Sequence[int] | Indices, pad_id: int, device: torch.device
) -> dict[str, torch.Tensor]:
    """Model inputs of shape (rows, longest of the rows), padded on the right."""
    lengths = tokens.lengths[rows]
    shape = (len(lengths), int(lengths.max()))
    held = np.arange(shape[1]) < lengths[:, None]
    where = np.concatenate([np.arange(tokens.starts[row], tokens.starts[row + 1]) for row in rows])
    ids = np.full(shape, pad_id, dtype=np.int64)
    ids[held] = tokens.ids[where]
    inputs = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(held.astype(np.int64))}
    if tokens.types is not None:
        types = np.zeros(shape, dtype=np.int64)
        types[held] = tokens.types[where]
        inputs["token_type_ids"] = torch.from_numpy(types)
    return {name: tensor.to(device, non_blocking=True) for name, tensor in inputs.items()}
