"""A recipe in miniature: rows of numbers, a small network with dropout, so that a lost generator state shows."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from assets_data.lineage import array_key64, option, with_overrides
from training.config import OptimizerConfig, ScheduleConfig, TrainConfig
from training.data import TableRef
from training.recipe import Recipe

WIDTH = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class ToyConfig:
    """What the loop needs of a recipe's config, and one field of its own."""

    dropout: float = option(0.2, "dropout probability")
    train: TrainConfig = option(TrainConfig(), "training run")


def toy_config(**overrides) -> ToyConfig:
    """Twelve updates over 20 rows of batches of 4: an epoch's edge falls on an update's (5) and between saves (3)."""
    train = TrainConfig(
        updates=12,
        batch_rows=4,
        optimizer=OptimizerConfig(lr=1e-2),
        schedule=ScheduleConfig(name="cosine_warmup", warmup=2),
        threads=1,
        log_every=2,
        monitor_every=4,
        checkpoint_every=3,
        device="cpu",
    )
    return with_overrides(ToyConfig(train=train), overrides)


@dataclass
class ToyData:
    rows: np.ndarray
    members: dict[str, str] = field(default_factory=lambda: {"toy": "sha256:toy"})
    items_per_row: float = WIDTH
    validation: ToyData | None = None

    @property
    def row_keys(self) -> np.ndarray:
        return array_key64(self.rows)

    @property
    def tables(self) -> tuple[TableRef, ...]:
        return (TableRef(self.members["toy"], "rows.arrow"),)


def toy_data(rows: int = 20, heldout: int = 9) -> ToyData:
    random = np.random.default_rng(1)
    train = random.normal(size=(rows, WIDTH)).astype(np.float32)
    return ToyData(train, validation=ToyData(random.normal(size=(heldout, WIDTH)).astype(np.float32)))


class ToyRecipe(Recipe):
    name = "toy"
    item = "numbers"
    config_type = ToyConfig
    presets = {"demo": toy_config}

    def model_inputs(self, data, config):
        return {"width": data.rows.shape[1]}

    def build_model(self, config, inputs):
        width = inputs["width"]
        return nn.Sequential(nn.Linear(width, 8), nn.LayerNorm(8), nn.Dropout(config.dropout), nn.Linear(8, width))

    def batch(self, data, config, rows, epochs):
        return {"x": torch.from_numpy(data.rows[rows])}

    def loss(self, model, config, batch):
        difference = model(batch["x"]) - batch["x"]
        return {"loss": difference.square().mean(), "distance": difference.abs().mean()}

    def monitor(self, model, data, config):
        torch.rand(7)  # a careless monitor that draws from the global generator
        return {"heldout": float(model(torch.ones(1, WIDTH)).mean())}
