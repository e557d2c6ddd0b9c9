"""What attention is told of the distance between two places: a learned score per head, and a window.

Positions that are only added to the input must first be turned into a rule such as "look one place to the left". With
``relative_positions`` that rule is what is learned, and it is the same at every place (Raffel et al. 2020, without
buckets). With ``window`` a place is read from at most that many places away (Beltagy et al. 2020), so that what is far
comes step by step, through the places between.

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
    """Scores by the distance from query to place read, for up to ``max_tokens`` places, within the window."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.span, self.window = config.max_tokens - 1, config.window
        self.table = nn.Embedding(2 * self.span + 1, config.heads) if config.relative_positions else None
        if self.table is not None:
            nn.init.zeros_(self.table.weight)

    def forward(self, queries: int, mask_B11S: Tensor) -> Tensor:
        """Float B1TS-like: scores for the queries' own places, 0 for others, minus infinity where it may not be read.

        Within a window a place may always read itself: padding far from all else would read nothing, and be no number.
        """
        place_T = torch.arange(queries, device=mask_B11S.device)
        distance_TT = place_T - place_T[:, None]
        score_1HTT = torch.zeros(1, 1, queries, queries, device=mask_B11S.device)
        if self.table is not None:
            score_1HTT = SCALE * self.table(distance_TT + self.span).permute(2, 0, 1)[None]
        others = mask_B11S.shape[-1] - queries
        if self.window:
            score_1HTT = score_1HTT.masked_fill(distance_TT.abs() > self.window, float("-inf"))
            mask_B11S = mask_B11S | F.pad(distance_TT == 0, (0, others))
        return torch.where(mask_B11S, F.pad(score_1HTT, (0, others)), float("-inf"))
