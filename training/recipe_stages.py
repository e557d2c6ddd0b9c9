"""The declarations of a recipe's stages: its derived ones, then preflight report, checkpoint and gate report.

What these make is in :mod:`training.stages`, which is imported with nothing heavy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assets_data.stage import NOTHING, Check, One, Stage
from training.recipe import STAGES, Recipe
from training.stages import preflight_code, training_code


def recipe_stages(recipe: Recipe) -> tuple[Stage, ...]:
    """All stages of a recipe, parents first: its derived ones, then the three that every recipe has."""
    preflight, checkpoint, gate = (f"{recipe.name}/{name}" for name in STAGES)
    common = {"bind": {"recipe": recipe}, "learns": NOTHING}
    return (
        *recipe.derived,
        _preflight_stage(recipe, preflight, common),
        _checkpoint_stage(recipe, checkpoint, preflight, common),
        _gate_stage(recipe, gate, preflight, checkpoint, common),
    )


def _preflight_stage(recipe: Recipe, kind: str, common: Mapping[str, Any]) -> Stage:
    return Stage(
        kind=kind,
        make="training.stages:make_preflight_report",
        says="Everything that can be known before the first update: the resolved config, all issues at once, the "
        "gate's thresholds, prompts and seeds, fixed and hashed.",
        inputs=recipe.inputs,
        presets=recipe.presets,
        modules=preflight_code(recipe),
        checks=(_check("no_errors", "The preflight found nothing that would spoil the training."),),
        tags=("json",),
        **common,
    )


def _checkpoint_stage(recipe: Recipe, kind: str, preflight: str, common: Mapping[str, Any]) -> Stage:
    return Stage(
        kind=kind,
        make="training.stages:make_checkpoint",
        says="The trained weights. Killed at any moment, it resumes bit for bit when it runs again.",
        inputs={**recipe.inputs, "preflight": One(preflight)},
        modules=training_code(recipe),
        checks=(
            _check("loads_and_rehashes", "Every tensor hashes to the id, and the weights load into the model."),
            _check("no_collapse", "No criterion of the collapse monitor is met. A warning, which blocks nothing."),
            _check("lineage_intact", "Every ancestor of the checkpoint is still what its receipt says."),
        ),
        pool="gpu",
        tags=("pytorch",),
        **common,
    )


def _gate_stage(recipe: Recipe, kind: str, preflight: str, checkpoint: str, common: Mapping[str, Any]) -> Stage:
    return Stage(
        kind=kind,
        make="training.stages:make_gate_report",
        says="The verdict on the checkpoint under the thresholds and prompts registered before training.",
        inputs={**recipe.inputs, "preflight": One(preflight), "checkpoint": One(checkpoint)},
        modules=training_code(recipe),
        figures=recipe.figures,
        checks=(_check("gate", 'The registered thresholds are met. "Undetermined" does not pass.'),),
        pool="gpu",
        tags=("pytorch",),
        **common,
    )


def _check(name: str, says: str) -> Check:
    return Check(name=name, run=f"training.stage_checks:{name}", says=says)
