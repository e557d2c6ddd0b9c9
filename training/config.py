"""What every recipe's run has in common: length, batches, optimizer, schedule, precision, logging, checkpoints.

Owns the config classes and every check that needs no data and no torch. Counts are in optimizer updates throughout; the
horizon is pinned here and never derived from the number of rows, so withdrawing a row cannot bend the schedule.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from assets_data.lineage import option

Problem = tuple[str, str, str]
"""(code, dotted path in the config, message)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerConfig:
    """Which optimizer, by name, and its settings."""

    name: str = option("AdamW", "AdamW, Adam, SGD, or any name of the pytorch_optimizer library")
    lr: float = option(1e-3, "peak learning rate")
    weight_decay: float = option(0.01, "decay of matrices; biases, norms and embeddings are never decayed")
    kwargs: Mapping[str, Any] = field(
        default_factory=dict, metadata={"doc": "further arguments of the optimizer's constructor, such as betas"}
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleConfig:
    """Learning rate over the run, as a factor of the peak. See :mod:`training.schedules` for the curves."""

    name: str = option("wsd", "wsd, cosine, cosine_warmup, linear or constant")
    warmup: int = option(0, "updates of linear warm-up; cosine takes none")
    lr_min_ratio: float = option(0.0, "the factor never falls below this after warm-up")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """One training run. Every field changes the result or its files; a resume refuses when any of them differs."""

    updates: int = option(1000, "optimizer updates in the whole run: the schedule's horizon")
    batch_rows: int = option(32, "rows per update")
    accumulation: int = option(1, "equal micro-batches per update; divides batch_rows")
    optimizer: OptimizerConfig = option(OptimizerConfig(), "optimizer")
    schedule: ScheduleConfig = option(ScheduleConfig(), "learning-rate schedule")
    grad_clip: float = option(1.0, "largest global gradient norm; 0 leaves gradients as they are")
    precision: Literal["auto", "fp32", "bf16"] = option("auto", "auto is bf16 autocast on CUDA and fp32 elsewhere")
    device: Literal["auto", "cpu", "cuda"] = option("auto", "auto takes CUDA where there is one")
    require_accelerator: bool = option(False, "refuse in preflight when the run would fall back to the CPU")
    threads: int | None = option(
        None, "CPU threads; results are bit-reproducible for one thread count; none keeps torch's"
    )
    seed: int = option(0, "root of every derived seed: row order, weights, torch's generator")
    log_every: int = option(50, "updates between log lines; on CUDA also between host synchronisations")
    monitor_every: int = option(0, "updates between held-out measurements; 0 measures at the end only")
    checkpoint_every: int = option(500, "updates between checkpoints; the last update always makes one")
    keep_checkpoints: int = option(3, "newest checkpoints that stay in the run directory")


def problems(config: TrainConfig, prefix: str = "train") -> Iterator[Problem]:
    """Every contradiction inside ``config``, all at once; nothing when it can run."""
    for name in ("updates", "batch_rows", "accumulation", "log_every", "checkpoint_every", "keep_checkpoints"):
        if getattr(config, name) < 1:
            yield "TRAIN_CONFIG_RANGE", f"{prefix}.{name}", f"must be at least 1, not {getattr(config, name)}"
    if config.batch_rows % max(1, config.accumulation):
        message = f"{config.accumulation} micro-batches do not divide {config.batch_rows} rows"
        yield "TRAIN_CONFIG_ACCUMULATION", f"{prefix}.accumulation", message
    if config.schedule.warmup >= config.updates:
        message = f"warm-up of {config.schedule.warmup} updates is not shorter than the run ({config.updates})"
        yield "TRAIN_CONFIG_WARMUP", f"{prefix}.schedule.warmup", message
    if config.schedule.name == "cosine" and config.schedule.warmup:
        yield "TRAIN_CONFIG_WARMUP", f"{prefix}.schedule.warmup", "cosine has no warm-up; use cosine_warmup"
    if not 0.0 <= config.schedule.lr_min_ratio <= 1.0:
        yield "TRAIN_CONFIG_RANGE", f"{prefix}.schedule.lr_min_ratio", "must be between 0 and 1"
    if min(config.optimizer.lr, config.optimizer.weight_decay, config.grad_clip) < 0.0 or config.optimizer.lr == 0.0:
        yield "TRAIN_CONFIG_RANGE", f"{prefix}.optimizer", "lr must be above 0; weight_decay and grad_clip at least 0"
