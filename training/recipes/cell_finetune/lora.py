"""Low-rank adapters (Hu et al. 2021): W x + (alpha / rank) B A x, where W stays and B begins at 0."""

from __future__ import annotations

import torch
from torch import Tensor, nn

ADAPTED = ("q", "k", "v", "out", "up", "down")


class Adapted(nn.Module):
    """A linear layer that stays, and its adapter."""

    def __init__(self, linear: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__()
        self.linear, self.scale = linear, alpha / rank
        self.a = nn.Linear(linear.in_features, rank, bias=False)
        self.b = nn.Linear(rank, linear.out_features, bias=False)
        nn.init.normal_(self.a.weight, std=linear.in_features**-0.5)
        nn.init.zeros_(self.b.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) + self.scale * self.b(self.a(x))

    def merged(self) -> nn.Linear:
        """One layer that does the same."""
        linear = nn.Linear(self.linear.in_features, self.linear.out_features, bias=self.linear.bias is not None)
        with torch.no_grad():
            linear.weight.copy_(self.linear.weight + self.scale * self.b.weight @ self.a.weight)
            if self.linear.bias is not None:
                linear.bias.copy_(self.linear.bias)
        return linear


def adapt(model: nn.Module, rank: int, alpha: float) -> None:
    """Adapt every layer named in ADAPTED, in place; all that was there before stays as it is."""
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if name in ADAPTED and isinstance(child, nn.Linear) and not isinstance(module, Adapted):
                setattr(module, name, Adapted(child, rank, alpha))


def merge(model: nn.Module) -> None:
    """Put one layer in place of each adapted one, in place: the tensors of a model that was never adapted."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, Adapted):
                setattr(module, name, child.merged().to(child.linear.weight.device))
