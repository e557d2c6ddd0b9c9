"""Tensors cut by rows over processes: who has which rows, what a checkpoint says of them, and the whole again.

Of n rows (the first axis) each of w processes has ceil(n / w) in turn, as FSDP2 cuts them; the last ones may have fewer
or none. A checkpoint's ``state.json`` says of every piece the whole's shape and where in it the piece begins, so any
number of processes can read it. A tensor without an axis is not cut: the first process has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from assets_data.lineage import IntegrityError

Place = Mapping[str, list[int]]
"""``{"shape": of the whole, "offset": of the piece's first element}``."""


def rows_of(rows: int, rank: int, size: int) -> range:
    """The rows that process ``rank`` of ``size`` has of ``rows``."""
    each = -(-rows // size)
    return range(min(rank * each, rows), min((rank + 1) * each, rows))


def piece(whole: Tensor, rank: int, size: int) -> Tensor:
    """A view of the rows of ``whole`` that process ``rank`` of ``size`` has."""
    own = rows_of(len(whole), rank, size)
    return whole[own.start : own.stop]


def place(shape: Sequence[int], rank: int, size: int) -> dict[str, list[int]]:
    """What a checkpoint says of the piece that process ``rank`` of ``size`` has of a tensor of this shape."""
    begin = rows_of(shape[0], rank, size).start if shape else 0
    return {"shape": list(shape), "offset": [begin, *[0] * (len(shape) - 1)] if shape else []}


def joined(pieces: Iterable[tuple[str, Tensor, Place]], where: Path) -> dict[str, Tensor]:
    """The whole tensors of named pieces. Raises IntegrityError CHECKPOINT_SHARDS unless they fill each exactly."""
    found: dict[str, list[tuple[Tensor, Place]]] = {}
    for name, tensor, at in pieces:
        found.setdefault(name, []).append((tensor, at))
    return {name: _whole(name, parts, where) for name, parts in found.items()}


def _whole(name: str, parts: list[tuple[Tensor, Place]], where: Path) -> Tensor:
    first, at = parts[0]
    shape = list(at["shape"])
    if len(parts) == 1 and list(first.shape) == shape:
        return first
    parts = sorted(parts, key=lambda part: part[1]["offset"][:1])
    filled = 0
    for tensor, at in parts:
        fits = list(at["shape"]) == shape and list(tensor.shape[1:]) == shape[1:] and tensor.dtype == first.dtype
        if not fits or list(at["offset"]) != [filled, *[0] * (len(shape) - 1)]:
            raise _misfit(name, where, f"a piece of {list(tensor.shape)} at {list(at['offset'])} of {at['shape']}")
        filled += len(tensor)
    if filled != shape[0]:
        raise _misfit(name, where, f"{filled} of {shape[0]} rows")
    return torch.cat([tensor for tensor, _ in parts])


def _misfit(name: str, where: Path, found: Any) -> IntegrityError:
    what = f"the pieces of {name} are not the whole of it"
    return IntegrityError("CHECKPOINT_SHARDS", what, where=where, found=found)
