"""newrecipe as a recipe: what the loop and the stages call. Imports torch only inside the methods that need it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from assets_data.lineage import Snapshot, Store
from assets_data.stage import One
from newdomain.read import Rows
from newrecipe.config import PRESETS, RegressionConfig, issues
from newrecipe.data import RegressionData, open_data
from newrecipe.inspection import inspect
from newrecipe.teacher import TEACHER_TABLE
from training.recipe import Evaluation, Findings, Issue, Recipe

if TYPE_CHECKING:
    from torch import Tensor

    from newrecipe.model import Network


class Regression(Recipe):
    """Squared error on the target of newdomain's rows, with newparent's prediction as one more feature."""

    name = "newrecipe"
    item = "rows"
    task = "tabular-regression"
    presets = PRESETS
    config_type = RegressionConfig
    inputs = {
        "manifest": One("newdomain/dataset_manifest"),
        "teacher": One("newparent/checkpoint"),
        "teacher_table": One(TEACHER_TABLE.kind),
    }
    derived = (TEACHER_TABLE,)

    def check(self, config: RegressionConfig) -> Iterator[Issue]:
        """Contradictions in the config alone."""
        yield from super().check(config)
        yield from issues(config)

    def open_data(self, store: Store, inputs: Mapping[str, Snapshot], config: RegressionConfig) -> RegressionData:
        """The rows of every slice that the manifest names, with the teacher's predictions."""
        return open_data(store, inputs)

    def inspect(self, data: RegressionData, config: RegressionConfig) -> Findings:
        """Issues, and the baseline, thresholds and seeds of the gate."""
        return inspect(data, config)

    def model_inputs(self, data: RegressionData, config: RegressionConfig) -> Mapping[str, Any]:
        """With the config, all that is needed to build the model."""
        return {"features": data.features_ND.shape[1]}

    def build_model(self, config: RegressionConfig, inputs: Mapping[str, Any]) -> Network:
        """A new network with weights from torch's generator."""
        from newrecipe.model import Network

        return Network(config.model, inputs["features"])

    def batch(self, data: Rows, config: RegressionConfig, rows: np.ndarray, epochs: np.ndarray) -> dict[str, Tensor]:
        """``features`` float32[B, D] and ``target`` float32[B]; nothing here is random."""
        import torch

        return {"features": torch.from_numpy(data.features_ND[rows]), "target": torch.from_numpy(data.target_N[rows])}

    def loss(self, model: Network, config: RegressionConfig, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Mean squared error."""
        return {"loss": (model(batch["features"]) - batch["target"]).square().mean()}

    def evaluate(
        self, model: Network, data: RegressionData, config: RegressionConfig, preflight: Snapshot
    ) -> Evaluation:
        """The registered evaluation."""
        from newrecipe.evaluate import evaluate

        return evaluate(model, data, preflight)

    def predict(self, model: Network, data: RegressionData) -> dict[str, np.ndarray]:
        """float32[N] by split: what a recipe that has this one as its parent asks for."""
        from newrecipe.evaluate import predict

        return {"train": predict(model, data), **{s: predict(model, getattr(data, s)) for s in ("validation", "test")}}
