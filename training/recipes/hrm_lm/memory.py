"""From the core's z to vectors the decoder can read, behind a gate that opens slowly.

memory = g * bridge(z) + (1 - g) * null, g = clamp(scale * sigmoid(linear(z)) + bias, 0, 1). The scale rises linearly
with the rows trained on; null is learned. While the gate is shut (scale and bias 0) the core is not run at all: its
parameters then have no gradient, and what has no gradient is not decayed either.

Shapes: B batch, D width, P vectors.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.recipes.hrm_lm.config import ModelConfig


class OpeningGate(nn.Module):
    """The gate. How many rows it was trained on is part of its state, as the scale hangs on it."""

    scale: Tensor

    def __init__(self, config: ModelConfig, batch_rows: int) -> None:
        super().__init__()
        self.bias, self.warmup, self.batch_rows, self.rows = config.gate_bias, config.gate_warmup_steps, batch_rows, 0
        self.gate = nn.Linear(config.d_model, 1)
        self.register_buffer("scale", torch.full((), self.opened()), persistent=False)

    def opened(self) -> float:
        """The gate's scale: finished updates over the warm-up's, at most 1."""
        return min(1.0, self.rows // self.batch_rows / self.warmup) if self.warmup else 1.0

    @property
    def shut(self) -> bool:
        """Whether g is 0 whatever it judges. Known to the host, so nothing waits for the device."""
        return self.opened() == 0.0 and self.bias == 0.0

    def count(self, rows: int) -> None:
        """Note that this many more rows were trained on."""
        self.rows += rows
        self.scale.fill_(self.opened())

    def opening(self, z_BD: Tensor) -> Tensor:
        """g_B1 in [0, 1]."""
        scale = self.scale.clone()  # the backward pass comes after the scale has moved on
        return (scale * self.gate(z_BD).sigmoid() + self.bias).clamp(0.0, 1.0)

    def get_extra_state(self) -> Tensor:
        return torch.tensor(self.rows)

    def set_extra_state(self, state: Tensor) -> None:
        self.rows = int(state)
        self.scale.fill_(self.opened())


class CoreMemory(OpeningGate):
    """Gate, bridge and null memory of the pooled core."""

    def __init__(self, config: ModelConfig, batch_rows: int) -> None:
        super().__init__(config, batch_rows)
        self.vectors = config.prefix_len if config.bridge == "prefix" else 1
        self.bridge = nn.Linear(config.d_model, self.vectors * config.d_model)
        self.null = nn.Embedding(self.vectors, config.d_model)

    def forward(self, z_BD: Tensor) -> tuple[Tensor, Tensor]:
        """``(memory_BPD, g_B)``."""
        g_B1 = self.opening(z_BD)
        bridged_BPD = self.bridge(z_BD).view(len(z_BD), self.vectors, -1)
        return g_B1[:, None] * bridged_BPD + (1.0 - g_B1[:, None]) * self.null.weight, g_B1.squeeze(-1)

    def closed(self, batch: int) -> Tensor:
        """What the decoder reads while the gate is shut: null_BPD."""
        return self.null.weight.expand(batch, -1, -1)
