"""The recurrent core over token states (``core.reads: tokens``): a latent per encoder position, the input added at
every step, and weights that are the same in every step, so that more steps at inference go on where training stopped.

Per segment, ``h_cycles`` times: ``l_steps`` times L = LN(block_L(L + W_l X; reads [L, H])), then
H = LN(block_H(H + slots; reads [H, L])). L starts as one learned vector everywhere. Slots are told apart at every step:
where they were only at the start, all had become one vector after three segments. After a segment the decoder may read
[g H + (1 - g) null, X + g L]; the loss is the last segment's plus ``ds_weight`` times the mean of the earlier ones.

What the gradient passes through: ``full`` every segment, ``segment`` one segment, ``one_step`` the last cycle of one.
With ``h_len`` 0 there are no slow slots: the flat core, to compare with.

Shapes: B batch, S encoder positions, K slow slots, D width.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from assets_data.lineage import uniform01
from training.recipes.hrm_lm.config import CoreConfig, ModelConfig
from training.recipes.hrm_lm.layers import Attention, FeedForward, Recomputing
from training.recipes.hrm_lm.memory import OpeningGate


@dataclass(slots=True, kw_only=True)
class TokenState:
    """Slow slots and the latents of the encoder's positions, after a segment."""

    high_BKD: Tensor
    low_BSD: Tensor


class ReadingBlock(Recomputing):
    """q + attention(norm(q) -> [norm(q), norm(o)]), then the feed-forward part; ``placed`` if q are positions."""

    def __init__(self, config: ModelConfig, placed: bool) -> None:
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(config.d_model), Attention(config, placed)
        self.norm2, self.feed_forward = nn.LayerNorm(config.d_model), FeedForward(config)
        self.dropout = nn.Dropout(config.dropout)

    def run(self, q_BTD: Tensor, other_BOD: Tensor, mask_B11S: Tensor) -> Tensor:
        """``mask`` says which places of ``[q, other]`` may be read."""
        normed_BTD = self.norm1(q_BTD)
        read_BSD = torch.cat((normed_BTD, self.norm1(other_BOD)), dim=1)
        q_BTD = q_BTD + self.dropout(self.attention(normed_BTD, self.attention.keys_values(read_BSD), mask_B11S))
        return q_BTD + self.dropout(self.feed_forward(self.norm2(q_BTD)))


class TokenCore(nn.Module):
    """Segment after segment of states, from the encoder's states and mask."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        core, width = config.core, config.d_model
        self.core = core
        self.inject = nn.Linear(width, width, bias=False)
        self.low_start, self.high_slots = nn.Embedding(1, width), nn.Embedding(core.h_len, width)
        self.low_blocks = nn.ModuleList(ReadingBlock(config, True) for _ in range(core.l_layers))
        high_layers = core.h_layers if core.h_len else 0
        self.high_blocks = nn.ModuleList(ReadingBlock(config, False) for _ in range(high_layers))
        self.low_norm, self.high_norm = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x_BSD: Tensor, mask_BS: Tensor) -> Iterator[TokenState]:
        """The state after each segment, without end: who reads decides how many there are."""
        injected_BSD = self.inject(x_BSD)
        high_mask = mask_BS.new_ones(len(mask_BS), self.core.h_len)
        low_reads = torch.cat((mask_BS, high_mask), dim=1)[:, None, None]
        high_reads = torch.cat((high_mask, mask_BS), dim=1)[:, None, None]
        low_BSD = self.low_start.weight.expand(x_BSD.shape[0], x_BSD.shape[1], -1)
        high_BKD = self.high_slots.weight.expand(len(x_BSD), -1, -1)
        while True:
            for cycle in range(self.core.h_cycles):
                kept = self.core.gradient != "one_step" or cycle == self.core.h_cycles - 1
                with torch.set_grad_enabled(torch.is_grad_enabled() and kept):
                    for _ in range(self.core.l_steps):
                        low_BSD = low_BSD + injected_BSD
                        for block in self.low_blocks:
                            low_BSD = block(low_BSD, high_BKD, low_reads)
                        low_BSD = self.low_norm(low_BSD)
                    high_BKD = high_BKD + self.high_slots.weight
                    for block in self.high_blocks:
                        high_BKD = block(high_BKD, low_BSD, high_reads)
                    high_BKD = self.high_norm(high_BKD)
            yield TokenState(high_BKD=high_BKD, low_BSD=low_BSD)
            if self.core.gradient != "full":
                low_BSD, high_BKD = low_BSD.detach(), high_BKD.detach()


class TokenMemory(OpeningGate):
    """What the decoder reads of a state: the slow slots, and the encoder's states with the latents added."""

    def __init__(self, config: ModelConfig, batch_rows: int) -> None:
        super().__init__(config, batch_rows)
        self.null = nn.Embedding(config.core.h_len, config.d_model)

    def forward(self, x_BSD: Tensor, mask_BS: Tensor, state: TokenState) -> tuple[Tensor, Tensor]:
        """``(memory, g_B)``; memory is B x (K + S) x D."""
        judged_BD = state.high_BKD.mean(dim=1) if state.high_BKD.shape[1] else masked_mean(state.low_BSD, mask_BS)
        g_B11 = self.opening(judged_BD)[:, None]
        slots_BKD = g_B11 * state.high_BKD + (1.0 - g_B11) * self.null.weight
        return torch.cat((slots_BKD, x_BSD + g_B11 * state.low_BSD), dim=1), g_B11[:, 0, 0]

    def closed(self, x_BSD: Tensor) -> Tensor:
        """What the decoder reads while the gate is shut."""
        return torch.cat((self.null.weight.expand(len(x_BSD), -1, -1), x_BSD), dim=1)


def masked_mean(states_BSD: Tensor, mask_BS: Tensor) -> Tensor:
    """Mean_BD over the places that are not padding."""
    weight_BS1 = mask_BS[..., None].to(states_BSD.dtype)
    return (states_BSD * weight_BS1).sum(dim=1) / weight_BS1.sum(dim=1).clamp(min=1.0)


def trained_segments(core: CoreConfig, update: int) -> int:
    """How many segments this update runs: keyed by its number alone, uniform in [least_segments, segments]."""
    least = core.least_segments or core.segments
    draw = float(uniform01(0, "hrm_lm/segments", np.array([update], np.uint64))[0])
    return least + int(draw * (core.segments - least + 1))
