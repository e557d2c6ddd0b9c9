"""cell_mlm as a recipe: what the loop and the stages call. Imports torch only inside the methods that need it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from assets_data.lineage import Snapshot, Store
from assets_data.stage import One
from training.order import EACH_ONCE
from training.order.kinds import CURRICULUM, WEIGHTED, OrderKind
from training.recipe import Evaluation, Findings, Issue, Loading, Recipe
from training.recipes.cell_mlm.config import CellMlmConfig, issues
from training.recipes.cell_mlm.presets import PRESETS

if TYPE_CHECKING:
    from torch import Tensor

    from training.recipes.cell_mlm.data import CellData, Split
    from training.recipes.cell_mlm.model import CellModel


class CellMlm(Recipe):
    """Hidden genes or values, next genes, or an autoencoder."""

    name = "cell_mlm"
    item = "cells"
    presets = PRESETS
    config_type = CellMlmConfig
    task = "feature-extraction"
    inputs = {"manifest": One("cells/dataset_manifest")}
    figures = "assets_data.domains.cells.plots:gate_figures"

    def check(self, config: CellMlmConfig) -> Iterator[Issue]:
        """Contradictions in the config alone."""
        yield from super().check(config)
        yield from issues(config)

    def order(self, config: CellMlmConfig) -> OrderKind:
        """Balanced by the vocabulary's copies, or cells of few genes first, or each once."""
        if config.objective.balance == "copies":
            return OrderKind(name=WEIGHTED, column="copies")
        if config.objective.curriculum_epochs:
            return OrderKind(name=CURRICULUM, column="level", epochs=config.objective.curriculum_epochs)
        return EACH_ONCE

    def open_data(self, store: Store, inputs: Mapping[str, Snapshot], config: CellMlmConfig) -> CellData:
        """The cells of every dataset, memory-mapped."""
        from training.recipes.cell_mlm.data import open_data

        return open_data(store, inputs, config)

    def inspect(self, data: CellData, config: CellMlmConfig) -> Findings:
        """Registers cells, baselines, thresholds and seeds."""
        from training.recipes.cell_mlm.inspection import inspect

        return inspect(data, config)

    def model_inputs(self, data: CellData, config: CellMlmConfig) -> Mapping[str, Any]:
        """The vocabulary and the preprocessing, and the marginals that the heads begin at."""
        return model_inputs(data, config)

    def build_model(self, config: CellMlmConfig, inputs: Mapping[str, Any]) -> CellModel:
        """A new model with weights from torch's generator."""
        from training.recipes.cell_mlm.model import FAMILIES

        return FAMILIES[config.model.family](config, inputs)

    def batch(self, data: Split, config: CellMlmConfig, rows: np.ndarray, epochs: np.ndarray) -> dict[str, Tensor]:
        """See ``batches.make_batch``; with ``balance=loss`` also ``weight`` float32[K] of every target."""
        from training.recipes.cell_mlm.batches import make_batch

        batch = make_batch(data.cells, data.vocabulary, config, rows, epochs, data.held_out)
        if config.objective.balance == "loss" and not data.held_out:
            import torch

            copies = data.cells.table["copies"].take(rows).to_numpy().astype(np.float32)
            batch["copies"] = torch.from_numpy(copies)
        return batch

    def items(self, batch: Mapping[str, Tensor]) -> int:
        """How many genes are predicted."""
        return len(batch["answer"]) if "answer" in batch else int(batch["valid"].sum())

    def loss(self, model: CellModel, config: CellMlmConfig, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Means over the targets, weighted by the copies of their cell's label where the batch says them."""
        from training.recipes.cell_mlm.losses import target_losses

        found = target_losses(model, config, batch)
        if "copies" not in batch:
            return {name: value.mean() for name, value in found.items()}
        cell = batch["cell"] if "cell" in batch else batch["valid"].nonzero()[:, 0]
        weight = batch["copies"][cell]
        return {name: (value * weight).sum() / weight.sum() for name, value in found.items()}

    def monitor(self, model: CellModel, data: CellData, config: CellMlmConfig) -> dict[str, float]:
        """What a linear probe reads of validation cells, trained on training cells, where they have labels."""
        from training.recipes.cell_mlm.cell_types import monitor

        return monitor(model, data)

    def export(self, checkpoint: Snapshot, folder: Path) -> Loading:
        """The checkpoint as it is, with ``genes.json``: names in the order of the embedding, medians, preprocessing."""
        from training.recipes.cell_mlm.export import export

        return export(checkpoint, folder)

    def evaluate(self, model: CellModel, data: CellData, config: CellMlmConfig, preflight: Snapshot) -> Evaluation:
        """The registered cells, beside their registered baselines."""
        from training.recipes.cell_mlm.evaluate import evaluate

        return evaluate(model, data, config, preflight)

    def embed(self, model: CellModel, config: CellMlmConfig, inputs: Mapping[str, Any], rows: Any) -> np.ndarray:
        """float32[n, D] of cells of any file, by the names of their genes."""
        from training.recipes.cell_mlm.foreign import embed

        return embed(model, config, inputs, rows)


def model_inputs(data: CellData, config: CellMlmConfig) -> dict[str, Any]:
    """Names, medians and bins of the genes, and each gene's marginals over up to 2,000 training cells as tokens."""
    from training.recipes.cell_mlm.marginals import marginals
    from training.recipes.cell_mlm.tokens import preprocessing

    vocabulary = data.vocabulary
    prepared = preprocessing(config.tokens, vocabulary.document)
    return {
        "genes": list(vocabulary.names),
        "medians": [float(value) for value in vocabulary.medians],
        "vocabulary": dict(vocabulary.document),
        "bins": prepared.number,
        **marginals(data, config, prepared),
    }
