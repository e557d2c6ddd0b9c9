"""A small causal transformer: rotary positions, fused attention, pre-norm, untied head, optional key/value cache.

Shapes: B batch, T new positions, S all positions so far, D width, H heads, E head width (D / H), V vertices.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from training.recipes.walk_lm.config import ModelConfig


class Cache:
    """Keys and values of every position so far, for one batch of sequences of at most ``context`` tokens."""

    def __init__(self, config: ModelConfig, batch: int, device: torch.device) -> None:
        shape = (config.layers, 2, batch, config.heads, config.context, config.width // config.heads)
        self._store = torch.empty(shape, device=device)
        self.length = 0

    def extend(self, layer: int, key_BHTE: Tensor, value_BHTE: Tensor) -> tuple[Tensor, Tensor]:
        """Add the new positions of one layer; returns keys and values of all S positions."""
        end = self.length + key_BHTE.shape[2]
        keys, values = self._store[layer].unbind()
        keys[:, :, self.length : end], values[:, :, self.length : end] = key_BHTE, value_BHTE
        return keys[:, :, :end], values[:, :, :end]


class Attention(nn.Module):
    """Causal self-attention with rotary positions (Su et al. 2021). With a cache, T is 1 or the cache is empty."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.heads, self.layer = config.heads, layer
        self.qkv = nn.Linear(config.width, 3 * config.width, bias=False)
        self.out = nn.Linear(config.width, config.width, bias=False)

    def forward(self, x_BTD: Tensor, rotary_TE: tuple[Tensor, Tensor], cache: Cache | None) -> Tensor:
        B, T, D = x_BTD.shape
        qkv_BGTE = self.qkv(x_BTD).view(B, T, 3 * self.heads, D // self.heads).transpose(1, 2)
        rotated = rotate(qkv_BGTE[:, : 2 * self.heads], *rotary_TE)  # queries and keys in one pass
        query, key, value = rotated[:, : self.heads], rotated[:, self.heads :], qkv_BGTE[:, 2 * self.heads :]
        if cache is not None:
            key, value = cache.extend(self.layer, key, value)
        y_BHTE = F.scaled_dot_product_attention(query, key, value, is_causal=T > 1)
        return self.out(y_BHTE.transpose(1, 2).reshape(B, T, D))


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(config.width), Attention(config, layer)
        self.norm2, self.up = nn.LayerNorm(config.width), nn.Linear(config.width, config.mlp_ratio * config.width)
        self.down = nn.Linear(config.mlp_ratio * config.width, config.width, bias=False)

    def forward(self, x_BTD: Tensor, rotary_TE: tuple[Tensor, Tensor], cache: Cache | None) -> Tensor:
        x_BTD = x_BTD + self.attention(self.norm1(x_BTD), rotary_TE, cache)
        return x_BTD + self.down(F.relu(self.up(self.norm2(x_BTD))))  # relu: a third faster than gelu on a CPU


class WalkTransformer(nn.Module):
    """Next-vertex logits for sequences of at most ``context`` vertices."""

    cos: Tensor
    sin: Tensor

    def __init__(self, config: ModelConfig, vocab_size: int) -> None:
        super().__init__()
        self.config, self.vocab_size = config, vocab_size
        self.embedding = nn.Embedding(vocab_size, config.width)
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, vocab_size, bias=False)
        cos, sin = rotary_tables(config.context, config.width // config.heads, config.rotary_base)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self._recompute = False
        self._initialise()

    def checkpoint_gradients(self) -> None:
        """From now on keep only each block's input for the backward pass and compute the rest again there."""
        self._recompute = True

    def shard_units(self) -> list[nn.Module]:
        """What a pass calls once each, so that it need be whole only then: see ``Sharded``."""
        return list(self.blocks)

    def forward(self, tokens_BT: Tensor, cache: Cache | None = None) -> Tensor:
        """logits_BTV; with a cache the tokens continue it and only the last position's logits come back (T = 1)."""
        begin = cache.length if cache is not None else 0
        end = begin + tokens_BT.shape[1]
        rotary_TE = (self.cos[begin:end], self.sin[begin:end])
        x_BTD = self.embedding(tokens_BT)
        for block in self.blocks:
            if self._recompute and self.training:
                x_BTD = checkpoint(block, x_BTD, rotary_TE, cache, use_reentrant=False)
            else:
                x_BTD = block(x_BTD, rotary_TE, cache)
        if cache is not None:
            cache.length, x_BTD = end, x_BTD[:, -1:]
        return self.head(self.norm(x_BTD))

    def _initialise(self) -> None:
        """Variance-preserving weights; what writes to the residual stream starts smaller with depth (GPT-2)."""
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear):
                writes = name.endswith(("out", "down"))
                nn.init.normal_(
                    module.weight, std=(module.in_features * (2 * len(self.blocks) if writes else 1)) ** -0.5
                )
                if module.bias is not None:
                    nn.init.zeros_(module.bias)


def rotary_tables(positions: int, width: int, base: float) -> tuple[Tensor, Tensor]:
    """cos and sin, each [positions, width / 2]: angle p * base**(-2i / width)."""
    frequencies = base ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    angles = torch.arange(positions, dtype=torch.float64)[:, None] * frequencies[None, :]
    return angles.cos().float(), angles.sin().float()


def rotate(x_BHTE: Tensor, cos_Te: Tensor, sin_Te: Tensor) -> Tensor:
    """Turn each pair (x_i, x_{i + E/2}) by its position's angle."""
    first, second = x_BHTE.chunk(2, dim=-1)
    return torch.cat((first * cos_Te - second * sin_Te, first * sin_Te + second * cos_Te), dim=-1)
