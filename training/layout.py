"""How a tensor lies in memory, which decides bits: a transposed or unaligned matrix is multiplied in another order."""

from __future__ import annotations

import torch
from torch import Tensor


def cpu_copy(value: Tensor) -> Tensor:
    """A contiguous copy on the CPU."""
    return value.detach().to("cpu", copy=True).contiguous()


def layout(value: Tensor) -> list[int] | None:
    """A tensor's strides when they are not those of a fresh one, and every element has a place of its own.

    ``is_contiguous`` would not do: it looks past the strides of axes of length 1, and matrix products do not.
    """
    fresh, step = [], 1
    for size in reversed(value.shape):
        fresh.insert(0, step)
        step *= max(size, 1)
    spread = any(stride == 0 and size > 1 for size, stride in zip(value.shape, value.stride(), strict=True))
    return None if fresh == list(value.stride()) or spread else list(value.stride())


def with_layout(value: Tensor, stride: list[int] | None) -> Tensor:
    """A copy of ``value`` laid out in memory with these strides, and aligned as torch aligns what it allocates.

    A tensor read from a file begins anywhere, and matrix products of unaligned operands come to other bits.
    """
    if stride is None:
        return value.clone()
    return torch.empty_strided(value.shape, stride, dtype=value.dtype, device=value.device).copy_(value)
