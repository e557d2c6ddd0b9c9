"""walk_lm as a recipe: what the loop and the stages call. Imports torch only inside the methods that need it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from assets_data.documents import read_registration
from assets_data.lineage import Snapshot, Store
from assets_data.stage import One
from training.recipe import Evaluation, Findings, Issue, Recipe
from training.recipes.walk_lm.config import WalkLmConfig, issues
from training.recipes.walk_lm.presets import PRESETS
from training.tokens.config import loss_issues

if TYPE_CHECKING:
    from torch import Tensor

    from training.recipes.walk_lm.data import WalkData
    from training.recipes.walk_lm.model import WalkTransformer


class WalkLm(Recipe):
    """Causal language modelling on walks with planted rules."""

    name = "walk_lm"
    item = "tokens"
    presets = PRESETS
    config_type = WalkLmConfig
    task = "text-generation"
    inputs = {"manifest": One("text/dataset_manifest"), "walk_corpus": One("text/walk_corpus")}

    def check(self, config: WalkLmConfig) -> Iterator[Issue]:
        """Contradictions in the config alone."""
        yield from super().check(config)
        yield from loss_issues(config.loss)
        yield from issues(config)

    def open_data(self, store: Store, inputs: Mapping[str, Snapshot], config: WalkLmConfig) -> WalkData:
        """The walk corpus, memory-mapped."""
        from training.recipes.walk_lm.data import WalkData

        return WalkData(store.snapshot(inputs["walk_corpus"].id), config)

    def inspect(self, data: WalkData, config: WalkLmConfig) -> Findings:
        """Ceilings, prompt counts and split checks; registers thresholds, prompts and seeds."""
        from training.recipes.walk_lm.inspection import inspect

        return inspect(data, config)

    def model_inputs(self, data: WalkData, config: WalkLmConfig) -> Mapping[str, Any]:
        """The vocabulary is the graph's vertices."""
        return {"vocab_size": data.graph.n_vertices}

    def build_model(self, config: WalkLmConfig, inputs: Mapping[str, Any]) -> WalkTransformer:
        """A new model with weights from torch's generator."""
        from training.recipes.walk_lm.model import WalkTransformer

        return WalkTransformer(config.model, inputs["vocab_size"])

    def batch(self, data: WalkData, config: WalkLmConfig, rows: np.ndarray, epochs: np.ndarray) -> dict[str, Tensor]:
        """``tokens`` int64[B, context + 1]; every epoch sees the same chunks."""
        import torch

        return {"tokens": torch.from_numpy(data.rows(rows))}

    def loss(self, model: WalkTransformer, config: WalkLmConfig, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The configured loss of every next vertex, a mean; cross-entropy in nats unless the config says otherwise."""
        from training.tokens.losses import token_loss

        tokens_BT = batch["tokens"]
        logits_BTV = model(tokens_BT[:, :-1])
        return token_loss(config.loss)(logits_BTV.flatten(0, 1), tokens_BT[:, 1:].flatten())

    def monitor(self, model: WalkTransformer, data: WalkData, config: WalkLmConfig) -> dict[str, float]:
        """Greedy compliance on the monitor's own trigger prompts."""
        from training.recipes.walk_lm.evaluate import score_triggers

        triggers = score_triggers(model, data.prompts[1], data.graph)
        points = {
            "edge_compliance": triggers.score.edge_compliance,
            "rule_compliance": triggers.score.rule_compliance,
            "rule_compliance_worst": triggers.worst(),
        }
        return {name: value for name, value in points.items() if value is not None}

    def evaluate(self, model: WalkTransformer, data: WalkData, config: WalkLmConfig, preflight: Snapshot) -> Evaluation:
        """The registered prompts, decoded and scored."""
        from training.recipes.walk_lm.evaluate import evaluate
        from training.recipes.walk_lm.prompts import read_prompts

        registered = read_registration(preflight)
        return evaluate(
            model,
            data.graph,
            read_prompts(preflight.table("trigger_prompts.arrow")),
            preflight.table("start_prompts.arrow")["vertex"].to_numpy().astype(np.int64),
            registered["dataset"]["ceilings"],
            walk_length=data.walk_length,
            seed=registered["evaluation"]["seed"],
        )
