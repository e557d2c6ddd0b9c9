"""Keeps a non-finite loss or gradient out of the weights, without asking the device after every update.

Where the optimizer can skip on the device (torch's fused ones, through the door gradient scalers use), the first bad
update and every one after it change nothing, and the host learns of it at the next synchronisation. Elsewhere the host
asks before each optimizer step. Either way the weights stay those from before the bad update.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from assets_data.lineage import TrainingError


class FiniteGuard:
    """Remembers, on the device, the first update whose loss or gradient norm was not finite."""

    def __init__(self, optimizer: torch.optim.Optimizer, device: torch.device) -> None:
        self.can_skip = all(group.get("fused") for group in optimizer.param_groups)
        self._bad = torch.zeros((), device=device)
        self._first = torch.full((), -1, dtype=torch.int64, device=device)
        if self.can_skip:
            optimizer.found_inf = self._bad  # type: ignore[attr-defined]

    def observe(self, update: int, loss: torch.Tensor, grad_norm: torch.Tensor) -> None:
        """Note update ``update``. Costs a few scalar kernels and no synchronisation."""
        bad = ~(torch.isfinite(loss) & torch.isfinite(grad_norm))
        self._first.copy_(torch.where(bad & (self._first < 0), update, self._first))
        self._bad.copy_(torch.maximum(self._bad, bad.to(self._bad.dtype)))

    def first_bad_update(self) -> int | None:
        """The first non-finite update, or None. Synchronises with the device."""
        first = int(self._first)
        return None if first < 0 else first


def blame(
    model: nn.Module,
    update: int,
    rows: np.ndarray,
    epochs: np.ndarray,
    losses: Callable[[np.ndarray, np.ndarray], Mapping[str, Tensor]],
) -> TrainingError:
    """The error for a non-finite update. Replays its rows one by one on the untouched weights to name the culprits."""
    model.zero_grad(set_to_none=True)
    bad_rows = [int(row) for row, epoch in zip(rows, epochs, strict=True) if not _replay(losses, row, epoch)]
    gradients = ((name, p.grad) for name, p in model.named_parameters() if p.grad is not None)
    parameter = next((name for name, grad in gradients if not torch.isfinite(grad).all()), "none by itself")
    return TrainingError(
        "NON_FINITE",
        f"loss or gradient of update {update + 1} is not finite; the weights are those of update {update}",
        found=f"rows {bad_rows or rows.tolist()}, first parameter {parameter}",
        action="look at these rows, lower the learning rate or clip harder; the last checkpoint is intact",
    )


def _replay(losses: Callable[[np.ndarray, np.ndarray], Mapping[str, Tensor]], row: int, epoch: int) -> bool:
    """Accumulate one row's gradient; whether its loss was finite."""
    loss = losses(np.array([row]), np.array([epoch]))["loss"]
    loss.backward()
    return bool(torch.isfinite(loss))
