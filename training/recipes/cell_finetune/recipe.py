"""cell_finetune as a recipe. Its parents are a manifest and the pretrained checkpoint: both are in the lineage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from assets_data.lineage import Snapshot, Store
from assets_data.stage import One
from training.findings import Evaluation, Findings, Issue
from training.recipe import Recipe
from training.recipes.cell_finetune.config import PRESETS, FinetuneConfig, issues

if TYPE_CHECKING:
    from torch import Tensor

    from training.recipes.cell_finetune.data import FinetuneData, Labelled
    from training.recipes.cell_finetune.model import Finetuned


class CellFinetune(Recipe):
    """A head on a pretrained model of cells."""

    name = "cell_finetune"
    item = "cells"
    presets = PRESETS
    config_type = FinetuneConfig
    task = "tabular-classification"
    inputs = {"manifest": One("cells/dataset_manifest"), "pretrained": One("cell_mlm/checkpoint")}

    def check(self, config: FinetuneConfig) -> Iterator[Issue]:
        """Contradictions in the config alone."""
        yield from super().check(config)
        yield from issues(config)

    def open_data(self, store: Store, inputs: Mapping[str, Snapshot], config: FinetuneConfig) -> FinetuneData:
        """The cells, as the pretrained model takes them."""
        from training.recipes.cell_finetune.data import open_data

        return open_data(store, inputs, config)

    def inspect(self, data: FinetuneData, config: FinetuneConfig) -> Findings:
        """Registers cells and the baseline."""
        from training.recipes.cell_finetune.evaluate import inspect

        return inspect(data, config)

    def model_inputs(self, data: FinetuneData, config: FinetuneConfig) -> Mapping[str, Any]:
        """What the pretrained model was built from, and the classes."""
        return {**data.facts, "classes": list(data.classes)}

    def build_model(self, config: FinetuneConfig, inputs: Mapping[str, Any]) -> Finetuned:
        """A model whose backbone is new, too, until ``begin``."""
        from training.recipes.cell_finetune.model import Finetuned

        return Finetuned(config, inputs)

    def begin(self, model: Finetuned, data: FinetuneData) -> None:
        """Put the pretrained weights in."""
        import torch

        model.begin_at({name: torch.from_numpy(value.copy()) for name, value in data.weights.items()})

    def batch(self, data: Labelled, config: FinetuneConfig, rows: np.ndarray, epochs: np.ndarray) -> dict[str, Tensor]:
        """The cells' tokens, nothing hidden, and ``target``."""
        import torch

        from training.recipes.cell_mlm.batches import show
        from training.recipes.cell_mlm.tokens import preprocessing, tokenize

        chosen, config_ = data.rows[rows], data.pretrained
        tokens = tokenize(data.mapped, chosen, np.zeros(len(rows), np.int64), data.vocabulary, config_.tokens, 0)
        shown = show(tokens, preprocessing(config_.tokens, data.vocabulary.document))
        return {**shown, "target": torch.from_numpy(data.targets[rows])}

    def loss(self, model: Finetuned, config: FinetuneConfig, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Cross-entropy, or squared error of the standardised number."""
        import torch.nn.functional as F

        said, target = model(batch).float(), batch["target"]
        if config.head.kind == "regression":
            return {"loss": F.mse_loss(said[:, 0], target)}
        right = (said.argmax(1) == target).float().mean().detach()
        return {"loss": F.cross_entropy(said, target), "accuracy": right}

    def evaluate(self, model: Finetuned, data: FinetuneData, config: FinetuneConfig, preflight: Snapshot) -> Evaluation:
        """The registered cells beside the registered baseline."""
        from training.recipes.cell_finetune.evaluate import evaluate

        return evaluate(model, data, config, preflight)
