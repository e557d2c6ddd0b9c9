"""Config of cell_mlm: tokens, objective, model, training run, gate. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from assets_data.lineage import option
from training.config import TrainConfig
from training.recipe import Issue

COUNT_BINS = (1, 2, 3, 5, 9, 17, 33, 65, 129)
"""Lower ends of the count bins after 0: 1, 2, 3-4, 5-8, ... and 129 and more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokensConfig:
    """A cell as tokens: [cls], its total, its genes."""

    tokenizer: Literal["rank_value", "binned", "continuous", "gene_embedding"] = option(
        "rank_value",
        "what is said of a gene besides its name: its rank, its bin, its value, its value by a fixed matrix",
    )
    bins: Literal["counts", "quantiles"] = option("counts", "bins of counts, or the vocabulary's quantile bins")
    ranks: Literal["buckets", "exact"] = option(
        "buckets",
        "how a rank is told: in steps of the square root of two, or exactly: then its neighbours give a gene away",
    )
    length: int = option(512, "most genes of a cell; of more, rank_value keeps the top and others a keyed draw")
    zeros: float = option(0.5, "share of genes without a count among a cell's genes, where values are predicted")
    selection: Literal["all", "most_expressed", "random_expressed"] = option(
        "all", "which genes of a training batch are looked at"
    )
    selected: int = option(0, "how many genes a selection keeps")


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveConfig:
    """What is predicted."""

    task: Literal["genes", "values"] = option(
        "genes", "of the encoder: which gene is hidden, or how often it was counted"
    )
    mask_share: float = option(0.15, "share of a cell's genes that are hidden: max(1, round(share * genes))")
    replaced: float = option(0.1, "share of the hidden that another gene stands for, in training on genes")
    kept: float = option(0.1, "share of the hidden that stay as they are, in training on genes")
    value_loss: Literal["ce", "mse", "nb"] = option(
        "ce",
        "of values: cross-entropy of the bin, squared error of the logarithm, or a negative binomial with exposure",
    )
    bin_weight: float = option(1.0, "weight of the bin's loss beside the next gene's, in the autoregressive model")
    balance: Literal["none", "copies", "loss"] = option(
        "none", "rare labels more often: by the vocabulary's copies in the order, or by weights of the loss"
    )
    curriculum_epochs: int = option(0, "epochs in which cells of few genes come first")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """A transformer over the genes of a cell."""

    family: Literal["encoder", "autoregressive", "mae"] = option(
        "encoder", "sees all, sees what ranks before, or sees the visible"
    )
    layers: int = option(2, "transformer blocks")
    decoder_layers: int = option(1, "blocks of the mae's decoder")
    width: int = option(64, "residual stream; divisible by heads")
    heads: int = option(4, "attention heads per block")
    mlp_ratio: int = option(4, "hidden width of the feed-forward part, in units of width")


@dataclass(frozen=True, slots=True, kw_only=True)
class GateConfig:
    """The registered evaluation. Changing any of it after training is refused."""

    prediction: bool = option(True, "judge held-out prediction against its baselines, in nats")
    over_frequency: float = option(
        0.2, "nats by which the lower bound must exceed the frequency by rank bucket (genes)"
    )
    over_knn: float = option(0.0, "nats by which the lower bound must exceed the nearest neighbours")
    probe: bool = option(True, "judge the linear probe against the untrained model")
    over_untrained: float = option(0.1, "accuracy by which the probe's lower bound must exceed the untrained model's")
    perturbation: bool = option(False, "judge held-out knock-downs by ridge regression's correlation and error")
    network: bool = option(False, "judge the network by its share of edges")
    over_base: float = option(3.0, "average precision must exceed so many times the share of edges")
    cells: int = option(400, "most held-out cells that are judged")
    neighbours: int = option(25, "of the nearest-neighbour baseline")
    resamples: int = option(2000, "bootstrap samples behind the intervals")
    seed: int = option(0, "draws the bootstrap samples and the cells")


@dataclass(frozen=True, slots=True, kw_only=True)
class CellMlmConfig:
    """Everything a run depends on besides its data."""

    tokens: TokensConfig = option(TokensConfig(), "tokens")
    objective: ObjectiveConfig = option(ObjectiveConfig(), "objective")
    model: ModelConfig = option(ModelConfig(), "model")
    train: TrainConfig = option(TrainConfig(), "training run")
    gate: GateConfig = option(GateConfig(), "gate")


def issues(config: CellMlmConfig) -> Iterator[Issue]:
    """Every contradiction of the recipe's own fields, all at once."""
    tokens, objective, model, gate = config.tokens, config.objective, config.model, config.gate
    sizes = (model.layers, model.width, model.heads, model.mlp_ratio, model.decoder_layers)
    if min(sizes) < 1 or model.width % model.heads:
        yield Issue.error("CELL_MLM_MODEL", "model", "sizes are at least 1, and width is divisible by heads")
    if tokens.length < 2 or not 0 <= tokens.zeros < 1:
        yield Issue.error("CELL_MLM_TOKENS", "tokens", "length is at least 2 and zeros in [0, 1)")
    if (tokens.selection != "all") != (tokens.selected > 0):
        yield Issue.error(
            "CELL_MLM_TOKENS", "tokens.selected", "a selection, and only a selection, keeps a number of genes"
        )
    shares = (objective.replaced, objective.kept)
    if not 0 < objective.mask_share < 1 or min(shares) < 0 or sum(shares) > 1:
        yield Issue.error("CELL_MLM_OBJECTIVE", "objective", "mask_share is in (0, 1); replaced and kept are shares")
    ranked = tokens.tokenizer == "rank_value"
    if objective.task == "values" and ranked and model.family == "encoder":
        message = "a rank gives a hidden value away: values need binned, continuous or gene_embedding"
        yield Issue.error("CELL_MLM_OBJECTIVE", "objective.task", message)
    if model.family == "mae" and ranked:
        yield Issue.error("CELL_MLM_MODEL", "model.family", "the autoencoder predicts values, which a rank gives away")
    if model.family == "encoder" and objective.task == "genes" and not ranked:
        message = "hidden genes are told by their rank: take rank_value, or task=values"
        yield Issue.error("CELL_MLM_OBJECTIVE", "objective.task", message)
    if objective.value_loss == "nb" and not (model.family == "encoder" and objective.task == "values"):
        yield Issue.error("CELL_MLM_OBJECTIVE", "objective.value_loss", "nb is of the encoder's values")
    if objective.curriculum_epochs < 0 or objective.bin_weight < 0:
        yield Issue.error("CELL_MLM_OBJECTIVE", "objective", "curriculum_epochs and bin_weight are not negative")
    if objective.curriculum_epochs and objective.balance == "copies":
        yield Issue.error("CELL_MLM_OBJECTIVE", "objective", "an order is balanced or a curriculum, not both")
    if min(gate.cells, gate.neighbours) < 1 or gate.over_base <= 0 or gate.resamples < 100:
        yield Issue.error("CELL_MLM_GATE", "gate", "cells and neighbours are at least 1, resamples at least 100")
