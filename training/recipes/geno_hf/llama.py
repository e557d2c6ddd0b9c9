"""The Llama decoder (Touvron et al. 2023), as Hugging Face directories name its tensors; it only encodes.

N rows, T tokens, D width, H heads of size S.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from assets_data.lineage import DataError

PLAIN = {"hidden_act": "silu", "rope_scaling": None, "quantization_config": None, "pretraining_tp": 1}
"""What a config may say of these, or leave out: anything else is another computation."""


class Attention(nn.Module):
    """Causal, with rotary places; groups of heads share keys and values."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        width, heads = config["hidden_size"], config["num_attention_heads"]
        size = config.get("head_dim") or width // heads
        shared = config.get("num_key_value_heads") or heads
        bias, self.size = bool(config.get("attention_bias")), size
        self.q_proj = nn.Linear(width, heads * size, bias=bias)
        self.k_proj = nn.Linear(width, shared * size, bias=bias)
        self.v_proj = nn.Linear(width, shared * size, bias=bias)
        self.o_proj = nn.Linear(heads * size, width, bias=bias)

    def forward(self, x_NTD: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        rows, tokens, _ = x_NTD.shape
        q, k, v = (
            project(x_NTD).view(rows, tokens, -1, self.size).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        q, k = _turned(q, *turn), _turned(k, *turn)
        k, v = (x.repeat_interleave(q.shape[1] // k.shape[1], 1) for x in (k, v))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o_proj(mixed.transpose(1, 2).reshape(rows, tokens, -1))


class Mlp(nn.Module):
    """A gated feed-forward layer."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        width, wide, bias = config["hidden_size"], config["intermediate_size"], bool(config.get("mlp_bias"))
        self.gate_proj = nn.Linear(width, wide, bias=bias)
        self.up_proj = nn.Linear(width, wide, bias=bias)
        self.down_proj = nn.Linear(wide, width, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Block(nn.Module):
    """Attention, then feed-forward, each behind a norm."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        width, eps = config["hidden_size"], config["rms_norm_eps"]
        self.self_attn, self.mlp = Attention(config), Mlp(config)
        self.input_layernorm, self.post_attention_layernorm = (nn.RMSNorm(width, eps) for _ in range(2))

    def forward(self, x_NTD: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        x_NTD = x_NTD + self.self_attn(self.input_layernorm(x_NTD), turn)
        return x_NTD + self.mlp(self.post_attention_layernorm(x_NTD))


class Llama(nn.Module):
    """``hidden(ids, layer)``: layer 0 is the embedding, ``layers`` the last, behind the final norm."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        require_plain(config)
        self.layers_there = config["num_hidden_layers"]
        self.size = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
        self.base = float((config.get("rope_parameters") or config).get("rope_theta", 10000.0))
        self.embed_tokens = nn.Embedding(config["vocab_size"], config["hidden_size"])
        self.layers = nn.ModuleList(Block(config) for _ in range(self.layers_there))
        self.norm = nn.RMSNorm(config["hidden_size"], config["rms_norm_eps"])

    def hidden(self, ids_NT: Tensor, layer: int) -> Tensor:
        """float[N, T, D]."""
        x_NTD, turn = self.embed_tokens(ids_NT), self._turn(ids_NT)
        for block in self.layers[:layer]:
            x_NTD = block(x_NTD, turn)
        return self.norm(x_NTD) if layer == self.layers_there else x_NTD

    def _turn(self, ids_NT: Tensor) -> tuple[Tensor, Tensor]:
        pairs = torch.arange(0, self.size, 2, device=ids_NT.device).float() / self.size
        angles = torch.arange(ids_NT.shape[1], device=ids_NT.device).float()[:, None] * self.base**-pairs
        both = torch.cat([angles, angles], -1)
        return both.cos(), both.sin()


def require_plain(config: Mapping[str, Any]) -> None:
    """Raise DataError ENCODER_MODEL for a config of another computation than the one here."""
    odd = {name: config[name] for name, plain in PLAIN.items() if config.get(name, plain) != plain}
    rope = (config.get("rope_parameters") or {}).get("rope_type", "default")
    odd |= {} if rope == "default" else {"rope_parameters": rope}
    odd |= {} if config.get("model_type") == "llama" else {"model_type": config.get("model_type")}
    if odd:
        raise DataError("ENCODER_MODEL", "only the plain Llama is known", expected="model_type llama", found=odd)


def load_llama(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Llama:
    """The model with its weights, in 32-bit floats and evaluation mode. An output layer is left aside.

    Raises DataError ENCODER_MODEL where names or shapes are not the config's.
    """
    try:
        with torch.device("meta"):
            model = Llama(config)
        own = {
            name.removeprefix("model."): value.float() for name, value in tensors.items() if name != "lm_head.weight"
        }
        model.load_state_dict(own, assign=True)
    except (KeyError, TypeError, RuntimeError) as error:
        raise DataError("ENCODER_MODEL", f"the tensors are not those of the config: {error}") from error
    return model.eval().requires_grad_(False)


def _turned(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    first, second = x.chunk(2, -1)
    return x * cosine + torch.cat([-second, first], -1) * sine
