"""Losses over token labels, by name. Every one ignores the label -100 and is a mean over the labels that are left.

Which losses are refused, and why, is in :mod:`training.tokens.config`, which needs no torch.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from assets_data.lineage import ConfigError
from training.tokens.config import TokenLoss
from training.tokens.rows import IGNORED

Loss = Callable[[Tensor, Tensor], dict[str, Tensor]]
"""(logits float[N, V], labels int64[N]) to scalars, ``loss`` among them."""


def token_loss(config: TokenLoss) -> Loss:
    """The loss of that name with its arguments. Raises ConfigError LOSS_UNKNOWN or LOSS_ARGUMENTS."""
    if config.name not in _LOSSES:
        known = sorted(_LOSSES)
        raise ConfigError("LOSS_UNKNOWN", "no such loss for token labels", expected=known, found=config.name)
    try:
        return _LOSSES[config.name](**config.kwargs)
    except (TypeError, ValueError) as error:
        raise ConfigError("LOSS_ARGUMENTS", f"{config.name}: {error}", where="loss.kwargs") from error


def _cross_entropy(label_smoothing: float = 0.0) -> Loss:
    """Mean negative log-likelihood in nats; smoothing as in Szegedy et al. 2016."""
    return lambda logits_NV, labels_N: {
        "loss": F.cross_entropy(logits_NV, labels_N, ignore_index=IGNORED, label_smoothing=label_smoothing)
    }


def _z_loss(weight: float = 1e-4, label_smoothing: float = 0.0) -> Loss:
    """Cross-entropy plus ``weight * log(Z)**2``, which keeps logits from drifting (Chowdhery et al. 2022)."""
    cross_entropy = _cross_entropy(label_smoothing)

    def loss(logits_NV: Tensor, labels_N: Tensor) -> dict[str, Tensor]:
        nats, kept = cross_entropy(logits_NV, labels_N)["loss"], labels_N != IGNORED
        squares_N = logits_NV.float().logsumexp(-1).square() * kept
        z = squares_N.sum() / kept.sum()
        return {"loss": nats + weight * z, "cross_entropy": nats.detach(), "z": z.detach()}

    return loss


def _bi_tempered_logistic(t1: float = 0.8, t2: float = 1.2, label_smooth: float = 0.0) -> Loss:
    """Bounded loss with a heavy tail, for noisy labels (Amid et al. 2019); from pytorch_optimizer."""
    import pytorch_optimizer

    module = pytorch_optimizer.BiTemperedLogisticLoss(t1, t2, label_smooth, ignore_index=IGNORED)
    return lambda logits_NV, labels_N: {"loss": module(logits_NV, labels_N)}


def _focal_cosine(alpha: float = 1.0, gamma: float = 2.0, focal_weight: float = 0.1) -> Loss:
    """Cosine plus focal loss (Barz and Denzler 2020), from pytorch_optimizer, on the labels that count."""
    import pytorch_optimizer

    return _on_kept(pytorch_optimizer.FocalCosineLoss(alpha, gamma, focal_weight))


def _multi_margin(p: int = 1, margin: float = 1.0) -> Loss:
    """Multi-class hinge loss (Crammer and Singer 2001), torch's, on the labels that count."""
    return _on_kept(torch.nn.MultiMarginLoss(p=p, margin=margin))


def _on_kept(module: Callable[[Tensor, Tensor], Tensor]) -> Loss:
    """For a loss that knows no label to ignore. Asks the device how many are left: one synchronisation per batch."""

    def loss(logits_NV: Tensor, labels_N: Tensor) -> dict[str, Tensor]:
        kept_N = labels_N != IGNORED
        return {"loss": module(logits_NV[kept_N], labels_N[kept_N])}

    return loss


_LOSSES: dict[str, Callable[..., Loss]] = {
    "cross_entropy": _cross_entropy,
    "z_loss": _z_loss,
    "bi_tempered_logistic": _bi_tempered_logistic,
    "focal_cosine": _focal_cosine,
    "multi_margin": _multi_margin,
}
