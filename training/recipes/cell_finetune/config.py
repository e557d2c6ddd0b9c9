"""Config of cell_finetune, and its presets. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from assets_data.lineage import option
from training.config import OptimizerConfig, ScheduleConfig, TrainConfig
from training.findings import Issue


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadConfig:
    """What is predicted of a cell from its embedding."""

    kind: Literal["class", "regression"] = option("class", "a class per value of the column, or its number")
    target: Literal["label", "batch", "perturbation"] = option("label", "the column of the cells that is predicted")


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptConfig:
    """What of the pretrained model moves."""

    lora_rank: int = option(0, "rank of adapters of q, k, v, out and the MLP; 0 moves all weights")
    lora_alpha: float = option(16.0, "adapters count for alpha / rank")
    backbone_rate: float = option(0.3, "the pretrained weights' learning rate, as a factor of the head's")
    freeze_until: int = option(0, "updates before which the pretrained weights stay as they are")


@dataclass(frozen=True, slots=True, kw_only=True)
class GateConfig:
    """The registered evaluation. Changing any of it after training is refused."""

    over_baseline: float = option(0.0, "what the interval's lower bound over majority (or mean) must exceed")
    cells: int = option(400, "most test cells that are judged")
    resamples: int = option(2000, "bootstrap samples behind the interval")
    seed: int = option(0, "draws the bootstrap samples and the cells")


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneConfig:
    """Everything a run depends on besides its data and the pretrained checkpoint."""

    head: HeadConfig = option(HeadConfig(), "head")
    adapt: AdaptConfig = option(AdaptConfig(), "what moves")
    train: TrainConfig = option(TrainConfig(), "training run")
    gate: GateConfig = option(GateConfig(), "gate")


def issues(config: FinetuneConfig) -> Iterator[Issue]:
    """Every contradiction of the recipe's own fields, all at once."""
    adapt, gate = config.adapt, config.gate
    if adapt.lora_rank < 0 or adapt.lora_alpha <= 0 or not 0 <= adapt.backbone_rate <= 10 or adapt.freeze_until < 0:
        message = "rank and freeze_until are not negative, alpha is above 0, backbone_rate in [0, 10]"
        yield Issue.error("CELL_FINETUNE_ADAPT", "adapt", message)
    if gate.cells < 1 or gate.resamples < 100:
        yield Issue.error("CELL_FINETUNE_GATE", "gate", "cells is at least 1, resamples at least 100")


def _preset(updates: int, lr: float, every: int, adapt: AdaptConfig) -> FinetuneConfig:
    return FinetuneConfig(
        adapt=adapt,
        train=TrainConfig(
            updates=updates,
            batch_rows=16,
            optimizer=OptimizerConfig(lr=lr, weight_decay=0.05),
            schedule=ScheduleConfig(name="cosine_warmup", warmup=5, lr_min_ratio=0.1),
            threads=1,
            log_every=every,
            validate_every=every,
            checkpoint_every=every,
        ),
    )


def smoke() -> FinetuneConfig:
    """The whole path in seconds; its gate says only that something was measured."""
    config = _preset(60, 5e-3, 20, AdaptConfig(freeze_until=10))
    return FinetuneConfig(adapt=config.adapt, train=config.train, gate=GateConfig(over_baseline=-0.5, resamples=200))


def demo() -> FinetuneConfig:
    """All weights move, the pretrained ones slowly."""
    return _preset(150, 2e-3, 50, AdaptConfig())


def lora() -> FinetuneConfig:
    """Adapters and a head move, nothing else."""
    return _preset(150, 5e-3, 50, AdaptConfig(lora_rank=8, backbone_rate=1.0))


PRESETS = {"smoke": smoke, "demo": demo, "lora": lora}
