"""The network. B rows, T bases, D width, V the four bases."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.recipes.dna_lm.config import ModelConfig

MASK = 5
"""The code of a base that is not shown, behind A, C, G, T and N."""


class Block(nn.Module):
    """A dilated convolution, then a feed-forward layer, each added to what it was given. Beyond the ends is 0."""

    def __init__(self, config: ModelConfig, dilation: int) -> None:
        super().__init__()
        width = config.d_model
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        reach = config.kernel // 2 * dilation
        self.mix = nn.Conv1d(width, width, config.kernel, padding=reach, dilation=dilation)
        self.wide = nn.Linear(width, config.ff_multiplier * width)
        self.narrow = nn.Linear(config.ff_multiplier * width, width)

    def forward(self, x_BTD: Tensor) -> Tensor:
        mixed_BTD = self.mix(self.before(x_BTD).transpose(1, 2)).transpose(1, 2)
        x_BTD = x_BTD + F.gelu(mixed_BTD)
        return x_BTD + self.narrow(F.gelu(self.wide(self.between(x_BTD))))


class DnaEncoder(nn.Module):
    """Codes to logits over A, C, G and T; :meth:`hidden` gives what lies between."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.embed = nn.Embedding(MASK + 1, config.d_model)
        self.blocks = nn.ModuleList(Block(config, dilation) for dilation in config.dilations)
        self.norm = nn.LayerNorm(config.d_model)
        self.head = nn.Linear(config.d_model, 4)

    @property
    def layers(self) -> int:
        """How many blocks there are."""
        return len(self.blocks)

    def hidden(self, codes_BT: Tensor, layer: int) -> Tensor:
        """float[B, T, D]: after ``layer`` blocks; after the last one, normalised as the head reads it."""
        x_BTD = self.embed(codes_BT)
        for block in self.blocks[:layer]:
            x_BTD = block(x_BTD)
        return self.norm(x_BTD) if layer == self.layers else x_BTD

    def forward(self, codes_BT: Tensor) -> Tensor:
        return self.head(self.hidden(codes_BT, self.layers))


def masked_loss(logits_BTV: Tensor, labels_BT: Tensor) -> Tensor:
    """Mean cross-entropy in nats over the bases that are asked for; the others have the label -100."""
    return F.cross_entropy(logits_BTV.flatten(0, 1), labels_BT.flatten(), ignore_index=-100)


def base_nll(model: DnaEncoder, codes_BT: Tensor, asked_BT: Tensor, rows: int = 256) -> Tensor:
    """float[asked]: the surprise, in nats, of each base that is asked for (bool[B, T]) and not shown."""
    found = []
    with torch.no_grad():
        for begin in range(0, len(codes_BT), rows):
            codes, asked = codes_BT[begin : begin + rows], asked_BT[begin : begin + rows]
            logits = model(codes.masked_fill(asked, MASK))[asked].float()
            found.append(F.cross_entropy(logits, codes[asked], reduction="none"))
    return torch.cat(found)
