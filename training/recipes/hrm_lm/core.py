"""The hierarchical recurrent core: slow slots H steer fast slots L, which report back, over a few cycles.

Slots and positions start random and learned. Started equal, pure attention would keep all slots of a kind identical for
ever and many slots would act as one vector; ``slot_spread`` measures that.

Shapes: B batch, L fast slots, K slow slots, D width, C cycles.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from training.recipes.hrm_lm.config import ModelConfig
from training.recipes.hrm_lm.layers import Block


@dataclass(slots=True, kw_only=True)
class CoreState:
    """``z_BD`` of every cycle that is decoded (the last one last), halting probabilities, and the final slots."""

    z_BD: list[Tensor]
    halt_CB: Tensor | None
    high_BKD: Tensor
    low_BLD: Tensor


class HrmCore(nn.Module):
    """``x_BD`` to z: per cycle, ``l_steps`` fast steps and one slow step; z = W_o LN(mean H)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        core, width = config.core, config.d_model
        self.core = core
        self.high_slots, self.high_positions = nn.Embedding(core.h_len, width), nn.Embedding(core.h_len, width)
        self.low_slots, self.low_positions = nn.Embedding(core.l_len, width), nn.Embedding(core.l_len, width)
        self.high_blocks = nn.ModuleList(Block(config) for _ in range(core.h_layers))
        self.low_blocks = nn.ModuleList(Block(config) for _ in range(core.l_layers))
        self.high_norm, self.low_norm, self.z_norm = (nn.LayerNorm(width) for _ in range(3))
        self.top_down, self.bottom_up = (nn.Linear(width, width, bias=False) for _ in range(2))
        self.low_input, self.high_input = (nn.Linear(width, width, bias=False) for _ in range(2))
        self.z = nn.Linear(width, width, bias=False)
        self.halt = nn.Linear(width, 1) if core.halt_weight else None

    def forward(self, x_BD: Tensor) -> CoreState:
        """All cycles. Under one_step, cycles whose z is decoded get a gradient one cycle deep, the others none."""
        core, every = self.core, self.core.ds_weight > 0.0 and self.training
        high_BKD = self.high_slots.weight.expand(len(x_BD), -1, -1)
        low_BLD = self.low_slots.weight.expand(len(x_BD), -1, -1)
        z_BD, halt_CB = [], []
        for cycle in range(core.h_cycles):
            last = cycle == core.h_cycles - 1
            if core.gradient == "one_step" and cycle:
                high_BKD, low_BLD = high_BKD.detach(), low_BLD.detach()
            with torch.set_grad_enabled(torch.is_grad_enabled() and (last or every or core.gradient == "full")):
                high_BKD, low_BLD = self._cycle(x_BD, high_BKD, low_BLD)
            if last or every:
                z_BD.append(self.z(self.z_norm(high_BKD.mean(dim=1))))
            if self.halt is not None:
                halt_CB.append(self.halt(high_BKD[:, 0]).sigmoid().squeeze(-1))
        halts = torch.stack(halt_CB) if halt_CB else None
        return CoreState(z_BD=z_BD, halt_CB=halts, high_BKD=high_BKD, low_BLD=low_BLD)

    def _cycle(self, x_BD: Tensor, high_BKD: Tensor, low_BLD: Tensor) -> tuple[Tensor, Tensor]:
        steer_BD = self.top_down(high_BKD.mean(dim=1)) + self.low_input(x_BD)
        for _ in range(self.core.l_steps):
            low_BLD = _step(low_BLD, steer_BD, self.low_positions, self.low_blocks, self.low_norm)
        report_BD = self.bottom_up(low_BLD.mean(dim=1)) + self.high_input(x_BD)
        return _step(high_BKD, report_BD, self.high_positions, self.high_blocks, self.high_norm), low_BLD


def slot_spread(slots_BND: Tensor) -> Tensor:
    """How far slots lie from their mean, in units of their size: 0 when all are one vector, towards 1 when unrelated.

    sqrt(E |s - mean s|^2 / E |s|^2), the mean taken over the slots of each example.
    """
    slots = slots_BND.double()
    centred = slots - slots.mean(dim=1, keepdim=True)
    return (centred.square().sum() / slots.square().sum()).sqrt()


def _step(
    slots_BND: Tensor, extra_BD: Tensor, positions: nn.Embedding, blocks: nn.ModuleList, norm: nn.LayerNorm
) -> Tensor:
    x_BND = slots_BND + extra_BD[:, None] + positions.weight
    for block in blocks:
        x_BND = block(x_BND)
    return norm(x_BND)
