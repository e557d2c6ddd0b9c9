"""A frozen encoder, and the one function that makes a state of a window. N windows, W bases, T tokens, D width, K
steps, P bases beside an edit.

A state is three vectors of one layer end to end: the anchor's token, the mean of the tokens near it, and a wider mean.
Source and target go through the very same function, with the anchor in the middle of the window, in 32-bit floats.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from assets_data.domains.genome.read import STEPS, N
from assets_data.lineage import DataError, Snapshot, digest_json, to_dict
from training.recipes.dna_lm import RECIPE as DNA_LM
from training.recipes.geno_lewm.config import StatesConfig
from training.stages import load_model

TOLERANCE = 1e-4
"""Largest difference between a state from a batch of 1 and from a full one, relative to the states' spread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoder:
    """``hidden(codes int64[N, W]) -> float32[N, T, D]``; ``token`` is the place of the anchor's among the T."""

    id: str
    hidden: Callable[[Tensor], Tensor]
    token: Callable[[int], int]
    device: torch.device


def open_encoder(checkpoint: Snapshot, config: StatesConfig, device: torch.device) -> Encoder:
    """The encoder of a dna_lm checkpoint. Its id is a digest of what identifies the checkpoint and of ``config``.

    Raises DataError ENCODER_LAYER for a layer that it does not have.
    """
    model: Any = load_model(DNA_LM, checkpoint).to(device).float().eval().requires_grad_(False)
    layer = layer_of(config, model.layers)
    return Encoder(
        id=encoder_id(checkpoint, config, layer),
        hidden=lambda codes: model.hidden(codes, layer),
        token=lambda width: width // 2,
        device=device,
    )


def layer_of(config: StatesConfig, layers: int) -> int:
    """The layer that is read, as a number from 0. Raises DataError ENCODER_LAYER where there is none such."""
    layer = layers if config.layer == -1 else config.layer
    if not 0 <= layer <= layers:
        raise DataError("ENCODER_LAYER", "no such layer", expected=f"-1 to {layers}", found=config.layer)
    return layer


def encoder_id(checkpoint: Snapshot, config: StatesConfig, layer: int) -> str:
    """A digest of what identifies the snapshot of the weights, and of how states are made with them."""
    contract = {name: value for name, value in to_dict(config).items() if name not in ("batch", "shard")}
    return digest_json({"encoder": checkpoint.id, "contract": {**contract, "layer": layer}})


def states(encoder: Encoder, windows: np.ndarray, config: StatesConfig) -> np.ndarray:
    """float32[N, 3 D] of ``windows`` (uint8[N, W] codes)."""
    found = [
        _states(encoder, windows[begin : begin + config.batch], config)
        for begin in range(0, len(windows), config.batch)
    ]
    return np.concatenate(found)


def require_stable(encoder: Encoder, windows: np.ndarray, config: StatesConfig) -> None:
    """Raise DataError ENCODER_UNSTABLE where a window's state depends on the windows it is encoded with."""
    probe = windows[: config.batch]
    together = _states(encoder, probe, config)
    alone = np.concatenate([_states(encoder, probe[row : row + 1], config) for row in range(min(8, len(probe)))])
    worst = float(np.abs(together[: len(alone)] - alone).max())
    bound = TOLERANCE * max(float(together.std()), 1e-6)
    if not worst <= bound:
        action = "the model is not in evaluation mode, or it mixes the rows of a batch"
        raise DataError(
            "ENCODER_UNSTABLE",
            "a state depends on the batch",
            expected=f"at most {bound:.3g}",
            found=worst,
            action=action,
        )


def carry(
    encoder: Encoder, windows_NW: np.ndarray, carried_NKW: np.ndarray, flank_NKP: np.ndarray, config: StatesConfig
) -> np.ndarray:
    """float32[N, K, 3 D + P D]: after each step the state that the vectors before all edits give at the places they are
    carried to, and behind it those beside the edit. Places are those of :func:`places`.

    Raises DataError ENCODER_POSITIONS for an encoder that has no vector of each base.
    """
    found = []
    for begin in range(0, len(windows_NW), config.batch):
        own = slice(begin, begin + config.batch)
        found.append(_carry(encoder, windows_NW[own], carried_NKW[own], flank_NKP[own], config))
    return np.concatenate(found)


def _states(encoder: Encoder, windows: np.ndarray, config: StatesConfig) -> np.ndarray:
    with torch.inference_mode():
        codes = torch.from_numpy(windows.astype(np.int64)).to(encoder.device)
        return pooled(encoder.hidden(codes).float(), encoder.token(windows.shape[1]), config).cpu().numpy()


def pooled(hidden_NTD: Tensor, anchor: int, config: StatesConfig) -> Tensor:
    """float32[N, 3 D]: the state that the tokens' vectors around the anchor's make."""
    found = torch.cat([_mean(hidden_NTD, anchor, radius) for radius in (0, config.near, config.far)], 1)
    return found / found.norm(dim=1, keepdim=True).clamp(min=1e-12) if config.norm == "l2" else found


def _mean(hidden_NTD: Tensor, anchor: int, radius: int) -> Tensor:
    """The mean of the tokens within ``radius`` of the anchor's."""
    return hidden_NTD[:, max(0, anchor - radius) : anchor + radius + 1].mean(1)


def _carry(
    encoder: Encoder, windows_NW: np.ndarray, carried_NKW: np.ndarray, flank_NKP: np.ndarray, config: StatesConfig
) -> np.ndarray:
    with torch.inference_mode():
        codes = torch.from_numpy(windows_NW.astype(np.int64)).to(encoder.device)
        vectors, anchor = _with_means(encoder.hidden(codes).float(), codes), encoder.token(codes.shape[1])
        made = []
        for step in range(STEPS):
            carried = pooled(_taken(vectors, carried_NKW[:, step]), anchor, config)
            made.append(torch.cat([carried, _taken(vectors, flank_NKP[:, step]).flatten(1)], 1))
        return torch.stack(made, 1).cpu().numpy()


def _with_means(hidden_NTD: Tensor, codes_NW: Tensor) -> Tensor:
    """float32[N, W + 5, D]: behind the vectors, for bases that have none, the window's mean by base, A, C, G and T, and
    its mean over all, which also stands for a base that the window lacks.
    """
    if hidden_NTD.shape[1] != codes_NW.shape[1]:
        action = "make the state table with state=pooled"
        what = "the encoder has no vector of each base to carry along"
        found = hidden_NTD.shape[1]
        raise DataError("ENCODER_POSITIONS", what, expected=codes_NW.shape[1], found=found, action=action)
    ours_NW4 = (codes_NW[..., None] == torch.arange(N, device=codes_NW.device)).float()
    count_N41, mean_N1D = ours_NW4.sum(1)[..., None], hidden_NTD.mean(1, keepdim=True)
    by_base = torch.where(count_N41 > 0, ours_NW4.mT @ hidden_NTD / count_N41.clamp(min=1), mean_N1D)
    return torch.cat([hidden_NTD, by_base, mean_N1D], 1)


def _taken(vectors_NVD: Tensor, places_NP: np.ndarray) -> Tensor:
    """float32[N, P, D]: of each row the vectors at its places."""
    places_NP1 = torch.from_numpy(places_NP.astype(np.int64))[..., None].to(vectors_NVD.device)
    return vectors_NVD.gather(1, places_NP1.expand(-1, -1, vectors_NVD.shape[2]))
