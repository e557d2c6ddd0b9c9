"""The model as torch's DistributedDataParallel has it: gradients summed by buckets while the backward pass goes on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping

from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

Losses = Callable[[Mapping[str, Tensor]], dict[str, Tensor]]


class Replica:
    """Losses whose backward pass sums gradients over processes. The model itself keeps its names and methods.

    Parameters that a pass does not reach are sought in each: then DDP keeps its first buckets, and with them the order
    of its sums, so a run that resumes goes on with the same bits.
    """

    def __init__(self, model: nn.Module, losses: Losses) -> None:
        passes = Passes(model, losses)
        self._ddp = DistributedDataParallel(passes, find_unused_parameters=True, broadcast_buffers=False)

    def losses(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The losses of a batch, to be differentiated once."""
        return self._ddp(batch)

    def summing(self, now: bool) -> contextlib.AbstractContextManager[None]:
        """Around forward and backward pass: whether what the process has gathered is summed over all of them."""
        return contextlib.nullcontext() if now else self._ddp.no_sync()


class Passes(nn.Module):
    """Recipes call more of a model than ``forward``; DDP and FSDP wrap one call, so the call is the losses."""

    def __init__(self, model: nn.Module, losses: Losses) -> None:
        super().__init__()
        self.model, self.losses = model, losses

    def forward(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The losses of a batch."""
        return self.losses(batch)
