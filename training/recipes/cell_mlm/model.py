"""The three models: an encoder, an autoregressive one, a masked autoencoder, over the same tokens.

Shapes: B cells, T genes, S = T + 2 tokens ([cls] and the total come first), D width, G genes of the vocabulary, V bins,
K targets. A batch is what ``batches.make_batch`` gives.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.recipes.cell_mlm.config import CellMlmConfig
from training.recipes.cell_mlm.layers import Stack, initialise
from training.recipes.cell_mlm.tokens import BUCKETS, TOTALS, rank_bucket

PREFIX = 2
"""Tokens before the first gene."""
MATRIX = 128
"""Columns of the fixed matrix of ``gene_embedding``."""
Batch = Mapping[str, Tensor]


class Values(nn.Module):
    """What is said of a gene besides its name, as a vector; a hidden one is the mask's."""

    told: Tensor

    def __init__(self, config: CellMlmConfig, genes: int, bins: int) -> None:
        super().__init__()
        self.kind, width = config.tokens.tokenizer, config.model.width
        self.mask = nn.Embedding(1, width)
        if self.kind == "rank_value":
            exact = config.tokens.ranks == "exact" or config.model.family == "autoregressive"
            places = np.arange(config.tokens.length)
            self.rank = nn.Embedding(len(places) if exact else BUCKETS, width)
            self.register_buffer("told", torch.from_numpy(places if exact else rank_bucket(places)), persistent=False)
        elif self.kind == "binned":
            self.bin, self.slope = nn.Embedding(bins, width), nn.Embedding(genes, width)
        else:
            self.up, self.down = nn.Linear(1, width), nn.Linear(width, width)

    def forward(self, batch: Batch) -> Tensor:
        """float[B, T, D]. Of a hidden value nothing goes in; a rank is a place, and told as the config says."""
        if self.kind == "rank_value":
            places_T = self.told[: batch["genes"].shape[1]]
            return self.rank(places_T).expand(*batch["genes"].shape, -1)
        if self.kind == "binned":
            size = torch.log2(1 + batch["counts"].float()) - 1
            said = self.bin(batch["bins"]) + self.slope(batch["genes"]) * size[..., None]
        else:
            said = self.down(F.gelu(self.up(batch["values"][..., None])))
        return torch.where(batch["masked"][..., None], self.mask.weight, said)


class CellModel(nn.Module):
    """Embeddings, blocks and heads that the three families share."""

    fixed: Tensor
    causal = False

    def __init__(self, config: CellMlmConfig, inputs: Mapping[str, Any]) -> None:
        super().__init__()
        self.config = config
        genes, bins, size = len(inputs["genes"]), inputs["bins"], config.model
        self.genes, self.bins = genes, bins
        self.gene = nn.Embedding(genes + 2, size.width)  # the last two: [cls] and the mask
        self.total = nn.Embedding(TOTALS, size.width)
        self.value = Values(config, genes, bins)
        self.stack = Stack(size.layers, size.width, size.heads, size.mlp_ratio)
        self.head = nn.Linear(size.width, size.width)
        self.gene_bias = nn.Embedding(genes, 1)
        self.bin_head, self.bin_bias = nn.Linear(size.width, bins), nn.Embedding(genes, bins)
        self.value_head, self.value_bias = nn.Linear(size.width, 1), nn.Embedding(genes, 1)
        self.rate, self.spread = nn.Embedding(genes, 1), nn.Embedding(genes, 1)
        self.project = nn.Linear(MATRIX, size.width) if config.tokens.tokenizer == "gene_embedding" else None
        if self.project is not None:
            self.register_buffer("fixed", torch.randn(genes, MATRIX))
        initialise(self, size.layers)
        self._begin_at_marginals(inputs)

    def checkpoint_gradients(self) -> None:
        """From now on keep only each block's input for the backward pass and compute the rest again there."""
        for module in self.modules():
            if isinstance(module, Stack):
                module.recompute = True

    def forward(self, batch: Batch) -> Tensor:
        """float[B, S, D]: what the model makes of every token."""
        return self.stack(self.embed_tokens(batch), self.seen(batch), self.causal)

    def embed_tokens(self, batch: Batch) -> Tensor:
        """float[B, S, D]."""
        genes_BT = batch["genes"]
        name_BTD = (
            self.gene(genes_BT)
            if self.project is None
            else self.project(self.fixed[genes_BT.clamp(max=self.genes - 1)])
        )
        if "hidden_names" in batch:
            name_BTD = torch.where(batch["hidden_names"][..., None], self.gene.weight[self.genes + 1], name_BTD)
        first_BD = self.gene.weight[self.genes].expand(len(genes_BT), -1)
        prefix_B2D = torch.stack([first_BD, self.total(batch["totals"])], 1)
        return torch.cat([prefix_B2D, name_BTD + self.value(batch)], 1)

    def seen(self, batch: Batch) -> Tensor:
        """bool[B, S]: what is no padding."""
        return F.pad(batch["valid"], (PREFIX, 0), value=True)

    def embedding(self, batch: Batch) -> Tensor:
        """float[B, D]: the mean over a cell's genes."""
        valid_BT1 = batch["valid"][..., None].to(self.total.weight.dtype)
        x_BTD = self(batch)[:, PREFIX:]
        return (x_BTD * valid_BT1).sum(1) / valid_BT1.sum(1)

    def gene_logits(self, x_KD: Tensor) -> Tensor:
        """float[K, G]: the embedding of genes is the head (tied), about each gene's log frequency."""
        return self.head(x_KD) @ self.gene.weight[: self.genes].T + self.gene_bias.weight[:, 0]

    def bin_logits(self, x_KD: Tensor, genes_K: Tensor) -> Tensor:
        """float[K, V], about each gene's log marginal."""
        return self.bin_head(x_KD) + self.bin_bias(genes_K)

    def predicted_value(self, x_KD: Tensor, genes_K: Tensor) -> Tensor:
        """float[K]: log1p(1e4 count / total), about each gene's mean."""
        return self.value_head(x_KD)[:, 0] + self.value_bias(genes_K)[:, 0]

    def count_parameters(self, x_KD: Tensor, genes_K: Tensor, log_total_K: Tensor) -> tuple[Tensor, Tensor]:
        """``(log mean, log size)`` of the negative binomial of a count, with the cell's total as exposure."""
        turned_K = (self.head(x_KD) * self.gene(genes_K)).sum(-1) + self.value_head(x_KD)[:, 0]
        return log_total_K + self.rate(genes_K)[:, 0] + turned_K, self.spread(genes_K)[:, 0]

    def _begin_at_marginals(self, inputs: Mapping[str, Any]) -> None:
        with torch.no_grad():
            self.gene_bias.weight[:, 0] = torch.tensor(inputs["gene_log_share"])
            self.bin_bias.weight.copy_(torch.tensor(inputs["bin_log_share"]))
            self.value_bias.weight[:, 0] = torch.tensor(inputs["value_mean"])
            self.rate.weight[:, 0] = torch.tensor(inputs["log_rate"])
            self.spread.weight.fill_(math.log(4.0))
            for layer in (self.bin_head, self.value_head):
                layer.weight.mul_(0.1)


class Encoder(CellModel):
    """Every gene sees every other."""


class Autoregressive(CellModel):
    """Every gene sees those that rank before it, and position t predicts gene t + 1 and its bin."""

    causal = True

    def embedding(self, batch: Batch) -> Tensor:
        """float[B, D]: the last gene's position."""
        last_B = batch["valid"].sum(1) + PREFIX - 1
        return self(batch)[torch.arange(len(last_B), device=last_B.device), last_B]


class Autoencoder(CellModel):
    """The encoder is given the visible genes alone; the decoder is told which genes are hidden, and gives values."""

    def __init__(self, config: CellMlmConfig, inputs: Mapping[str, Any]) -> None:
        super().__init__(config, inputs)
        size = config.model
        self.decoder = Stack(size.decoder_layers, size.width, size.heads, size.mlp_ratio)
        self.hidden = nn.Embedding(1, size.width)
        initialise(self.decoder, size.decoder_layers)
        nn.init.normal_(self.hidden.weight, std=0.02)

    def decode(self, batch: Batch) -> Tensor:
        """float[B, H, D] at the hidden genes, from the visible ones as the encoder left them."""
        asked_BHD = self.gene(batch["asked"]) + self.hidden.weight
        x_BSD = torch.cat([self(batch), asked_BHD], 1)
        seen_BS = torch.cat([self.seen(batch), batch["asked_valid"]], 1)
        return self.decoder(x_BSD, seen_BS)[:, -batch["asked"].shape[1] :]


FAMILIES = {"encoder": Encoder, "autoregressive": Autoregressive, "mae": Autoencoder}
