"""The model as the run wants it: built by the recipe, then compiled or made to recompute activations as configured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from assets_data.lineage import ConfigError
from training.recipe import Recipe


def build_module(recipe: Recipe, config: Any, inputs: Mapping[str, Any]) -> nn.Module:
    """A fresh model. Raises ConfigError GRADIENT_CHECKPOINTING_UNSUPPORTED where it cannot recompute activations.

    Compiling is in place and lazy: parameter names stay, and the first update pays for it.
    """
    model = recipe.build_model(config, inputs)
    if config.train.gradient_checkpointing:
        recompute = getattr(model, "checkpoint_gradients", None)
        if recompute is None:
            raise ConfigError(
                "GRADIENT_CHECKPOINTING_UNSUPPORTED",
                f"the model of {recipe.name} has no checkpoint_gradients()",
                where="train.gradient_checkpointing",
                action="switch it off for this recipe",
            )
        recompute()
    if config.train.compile:
        model.compile()
    return model
