"""dna_lm as a recipe: what the loop and the stages call. Imports torch only inside the methods that need it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from assets_data.domains.genome.read import Windows
from assets_data.lineage import Snapshot, Store
from assets_data.stage import One
from training.recipe import Evaluation, Findings, Issue, Recipe
from training.recipes.dna_lm.config import PRESETS, DnaLmConfig, issues
from training.recipes.dna_lm.data import WindowData, masked, open_data
from training.recipes.dna_lm.inspection import inspect

if TYPE_CHECKING:
    from torch import Tensor

    from training.recipes.dna_lm.model import DnaEncoder


class DnaLm(Recipe):
    """Masked bases of windows of a reference."""

    name = "dna_lm"
    item = "bases"
    task = "fill-mask"
    presets = PRESETS
    config_type = DnaLmConfig
    inputs = {"manifest": One("genome/dataset_manifest")}

    def check(self, config: DnaLmConfig) -> Iterator[Issue]:
        """Contradictions in the config alone."""
        yield from super().check(config)
        yield from issues(config)

    def open_data(self, store: Store, inputs: Mapping[str, Snapshot], config: DnaLmConfig) -> WindowData:
        """The windows that the manifest names."""
        return open_data(store, inputs["manifest"])

    def inspect(self, data: WindowData, config: DnaLmConfig) -> Findings:
        """Issues, and the bases, baselines, thresholds and seeds of the gate."""
        return inspect(data, config)

    def model_inputs(self, data: WindowData, config: DnaLmConfig) -> Mapping[str, Any]:
        """The width of a window: the model reads any, and was trained on this one."""
        return {"width": int(data.codes_RW.shape[1])}

    def build_model(self, config: DnaLmConfig, inputs: Mapping[str, Any]) -> DnaEncoder:
        """A new model with weights from torch's generator."""
        from training.recipes.dna_lm.model import DnaEncoder

        return DnaEncoder(config.model)

    def batch(self, data: Windows, config: DnaLmConfig, rows: np.ndarray, epochs: np.ndarray) -> dict[str, Tensor]:
        """``codes`` and ``labels`` int64[B, T]; the masks are keyed by (seed, epoch, row key)."""
        import torch

        from training.recipes.dna_lm.model import MASK

        shown, labels = masked(data, config.mask, config.train.seed, rows, epochs, MASK)
        return {"codes": torch.from_numpy(shown), "labels": torch.from_numpy(labels)}

    def items(self, batch: Mapping[str, Tensor]) -> int:
        """The bases asked for."""
        return int((batch["labels"] >= 0).sum())

    def loss(self, model: DnaEncoder, config: DnaLmConfig, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Mean cross-entropy of the bases asked for, in nats."""
        from training.recipes.dna_lm.model import masked_loss

        return {"loss": masked_loss(model(batch["codes"]), batch["labels"])}

    def evaluate(self, model: DnaEncoder, data: WindowData, config: DnaLmConfig, preflight: Snapshot) -> Evaluation:
        """The registered bases, beside counts."""
        from training.recipes.dna_lm.evaluate import evaluate

        return evaluate(model, data, preflight)
