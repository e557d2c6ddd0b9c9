"""The network. The only module, with the functions that call it, that needs torch when it is imported."""

from __future__ import annotations

import itertools

from torch import Tensor, nn

from newrecipe.config import ModelConfig


class Network(nn.Module):
    """Features to one number, through hidden layers of equal width."""

    def __init__(self, config: ModelConfig, features: int) -> None:
        super().__init__()
        widths = [features, *[config.width] * config.layers]
        hidden = [nn.Sequential(nn.Linear(a, b), nn.GELU()) for a, b in itertools.pairwise(widths)]
        self.hidden, self.out = nn.Sequential(*hidden), nn.Linear(widths[-1], 1)

    def forward(self, features_BD: Tensor) -> Tensor:
        """float[B]: the predicted target."""
        return self.out(self.hidden(features_BD)).squeeze(-1)
