"""A learned value per head and distance, added to attention scores (Raffel et al. 2020, without buckets).

Positions that are only added to the input must first be turned into a rule such as "look one place to the left"; here
that rule is what is learned, and it is the same at every place.

Shapes: B batch, H heads, T queries, S places read, of which the first T are the queries' own.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.recipes.hrm_lm.config import ModelConfig

SCALE = 10.0
"""Adam moves a value by about its rate per update, far less than it moves a product of two vectors."""


class Distances(nn.Module):
    """Scores by the distance from query to place read, for up to ``max_tokens`` places."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.span = config.max_tokens - 1
        self.table = nn.Embedding(2 * self.span + 1, config.heads)
        nn.init.zeros_(self.table.weight)

    def forward(self, queries: int, mask_B11S: Tensor | None) -> Tensor:
        """Float B1TS-like: the values for the queries' own places, 0 for others, minus infinity where masked."""
        place_T = torch.arange(queries, device=self.table.weight.device)
        distance_TT = place_T - place_T[:, None] + self.span
        score_1HTT = SCALE * self.table(distance_TT).permute(2, 0, 1)[None]
        if mask_B11S is None:
            return score_1HTT
        score_1HTS = F.pad(score_1HTT, (0, mask_B11S.shape[-1] - queries))
        return torch.where(mask_B11S, score_1HTS, float("-inf"))
