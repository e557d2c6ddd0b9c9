"""Keeps a non-finite loss or gradient out of the weights, without asking a device after every update.

Where the optimizer can skip on the device (torch's fused ones, through the door gradient scalers use), the first bad
update and every one after it change nothing, and the host learns of it at the next synchronisation. Elsewhere, and on
the CPU, the host looks before each optimizer step. Either way the weights stay those from before the bad update.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor

from assets_data.lineage import TrainingError

if TYPE_CHECKING:
    from training.run import Run


class HostGuard:
    """On the CPU: looks at two numbers, which costs less than a kernel, and is asked before every step."""

    can_skip = False

    def __init__(self) -> None:
        self.skip = False
        """The optimizer must leave the weights alone."""
        self._bad: int | None = None

    def observe(self, update: int, loss: Tensor, grad_norm: Tensor, overflow: Tensor | None) -> None:
        """Note update ``update``; ``overflow`` is 1 where fp16 excuses its gradients."""
        self.skip = overflow is not None and overflow.item() > 0
        if not math.isfinite(loss.item()) or not (self.skip or math.isfinite(grad_norm.item())):
            self._bad = update

    def first_bad_update(self) -> int | None:
        """The update whose loss or gradient norm was not finite, or None."""
        return self._bad


class DeviceGuard:
    """Remembers, on the device, the first update whose loss or gradient norm was not finite, and which to skip."""

    def __init__(self, optimizer: torch.optim.Optimizer, device: torch.device) -> None:
        self.can_skip = all(group.get("fused") for group in optimizer.param_groups)
        self._bad = torch.zeros((), device=device)
        self.skip = torch.zeros((), device=device)
        """1 when the optimizer must leave the weights alone; fused ones look by themselves."""
        self._first = torch.full((), -1, dtype=torch.int64, device=device)
        if self.can_skip:
            optimizer.found_inf = self.skip  # type: ignore[attr-defined]

    def observe(self, update: int, loss: Tensor, grad_norm: Tensor, overflow: Tensor | None) -> None:
        """Note update ``update``, by a few scalar kernels; ``overflow`` is 1 where fp16 excuses its gradients."""
        fine = torch.isfinite(grad_norm) if overflow is None else torch.isfinite(grad_norm) | (overflow > 0)
        bad = ~(torch.isfinite(loss) & fine)
        self._first.copy_(torch.where(bad & (self._first < 0), update, self._first))
        self._bad.copy_(torch.maximum(self._bad, bad.to(self._bad.dtype)))
        self.skip.copy_(self._bad if overflow is None else torch.maximum(self._bad, overflow))

    def first_bad_update(self) -> int | None:
        """The first non-finite update, or None. Synchronises with the device."""
        first = int(self._first)
        return None if first < 0 else first


FiniteGuard = HostGuard | DeviceGuard


def finite_guard(optimizer: torch.optim.Optimizer, device: torch.device) -> FiniteGuard:
    """The guard of a run on ``device``."""
    return HostGuard() if device.type == "cpu" else DeviceGuard(optimizer, device)


def blame(run: Run, update: int) -> TrainingError:
    """The error for a non-finite update. Replays its rows one by one on the untouched weights to name the culprits."""
    rows, epochs = run.order.batch(update)
    run.model.zero_grad(set_to_none=True)
    bad_rows = [int(row) for row, epoch in zip(rows, epochs, strict=True) if not _replay(run, row, epoch)]
    gradients = [(name, cast(Any, p.grad)) for name, p in run.model.named_parameters() if p.grad is not None]
    finite = [bool(torch.isfinite(grad.to_local() if run.sharded else grad).all()) for _, grad in gradients]
    bad = run.world.any(*(not fine for fine in finite)) if run.sharded else [not fine for fine in finite]
    parameter = next((name for (name, _), found in zip(gradients, bad, strict=True) if found), "none by itself")
    return TrainingError(
        "NON_FINITE",
        f"loss or gradient of update {update + 1} is not finite; the weights are those of update {update}",
        found=f"rows {bad_rows or rows.tolist()}, first parameter {parameter}",
        action="look at these rows, lower the learning rate or clip harder; the last checkpoint is intact",
    )


def _replay(run: Run, row: int, epoch: int) -> bool:
    """Accumulate one row's gradient; whether its loss was finite."""
    loss = (run.sharded or run).losses(run.batch(run.data, np.array([row]), np.array([epoch]))[0])["loss"]
    loss.backward()
    return bool(torch.isfinite(loss))
