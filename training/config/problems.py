"""Every check of a training config that needs no data and no torch. All problems at once."""

from __future__ import annotations

from collections.abc import Iterator

from training.config.optimizers import SECOND_ORDER, optimizer_problems
from training.config.train import TrainConfig

Problem = tuple[str, str, str]
"""(code, dotted path in the config, message)."""

AT_LEAST = {
    "updates": 1,
    "batch_rows": 1,
    "accumulation": 1,
    "lanes": 1,
    "log_every": 1,
    "monitor_every": 0,
    "validate_every": 0,
    "collapse_every": 0,
    "val_batch_rows": 0,
    "max_val_samples": 1,
    "checkpoint_every": 1,
    "keep_checkpoints": 1,
    "grad_clip": 0,
    "stall_seconds": 0,
    "schedule.warmup": 0,
    "optimizer.weight_decay": 0,
    "best.min_delta": 0,
    "best.patience": 0,
    "best.grace": 0,
}
OWN_SCHEDULES = ("wsd", "cosine", "cosine_warmup", "linear", "constant")
TRACKERS = ("tensorboard", "wandb", "mlflow")


def problems(config: TrainConfig, prefix: str = "train") -> Iterator[Problem]:
    """Every contradiction inside ``config``; nothing when it can run."""
    for code, path, message in (
        *_ranges(config), *_batches(config), *optimizer_problems(config), *_schedule(config), *_trackers(config),
    ):  # fmt: skip
        yield code, f"{prefix}.{path}", message


def _ranges(config: TrainConfig) -> Iterator[Problem]:
    for path, least in AT_LEAST.items():
        value = config
        for name in path.split("."):
            value = getattr(value, name)
        if value < least:  # type: ignore[operator]
            yield "TRAIN_CONFIG_RANGE", path, f"must be at least {least}, not {value}"
    if config.optimizer.lr <= 0.0:
        yield "TRAIN_CONFIG_RANGE", "optimizer.lr", f"must be above 0, not {config.optimizer.lr}"
    if config.epochs is not None and config.epochs <= 0.0:
        yield "TRAIN_CONFIG_RANGE", "epochs", f"must be above 0, not {config.epochs}"
    if not 0.0 <= config.schedule.lr_min_ratio <= 1.0:
        yield "TRAIN_CONFIG_RANGE", "schedule.lr_min_ratio", "must be between 0 and 1"


def _batches(config: TrainConfig) -> Iterator[Problem]:
    lanes, accumulation = max(1, config.lanes), max(1, config.accumulation)
    if config.batch_rows % accumulation:
        message = f"{accumulation} micro-batches do not divide {config.batch_rows} rows"
        yield "TRAIN_CONFIG_ACCUMULATION", "accumulation", message
    elif config.batch_rows % (lanes * accumulation):
        message = f"{lanes} lanes of {accumulation} micro-batches do not divide {config.batch_rows} rows"
        yield "TRAIN_CONFIG_LANES", "lanes", message
    if lanes & (lanes - 1):
        yield "TRAIN_CONFIG_LANES", "lanes", f"{lanes} is no power of two, so pairs cannot be summed evenly"
    if lanes > 1 and config.optimizer.name.lower() in SECOND_ORDER:
        message = f"{config.optimizer.name} differentiates gradients, and a sum over lanes keeps no graph"
        yield "TRAIN_CONFIG_LANES", "lanes", message
    if config.best.patience and not config.validate_every and not config.monitor_every:
        message = "nothing is measured before the end; set validate_every or monitor_every"
        yield "TRAIN_CONFIG_PATIENCE", "best.patience", message


def _schedule(config: TrainConfig) -> Iterator[Problem]:
    schedule = config.schedule
    if config.epochs is None and schedule.warmup >= config.updates:  # epochs: looked at again once they are counted
        message = f"warm-up of {schedule.warmup} updates is not shorter than the run ({config.updates})"
        yield "TRAIN_CONFIG_WARMUP", "schedule.warmup", message
    if schedule.name in OWN_SCHEDULES and schedule.kwargs:
        yield "TRAIN_CONFIG_SCHEDULE", "schedule.kwargs", f"{schedule.name} takes none; only library schedules do"
    if schedule.name == "cosine" and schedule.warmup:
        yield "TRAIN_CONFIG_WARMUP", "schedule.warmup", "cosine has no warm-up; use cosine_warmup"


def _trackers(config: TrainConfig) -> Iterator[Problem]:
    for tracker in config.trackers:
        if tracker not in TRACKERS:
            yield "TRACKER_UNKNOWN", "trackers", f"{tracker!r} is not one of {sorted(TRACKERS)}"
