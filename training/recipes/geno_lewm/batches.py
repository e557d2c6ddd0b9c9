"""Rows of trajectories as tensors."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from training.recipes.geno_lewm.data import Rows


def batch_of(rows: Rows, chosen: np.ndarray) -> dict[str, Tensor]:
    """``state`` float32[B, D]; ``offset``, ``shift``, ``kind`` int64[B, K]; ``deleted``, ``inserted`` int64[B, K, A];
    ``change`` float32[B, K, D] in units of sigma; ``valid`` bool[B, K]. By position also ``carried`` float32[B, K, D],
    as the change that it makes, and ``flank`` float32[B, K, F].
    """
    states = torch.from_numpy(rows.states_RSD[chosen])
    sigma = torch.tensor(rows.sigma_D)
    positions: dict[str, Tensor] = {}
    if rows.positions is not None:
        carried = torch.from_numpy(rows.positions.carried_RKD[chosen])
        positions["carried"] = (carried - states[:, :1]) / sigma
        positions["flank"] = torch.from_numpy(rows.positions.flank_RKF[chosen])
    return {
        "state": states[:, 0],
        "offset": torch.from_numpy(rows.offset_RK[chosen]),
        "shift": torch.from_numpy(rows.shift_RK[chosen]),
        "kind": torch.from_numpy(rows.kind_RK[chosen]),
        "deleted": torch.from_numpy(rows.deleted_RKA[chosen].astype(np.int64)),
        "inserted": torch.from_numpy(rows.inserted_RKA[chosen].astype(np.int64)),
        "change": (states[:, 1:] - states[:, :1]) / sigma,
        "valid": torch.from_numpy(np.arange(3)[None, :] < rows.steps_R[chosen][:, None]),
        **positions,
    }
