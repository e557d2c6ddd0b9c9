"""Mixed precision in the backward pass: with fp16 the loss is scaled and an update with overflown gradients skipped.

Owns the scaler. Never asks the device for a number between updates: what was skipped is a tensor until it is logged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from training.config import TrainConfig

LEAST_SCALE = 1.0
"""An overflow at this scale is the model's, not the precision's: it stops the run."""


class Precision:
    """Scales losses and takes the scale off gradients; does nothing unless the precision is fp16."""

    def __init__(self, plan: TrainConfig, device: torch.device) -> None:
        self.scaler = torch.amp.GradScaler(device.type) if plan.precision == "fp16" else None

    def backward(self, loss: Tensor, *, again: bool = False) -> None:
        """Accumulate gradients of ``loss``, scaled; with ``again`` they can themselves be differentiated."""
        (loss if self.scaler is None else self.scaler.scale(loss)).backward(create_graph=again)

    def unscale(self, optimizer: torch.optim.Optimizer) -> Tensor | None:
        """Take the scale off the gradients; a scalar that is 1 when this update must be skipped for an overflow."""
        if self.scaler is None:
            return None
        self.scaler.unscale_(optimizer)
        state: Any = self.scaler._per_optimizer_states[id(optimizer)]
        found = torch.stack([value.reshape(()) for value in state["found_inf_per_device"].values()]).amax()
        return found * (self.scaler._get_scale_async() > LEAST_SCALE)  # type: ignore[operator]

    def update(self) -> None:
        """Halve the scale after a skipped update, double it after enough good ones."""
        if self.scaler is not None:
            self.scaler.update()

    def state(self) -> dict[str, Any]:
        """The scaler's numbers, for a checkpoint."""
        return {} if self.scaler is None else self.scaler.state_dict()

    def restore(self, state: Mapping[str, Any]) -> None:
        """The inverse of :meth:`state`."""
        if self.scaler is not None:
            self.scaler.load_state_dict(dict(state))
