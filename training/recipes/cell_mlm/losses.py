"""What the models are trained for, and the nats by which the gate judges them: one number per target.

All are negative log-likelihoods in nats but the squared errors of the autoencoder and of ``value_loss=mse``.
"""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor

from training.recipes.cell_mlm.config import COUNT_BINS, CellMlmConfig
from training.recipes.cell_mlm.model import PREFIX, Autoencoder, Autoregressive, Batch, CellModel


def target_losses(model: CellModel, config: CellMlmConfig, batch: Batch) -> dict[str, Tensor]:
    """float[K] per name: of what is minimised, ``loss``, and its parts. K targets in the order of the batch."""
    if isinstance(model, Autoregressive):
        return _next_genes(model, config, batch)
    if isinstance(model, Autoencoder):
        x_BHD = model.decode(batch)
        x_KD = x_BHD.flatten(0, 1)[batch["where"]]
        error_K = (model.predicted_value(x_KD, batch["answer"]) - batch["answer_value"]).square()
        return {"loss": error_K, "value_mse": error_K}
    x_KD = model(batch)[:, PREFIX:].flatten(0, 1)[batch["where"]]
    if config.objective.task == "genes":
        nats_K = F.cross_entropy(hidden_gene_logits(model, x_KD, batch), batch["answer"], reduction="none")
        return {"loss": nats_K, "gene_nats": nats_K}
    return _values(model, config, batch, x_KD)


def hidden_gene_logits(model: CellModel, x_KD: Tensor, batch: Batch) -> Tensor:
    """float[K, G] over the genes that are not in sight: a gene occurs once in a cell."""
    return model.gene_logits(x_KD).float().masked_fill(batch["taken"][batch["cell"]], float("-inf"))


def count_log_bins(log_mean_K: Tensor, log_size_K: Tensor, top: int = COUNT_BINS[-1]) -> Tensor:
    """float[K, V]: log probabilities of the count bins under a negative binomial (mean, size).

    log P(k) = lgamma(k + r) - lgamma(r) - lgamma(k + 1) + r log(r / (r + m)) + k log(m / (r + m)).
    """
    counts_C = torch.arange(top, device=log_mean_K.device, dtype=log_mean_K.dtype)
    log_K1C = negative_binomial(counts_C, log_mean_K[:, None], log_size_K[:, None])
    edges = [0, *COUNT_BINS]
    below = [torch.logsumexp(log_K1C[:, low:high], 1) for low, high in itertools.pairwise(edges)]
    inside = torch.stack(below, 1)
    rest = torch.log((1 - inside.exp().sum(1)).clamp(min=1e-9))
    return torch.cat([inside, rest[:, None]], 1)


def negative_binomial(counts: Tensor, log_mean: Tensor, log_size: Tensor) -> Tensor:
    """log P(counts), see :func:`count_log_bins`."""
    size = log_size.exp()
    both = torch.logaddexp(log_mean, log_size)
    choose = torch.lgamma(counts + size) - torch.lgamma(size) - torch.lgamma(counts + 1)
    return choose + size * (log_size - both) + counts * (log_mean - both)


def _values(model: CellModel, config: CellMlmConfig, batch: Batch, x_KD: Tensor) -> dict[str, Tensor]:
    if config.objective.value_loss == "mse":
        error_K = (model.predicted_value(x_KD, batch["answer"]) - batch["answer_value"]).square()
        return {"loss": error_K, "value_mse": error_K}
    if config.objective.value_loss == "nb":
        log_mean_K, log_size_K = model.count_parameters(x_KD, batch["answer"], batch["log_total"])
        log_mean_K, log_size_K = log_mean_K.float(), log_size_K.float()
        nats_K = -negative_binomial(batch["answer_count"].float(), log_mean_K, log_size_K)
        with torch.no_grad():
            bins_KV = count_log_bins(log_mean_K, log_size_K)
            bin_K = -bins_KV.gather(1, batch["answer_bin"].clamp(max=bins_KV.shape[1] - 1)[:, None])[:, 0]
        return {"loss": nats_K, "bin_nats": bin_K}
    logits_KV = model.bin_logits(x_KD, batch["answer"]).float()
    nats_K = F.cross_entropy(logits_KV, batch["answer_bin"], reduction="none")
    return {"loss": nats_K, "bin_nats": nats_K}


def _next_genes(model: Autoregressive, config: CellMlmConfig, batch: Batch) -> dict[str, Tensor]:
    """Position t predicts gene t + 1 among those that have not come, and its bin."""
    x_BTD = model(batch)[:, PREFIX - 1 : -1]
    logits_BTG = next_gene_logits(model, x_BTD, batch["order"])
    valid_BT, genes_BT = batch["valid"], batch["genes"]
    gene_K = F.cross_entropy(logits_BTG[valid_BT], genes_BT[valid_BT], reduction="none")
    bins_KV = model.bin_logits(x_BTD[valid_BT], genes_BT[valid_BT]).float()
    bin_K = F.cross_entropy(bins_KV, batch["bins"][valid_BT], reduction="none")
    return {"loss": gene_K + config.objective.bin_weight * bin_K, "gene_nats": gene_K, "bin_nats": bin_K}


def next_gene_logits(model: Autoregressive, x_BTD: Tensor, order_BG: Tensor) -> Tensor:
    """float[B, T, G]: at each position the genes that came before are no answer."""
    places_T = torch.arange(x_BTD.shape[1], device=x_BTD.device)
    came_BTG = order_BG[:, None, :] < places_T[None, :, None]
    return model.gene_logits(x_BTD).float().masked_fill(came_BTG, float("-inf"))
