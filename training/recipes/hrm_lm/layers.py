"""Attention, feed-forward and pre-norm blocks, shared by encoder, core and decoder. Attention is fused.

Shapes: B batch, T query positions, S positions attended to, D width, H heads, E head width (D / H).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from training.recipes.hrm_lm.config import ModelConfig
from training.recipes.hrm_lm.distances import Distances


@dataclass(slots=True)
class LayerCache:
    """What decoding keeps of one decoder layer: its own keys and values so far, and those of the memory."""

    own: tuple[Tensor, Tensor] | None = None
    memory: tuple[Tensor, Tensor] | None = None

    def extend(self, key_BHTE: Tensor, value_BHTE: Tensor) -> tuple[Tensor, Tensor]:
        """Add new positions; keys and values of all positions so far."""
        if self.own is not None:
            key_BHTE = torch.cat((self.own[0], key_BHTE), dim=2)
            value_BHTE = torch.cat((self.own[1], value_BHTE), dim=2)
        self.own = key_BHTE, value_BHTE
        return self.own


class Attention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017), without biases.

    ``placed``: queries are the first of the places read, in one order, so that distances between them mean something.
    """

    def __init__(self, config: ModelConfig, placed: bool = False) -> None:
        super().__init__()
        width = config.d_model
        self.heads = config.heads
        self.query = nn.Linear(width, width, bias=False)
        self.key_value = nn.Linear(width, 2 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        placed = placed and (config.relative_positions or config.window > 0)
        self.distances = Distances(config) if placed else None

    def keys_values(self, x_BSD: Tensor) -> tuple[Tensor, Tensor]:
        """``(key_BHSE, value_BHSE)`` of what is attended to."""
        B, S, D = x_BSD.shape
        pair = self.key_value(x_BSD).view(B, S, 2, self.heads, D // self.heads).permute(2, 0, 3, 1, 4)
        return pair[0], pair[1]

    def forward(
        self, x_BTD: Tensor, pair: tuple[Tensor, Tensor], mask: Tensor | None = None, causal: bool = False
    ) -> Tensor:
        """What the queries of ``x`` find; ``mask`` (bool B1TS, or broadcast to it) is true where they may look."""
        B, T, D = x_BTD.shape
        if self.distances is not None:
            assert mask is not None, "places have a mask: some may be padding"
            mask = self.distances(T, mask)
        query_BHTE = self.query(x_BTD).view(B, T, self.heads, D // self.heads).transpose(1, 2)
        if mask is not None and mask.is_floating_point():
            mask = mask.to(query_BHTE.dtype)
        y_BHTE = F.scaled_dot_product_attention(query_BHTE, *pair, attn_mask=mask, is_causal=causal)
        return self.out(y_BHTE.transpose(1, 2).reshape(B, T, D))


class FeedForward(nn.Module):
    """Two layers with GELU between."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.up = nn.Linear(config.d_model, config.ff_multiplier * config.d_model)
        self.down = nn.Linear(config.ff_multiplier * config.d_model, config.d_model)

    def forward(self, x_BTD: Tensor) -> Tensor:
        return self.down(F.gelu(self.up(x_BTD)))


class Recomputing(nn.Module):
    """A block that, where asked, keeps only its inputs for the backward pass and computes the rest again there."""

    recompute = False

    def forward(self, *inputs: Any) -> Any:
        if self.recompute and self.training and torch.is_grad_enabled():
            return checkpoint(self.run, *inputs, use_reentrant=False)
        return self.run(*inputs)

    def run(self, *inputs: Any) -> Any:
        """What the block computes."""
        raise NotImplementedError


class Block(Recomputing):
    """Bidirectional: x + attention(norm(x)), then x + feed_forward(norm(x)); ``placed`` if x are positions."""

    def __init__(self, config: ModelConfig, placed: bool = False) -> None:
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(config.d_model), Attention(config, placed)
        self.norm2, self.feed_forward = nn.LayerNorm(config.d_model), FeedForward(config)
        self.dropout = nn.Dropout(config.dropout)

    def run(self, x_BTD: Tensor, mask_B11S: Tensor | None = None) -> Tensor:
        normed = self.norm1(x_BTD)
        x_BTD = x_BTD + self.dropout(self.attention(normed, self.attention.keys_values(normed), mask_B11S))
        return x_BTD + self.dropout(self.feed_forward(self.norm2(x_BTD)))


class DecoderBlock(Recomputing):
    """Causal self-attention, attention to the memory, feed-forward; each pre-norm and added."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(config.d_model), Attention(config)
        self.norm2, self.cross = nn.LayerNorm(config.d_model), Attention(config)
        self.norm3, self.feed_forward = nn.LayerNorm(config.d_model), FeedForward(config)
        self.dropout = nn.Dropout(config.dropout)

    def run(
        self, x_BTD: Tensor, memory_BMD: Tensor, mask_B11M: Tensor | None, cache: LayerCache | None = None
    ) -> Tensor:
        """With a cache, T is 1 or the cache is empty."""
        normed = self.norm1(x_BTD)
        pair = self.attention.keys_values(normed)
        if cache is not None:
            pair = cache.extend(*pair)
        x_BTD = x_BTD + self.dropout(self.attention(normed, pair, causal=x_BTD.shape[1] > 1))
        memory = cache.memory if cache is not None else None
        if memory is None:
            memory = self.cross.keys_values(memory_BMD)
            if cache is not None:
                cache.memory = memory
        x_BTD = x_BTD + self.dropout(self.cross(self.norm2(x_BTD), memory, mask_B11M))
        return x_BTD + self.dropout(self.feed_forward(self.norm3(x_BTD)))


def sinusoids(positions: int, width: int) -> Tensor:
    """float32[positions, width]: sines, then cosines, of p / 10000^(2i / width) (Vaswani et al. 2017)."""
    frequencies = 10_000.0 ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    angles = torch.arange(positions, dtype=torch.float64)[:, None] * frequencies
    return torch.cat((angles.sin(), angles.cos()), dim=1).float()


def initialise(model: nn.Module, residual_writes: int) -> None:
    """Variance-preserving weights; what writes to a residual stream starts smaller with depth (GPT-2)."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            writes = name.endswith((".out", ".down"))
            nn.init.normal_(module.weight, std=(module.in_features * (residual_writes if writes else 1)) ** -0.5)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
