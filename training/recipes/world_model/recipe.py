"""world_model as a recipe: what the loop and the stages call. Imports torch only inside the methods that need it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from assets_data.lineage import Snapshot, Store
from assets_data.stage import One
from training.findings import Evaluation, Findings, Issue
from training.recipe import Recipe
from training.recipes.world_model.config import WorldModelConfig, issues
from training.recipes.world_model.data import WorldData, keyed_uniforms, model_inputs, open_data
from training.recipes.world_model.presets import PRESETS

if TYPE_CHECKING:
    from torch import Tensor, nn

    from training.recipes.world_model.data import ValidationRows


class WorldModel(Recipe):
    """A latent model of an environment, from recorded episodes alone."""

    name = "world_model"
    item = "steps"
    presets = PRESETS
    config_type = WorldModelConfig
    task = "reinforcement-learning"
    inputs = {"manifest": One("episodes/dataset_manifest")}
    figures = "assets_data.domains.episodes.figures:gate_figures"

    def check(self, config: WorldModelConfig) -> Iterator[Issue]:
        """Contradictions in the config alone."""
        yield from super().check(config)
        yield from issues(config)

    def open_data(self, store: Store, inputs: Mapping[str, Snapshot], config: WorldModelConfig) -> WorldData:
        """The sequences of the manifest, memory-mapped."""
        return open_data(store, inputs["manifest"])

    def inspect(self, data: WorldData, config: WorldModelConfig) -> Findings:
        """Baselines, controllers and headroom; registers thresholds, windows, starts and seeds."""
        from training.recipes.world_model.inspection import inspect

        return inspect(data, config)

    def model_inputs(self, data: WorldData, config: WorldModelConfig) -> Mapping[str, Any]:
        """Shapes, bounds and pinned moments."""
        return model_inputs(data)

    def build_model(self, config: WorldModelConfig, inputs: Mapping[str, Any]) -> nn.Module:
        """A new model with weights from torch's generator."""
        if config.model == "tdmpc":
            from training.recipes.world_model.tdmpc import Tdmpc

            return Tdmpc(config.tdmpc, inputs)
        from training.recipes.world_model.rssm import Rssm

        return Rssm(config.rssm, inputs)

    def batch(
        self, data: WorldData | ValidationRows, config: WorldModelConfig, rows: np.ndarray, epochs: np.ndarray
    ) -> dict[str, Tensor]:
        """``obs`` [B, T, *O] and ``action`` [B, T, *A] as recorded, float32 ``reward``, bool ``mask``, ``last`` and
        ``terminated`` [B, T], and uniforms ``draws`` [B, T, any]. Starts and draws are keyed by (seed, epoch, row key).
        """
        import torch

        table, seed = data.rows, config.train.seed
        sequences = table.gather(rows, table.starts(rows, epochs, seed))
        shape = (table.length, config.rssm.groups if config.model == "rssm" else 2 * table.action_size + 1)
        return {
            **{name: torch.from_numpy(value) for name, value in sequences._asdict().items() if name != "reward"},
            "reward": torch.from_numpy(sequences.reward.astype(np.float32)),
            "draws": torch.from_numpy(keyed_uniforms(table.row_keys[rows], epochs, seed, shape)),
        }

    def loss(self, model: nn.Module, config: WorldModelConfig, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The model's own parts, each a mean over the steps that are no padding."""
        return model.losses(batch)  # type: ignore[operator]

    def after_step(self, model: nn.Module, config: WorldModelConfig, update: int) -> None:
        """Moving averages of the model that has some."""
        if config.model == "tdmpc":
            model.after_step()  # type: ignore[operator]

    def items(self, batch: Mapping[str, Tensor]) -> int:
        """Steps that are no padding."""
        return int(batch["mask"].sum())

    def states(self, model: nn.Module, config: WorldModelConfig, batch: Mapping[str, Tensor]) -> dict[str, Any]:
        """What the model expected against what it then inferred, for the collapse monitor."""
        return model.inner_states(batch)  # type: ignore[operator]

    def evaluate(self, model: nn.Module, data: WorldData, config: WorldModelConfig, preflight: Snapshot) -> Evaluation:
        """Open loop, in the real environment, and the continue probability, as registered."""
        from training.recipes.world_model.evaluate import evaluate

        return evaluate(model, data, config, preflight)
