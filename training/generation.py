"""Choosing tokens when a model writes: greedy, temperature, nucleus. Also the byte vocabulary of made-up text.

Randomness is keyed by (seed, step, place in the batch), so an answer depends on nothing else that was sampled before.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from assets_data.lineage import ConfigError, uniform01

if TYPE_CHECKING:
    from torch import Tensor

PAD, BOS, EOS = 0, 1, 2
FIRST_BYTE = 4
BYTES = "bytes"
"""Names the byte vocabulary where a recipe's model inputs would name a tokenizer's snapshot."""
BYTE_VOCABULARY = FIRST_BYTE + 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How to write. Temperature 0 is greedy, whatever ``top_p`` and ``seed`` are."""

    max_new_tokens: int = 64
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1 or self.temperature < 0.0 or not 0.0 < self.top_p <= 1.0:
            what = "max_new_tokens must be at least 1, temperature not negative, top_p in (0, 1]"
            raise ConfigError("SAMPLING_RANGE", what, found=f"{self}")


def choose(logits_NV: Tensor, step: int, sampling: Sampling) -> Tensor:
    """int64[N]: the next token of each row, on the logits' device. Greedy ties go to the lowest id.

    The nucleus is the smallest set of likeliest tokens whose probability reaches ``top_p`` (Holtzman et al. 2020).
    """
    if sampling.temperature == 0.0:
        return logits_NV.argmax(dim=-1)
    import torch

    scaled_NV = logits_NV.detach().cpu().double() / sampling.temperature  # on the host: few numbers, same bits anywhere
    sorted_NV, token_NV = scaled_NV.softmax(dim=-1).sort(dim=-1, descending=True, stable=True)
    before_NV = sorted_NV.cumsum(dim=-1) - sorted_NV
    kept_NV = torch.where(before_NV < sampling.top_p, sorted_NV, 0.0).cumsum(dim=-1)
    u_N = uniform01(sampling.seed, f"sample/{step}", np.arange(len(logits_NV), dtype=np.uint64))
    place_N1 = torch.searchsorted(kept_NV, torch.from_numpy(u_N)[:, None] * kept_NV[:, -1:], right=True)
    return token_NV.gather(1, place_N1).squeeze(1).to(logits_NV.device)


def encode_bytes(text: str) -> list[int]:
    """Ids of the text's UTF-8 bytes, without specials."""
    return [FIRST_BYTE + byte for byte in text.encode()]


def decode_bytes(ids: Iterable[int]) -> str:
    """The inverse of :func:`encode_bytes`; specials are left out, broken UTF-8 shows as replacement characters."""
    return bytes(i - FIRST_BYTE for i in ids if i >= FIRST_BYTE).decode(errors="replace")
