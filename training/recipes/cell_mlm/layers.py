"""Transformer blocks over the genes of a cell: fused attention, pre-norm. Shapes: B cells, T tokens, D width."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class Attention(nn.Module):
    """Self-attention. ``q``, ``k``, ``v`` and ``out`` are layers of their own, so that each can be adapted."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.out = (nn.Linear(width, width, bias=False) for _ in range(4))

    def forward(self, x_BTD: Tensor, seen: Tensor | None, causal: bool) -> Tensor:
        """``seen`` bool[B, 1, 1, T]: the tokens that may be attended to; None with ``causal``, where pads come last."""
        B, T, D = x_BTD.shape
        query, key, value = (
            layer(x_BTD).view(B, T, self.heads, D // self.heads).transpose(1, 2) for layer in (self.q, self.k, self.v)
        )
        y_BHTE = F.scaled_dot_product_attention(query, key, value, attn_mask=seen, is_causal=causal)
        return self.out(y_BHTE.transpose(1, 2).reshape(B, T, D))


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, width: int, heads: int, ratio: int) -> None:
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(width), Attention(width, heads)
        self.norm2, self.up = nn.LayerNorm(width), nn.Linear(width, ratio * width)
        self.down = nn.Linear(ratio * width, width, bias=False)

    def forward(self, x_BTD: Tensor, seen: Tensor | None, causal: bool) -> Tensor:
        x_BTD = x_BTD + self.attention(self.norm1(x_BTD), seen, causal)
        return x_BTD + self.down(F.gelu(self.up(self.norm2(x_BTD))))


class Stack(nn.Module):
    """Blocks and a final norm."""

    def __init__(self, layers: int, width: int, heads: int, ratio: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(width, heads, ratio) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.recompute = False

    def forward(self, x_BTD: Tensor, valid_BT: Tensor, causal: bool = False) -> Tensor:
        """No valid token sees a padded one; what comes out at a padded place means nothing."""
        seen = None if causal else valid_BT[:, None, None, :]
        for block in self.blocks:
            if self.recompute and self.training:
                x_BTD = checkpoint(block, x_BTD, seen, causal, use_reentrant=False)
            else:
                x_BTD = block(x_BTD, seen, causal)
        return self.norm(x_BTD)


def initialise(model: nn.Module, depth: int) -> None:
    """Variance-preserving weights; what writes to the residual stream starts smaller with depth (GPT-2)."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            writes = name.endswith(("out", "down"))
            nn.init.normal_(module.weight, std=(module.in_features * (2 * depth if writes else 1)) ** -0.5)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)
