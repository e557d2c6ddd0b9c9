"""A mixture of experts in the place of a feed-forward part: routed per token, with bounded room per expert.

Training drops what an expert has no room for (the residual stream carries it on); evaluation drops nothing, so an
answer does not depend on its neighbours in the batch. Padding takes no room.

Shapes: S tokens (all real and padded positions of the batch), E experts, K choices per token, D width, F hidden width.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.recipes.hrm_lm.config import ModelConfig
from training.recipes.hrm_lm.layers import Attention, Recomputing


class Experts(nn.Module):
    """Router and experts. ``aux`` of the last call is E / S^2 * sum_e(sum_s probability) * (tokens assigned to e)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.moe = config.moe
        width, hidden = config.d_model, config.ff_multiplier * config.d_model
        self.router = nn.Linear(width, config.moe.experts, bias=False)
        self.up_EDF = nn.Parameter(torch.empty(config.moe.experts, width, hidden))
        self.down_EFD = nn.Parameter(torch.empty(config.moe.experts, hidden, width))
        nn.init.normal_(self.up_EDF, std=width**-0.5)
        nn.init.normal_(self.down_EFD, std=(2 * hidden * config.encoder_layers) ** -0.5)

    def forward(self, x_BTD: Tensor, mask_BT: Tensor) -> tuple[Tensor, Tensor]:
        """``(y_BTD, aux)``; tokens outside ``mask`` come back as zeros."""
        x_SD, real_S = x_BTD.flatten(0, 1), mask_BT.flatten()
        probability_SE = self.router(x_SD).float().softmax(dim=-1) * real_S[:, None]
        weight_SK, expert_SK = probability_SE.topk(self.moe.top_k, dim=-1)
        chosen_SKE = F.one_hot(expert_SK, self.moe.experts) * real_S[:, None, None]
        place_SK, room = self._places(chosen_SKE, expert_SK, int(real_S.numel()))
        inside_SK = (place_SK < room) & real_S[:, None]
        slot_SK = torch.where(inside_SK, expert_SK * room + place_SK, self.moe.experts * room)  # the last is the bin
        held = x_SD.new_zeros(self.moe.experts * room + 1, x_SD.shape[1])
        held = held.index_copy(0, slot_SK.flatten(), x_SD.repeat_interleave(self.moe.top_k, dim=0))
        hidden_ECF = F.gelu(held[:-1].view(self.moe.experts, room, -1) @ self.up_EDF)
        answers = (hidden_ECF @ self.down_EFD).flatten(0, 1)
        answers = torch.cat((answers, answers.new_zeros(1, answers.shape[1])))
        y_SD = (answers[slot_SK] * weight_SK[..., None].to(answers.dtype)).sum(dim=1)
        count = real_S.sum().clamp(min=1)
        aux = self.moe.experts / count**2 * (probability_SE.sum(dim=0) * chosen_SKE.sum(dim=(0, 1))).sum()
        return y_SD.view_as(x_BTD), aux

    def _places(self, chosen_SKE: Tensor, expert_SK: Tensor, tokens: int) -> tuple[Tensor, int]:
        """Each choice's place in its expert's queue, in token order, and the room per expert."""
        queue = chosen_SKE.flatten(0, 1).cumsum(dim=0).view_as(chosen_SKE) - 1
        place_SK = queue.gather(-1, expert_SK[..., None]).squeeze(-1)
        if not self.training:
            return place_SK, tokens
        return place_SK, math.ceil(self.moe.capacity_factor * tokens * self.moe.top_k / self.moe.experts)


class ExpertBlock(Recomputing):
    """An encoder block whose feed-forward part is a mixture of experts. Returns its aux term beside the stream."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(config.d_model), Attention(config, placed=True)
        self.norm2, self.experts = nn.LayerNorm(config.d_model), Experts(config)
        self.dropout = nn.Dropout(config.dropout)

    def run(self, x_BTD: Tensor, mask_BT: Tensor) -> tuple[Tensor, Tensor]:
        normed, mask_B11T = self.norm1(x_BTD), mask_BT[:, None, None]
        attended = self.attention(normed, self.attention.keys_values(normed), mask_B11T)
        x_BTD = x_BTD + self.dropout(attended)
        added, aux = self.experts(self.norm2(x_BTD), mask_BT)
        return x_BTD + self.dropout(added), aux
