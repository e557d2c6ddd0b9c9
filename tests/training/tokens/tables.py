"""A causal recipe in miniature: the next token's logits are a row of a table, so losses and answers are known."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from assets_data.lineage import option, with_overrides
from training.config import TrainConfig
from training.tokens import CausalRecipe, TokenGate
from training.tokens.config import TokenLoss


@dataclass(frozen=True, slots=True, kw_only=True)
class TableConfig:
    """What every recipe on tokens has, and the length of a sequence."""

    context: int = option(32, "most tokens the model sees")
    train: TrainConfig = option(TrainConfig(updates=4, batch_rows=8, threads=1, device="cpu"), "training run")
    loss: TokenLoss = option(TokenLoss(), "loss over token labels")
    gate: TokenGate = option(TokenGate(rows=20, samples=3, sample_tokens=6), "gate")


class Table(nn.Module):
    """logits_BTV of ids_BT: one row per token."""

    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        self.next = nn.Embedding(vocab_size, vocab_size)

    def forward(self, ids_BT):
        return self.next(ids_BT)


class TableLm(CausalRecipe):
    """The least a causal recipe needs."""

    name = "table_lm"
    presets = {"only": TableConfig}
    config_type = TableConfig
    room = "context"

    def build_model(self, config, inputs):
        return Table(inputs["vocab_size"])


RECIPE = TableLm()


def config(**changes) -> TableConfig:
    return with_overrides(TableConfig(), changes)


def ladder(vocab_size: int = 12, certainty: float = 30.0) -> Table:
    """A model that is all but certain that the next token is the next number; after the last comes 2, the end."""
    model = Table(vocab_size)
    following = [*range(1, vocab_size), 2]
    with torch.no_grad():
        model.next.weight.copy_(certainty * nn.functional.one_hot(torch.tensor(following), vocab_size))
    return model
