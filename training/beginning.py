"""How a run begins: its model drawn from a seed of its own, its optimizer, its order, its logs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from assets_data.lineage import ConfigError, to_dict
from training.config import TrainConfig, derived_seed
from training.data import Data, fixed_members
from training.environment import report
from training.finite import finite_guard
from training.journal import Journal
from training.metrics import JsonLines
from training.optim import build_optimizer
from training.optimizer_arguments import inherited_kwargs
from training.optimizer_calls import OptimizerCalls
from training.order import EACH_ONCE, Order
from training.parallel.pieces import shard
from training.parallel.world import ALONE, FSDP, World
from training.precision import Precision
from training.recipe import Recipe
from training.run import Run
from training.run_directory import LOG, METRICS, TIMINGS
from training.schedules import build_schedule


def open_run(
    recipe: Recipe,
    config: Any,
    data: Data,
    directory: Path,
    device: torch.device,
    code: str,
    origin: Mapping[str, Any],
    references: Mapping[str, Any],
    world: World = ALONE,
) -> Run:
    """A run at update 0: the model drawn from its own seed, the optimizer, the order, the logs."""
    plan: TrainConfig = config.train
    model = _draw_model(recipe, config, data, device)
    sharded = shard(model, plan, world, device) if world.strategy == FSDP else None
    optimizer = _optimizer(recipe, plan, model)
    if sharded:
        sharded.take_over(optimizer)
    (directory / LOG).touch()
    run = Run(
        recipe=recipe,
        config=config,
        plan=plan,
        data=data,
        directory=directory,
        device=device,
        fingerprint=_fingerprint(recipe, config, data, code, origin),
        references={**references, "corpus": dict(data.members)},
        model=model,
        parameters=list(sharded.parameters.values() if sharded else model.parameters()),
        optimizer=optimizer,
        calls=OptimizerCalls(optimizer, plan.optimizer.name),
        precision=Precision(plan, device),
        schedule=build_schedule(plan.schedule, plan.updates),
        order=run_order(recipe, config, data),
        guard=finite_guard(optimizer, device),
        journal=Journal(directory / METRICS),
        timings=JsonLines(directory / TIMINGS),
        environment={**report(device), **world.facts()},
        world=world,
        sharded=sharded,
    )
    if sharded:
        sharded.bind(run.losses)
    return run


def build_module(recipe: Recipe, config: Any, inputs: Mapping[str, Any]) -> nn.Module:
    """A fresh model as the run wants it: compiled, or made to recompute activations, as configured.

    Raises ConfigError GRADIENT_CHECKPOINTING_UNSUPPORTED where it cannot recompute activations.
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


def run_order(recipe: Recipe, config: Any, data: Data) -> Order:
    """The order of a run: of the recipe's kind, with the values that its data offers for it."""
    plan: TrainConfig = config.train
    seed, kind = derived_seed(plan.seed, "order"), recipe.order(config) if recipe.order else EACH_ONCE
    values = getattr(data, "order_values", None)
    return Order(seed, data.row_keys, plan.batch_rows, kind=kind, values=values)


def _draw_model(recipe: Recipe, config: Any, data: Data, device: torch.device) -> nn.Module:
    """Fresh weights, which depend on the seed and on nothing drawn before; and what the recipe begins from."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(derived_seed(config.train.seed, "model"))
        model = build_module(recipe, config, recipe.model_inputs(data, config))
        if recipe.begin:
            recipe.begin(model, data)
        return model.to(device)


def _optimizer(recipe: Recipe, plan: TrainConfig, model: nn.Module) -> torch.optim.Optimizer:
    inherited = inherited_kwargs(getattr(recipe, "presets", {}), plan.optimizer)
    return build_optimizer(model, plan.optimizer, updates=plan.updates, inherited=inherited)


def _fingerprint(recipe: Recipe, config: Any, data: Data, code: str, origin: Mapping[str, Any]) -> dict[str, Any]:
    """What a run is, for a checkpoint to be taken up by the same one only."""
    return {
        "recipe": recipe.name,
        "config": to_dict(config),
        "corpus": dict(data.members),
        "code": code,
        "fixed": fixed_members(data),
        "origin": dict(origin),
    }
