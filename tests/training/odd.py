"""Toys of what a model and its rows may be besides the usual; lanes and processes must change no bit of them."""

import torch
from torch import nn

from tests.training.toy import ToyRecipe


class Odd(nn.Module):
    """Tied and frozen weights, one that nothing reaches, one that only some batches reach, and a buffer."""

    def __init__(self, width, dropout):
        super().__init__()
        self.down, self.up = nn.Linear(width, width, bias=False), nn.Linear(width, width, bias=False)
        self.up.weight = self.down.weight
        self.frozen = nn.Parameter(torch.randn(3, width) / 10, requires_grad=False)
        self.unused = nn.Parameter(torch.randn(5, 2))
        self.sometimes, self.seldom = nn.Linear(width, width), nn.Linear(width, width)
        self.drop = nn.Dropout(dropout)
        self.register_buffer("shift", torch.arange(width) / 10)

    def forward(self, x):
        y = self.down(self.drop(x) + self.shift)
        chosen = self.sometimes if float(x[0, 0]) > 0 else self.seldom if float(x[0, 0]) < -1 else nn.Identity()
        return self.up(chosen(y)) @ self.frozen.T @ self.frozen


class OddToy(ToyRecipe):
    def build_model(self, config, inputs):
        return Odd(inputs["width"], config.dropout)


class Sparse(ToyRecipe):
    """A mean over the few numbers above 0.6: many a lane has none, and 0 / 0 for its loss."""

    def loss(self, model, config, batch):
        kept = batch["x"] > 0.6
        return {"loss": ((model(batch["x"]) - batch["x"]).square() * kept).sum() / kept.sum()}

    def items(self, batch):
        return int((batch["x"] > 0.6).sum())


class Fallback(nn.Module):
    """A linear map, and another one behind it that is only taken where no number is above 0.6."""

    def __init__(self, width):
        super().__init__()
        self.usual, self.rare = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x):
        y = self.usual(x)
        return y if bool((x > 0.6).any()) else self.rare(y)


class Rare(Sparse):
    """A loss of 0 for no item: of a pass over none gradients are zeros, and a weight that only it reaches has one."""

    def build_model(self, config, inputs):
        return Fallback(inputs["width"])

    def loss(self, model, config, batch):
        kept = batch["x"] > 0.6
        return {"loss": ((model(batch["x"]) - batch["x"]).square() * kept).sum() / kept.sum().clamp(min=1)}
