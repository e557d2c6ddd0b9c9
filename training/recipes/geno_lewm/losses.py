"""The loss, on changes in units of sigma. B rows, K steps, D width of a state.

|yhat - y|^2 / D + step |error of the edit's own part|^2 / D + cosine (1 - cos(yhat, y)), a mean over the steps that
there are; in the adapter's phase, with shortfall of deviations and covariances of the predictions (VICReg: Bardes,
Ponce & LeCun 2022).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from training.recipes.geno_lewm.config import LossConfig


def change_loss(predicted_BKD: Tensor, batch: Mapping[str, Tensor], config: LossConfig) -> dict[str, Tensor]:
    """Scalars; ``loss`` is minimised."""
    change_BKD, valid_BK = batch["change"], batch["valid"]
    error_BKD = predicted_BKD - change_BKD
    own_BKD = torch.diff(error_BKD, dim=1, prepend=torch.zeros_like(error_BKD[:, :1]))
    square = error_BKD.square().mean(-1)[valid_BK].mean()
    step = own_BKD.square().mean(-1)[valid_BK].mean()
    cosine = (1 - F.cosine_similarity(predicted_BKD, change_BKD, dim=-1))[valid_BK].mean()
    loss = square + config.step * step + config.cosine * cosine
    found = {"square": square, "step": step, "cosine": cosine}
    if config.phase == "adapter":
        variance, covariance = spread(predicted_BKD[valid_BK], change_BKD[valid_BK])
        loss = loss + config.variance * variance + config.covariance * covariance
        found |= {"variance": variance, "covariance": covariance}
    return {"loss": loss, **found}


def spread(predicted_ND: Tensor, target_ND: Tensor) -> tuple[Tensor, Tensor]:
    """By how much deviations fall short of the targets', a mean over dimensions; mean square of covariances beside."""
    rows, dims = predicted_ND.shape
    deviation = (predicted_ND.var(0) + 1e-4).sqrt()
    variance = F.relu((target_ND.var(0) + 1e-4).sqrt() - deviation).mean()
    centred = predicted_ND - predicted_ND.mean(0)
    covariance = centred.T @ centred / max(rows - 1, 1)
    beside = covariance - torch.diag(covariance.diagonal())
    return variance, beside.square().sum() / dims


def train_only(model: torch.nn.Module, config: LossConfig) -> None:
    """In the adapter's phase, everything but the adapter stays as it is."""
    if config.phase == "adapter":
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name.startswith("adapter"))
