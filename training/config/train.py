"""The config of one training run, shared by all recipes. Counts are in optimizer updates throughout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from assets_data.lineage import option
from assets_data.lineage.identity.order import stream_key
from training.config.parts import BestConfig, OptimizerConfig, ScheduleConfig

STALLED = 75
"""Exit status of a process whose update stalled: EX_TEMPFAIL of sysexits.h, trying again may help."""

SEEDS = ("order", "model", "train", "validation")
"""Row order, initial weights, torch's generator (dropout, masks), choice of validation rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """One training run. Every field changes the result or its files; a resume refuses when any of them differs."""

    GONE = ("loss",)  # the token loss, which is the config's own of those recipes that have one

    updates: int = option(1000, "optimizer updates in the whole run: the schedule's horizon")
    epochs: float | None = option(
        None, "passes over the rows instead of `updates`; counted once, by the preflight, which pins the updates"
    )
    batch_rows: int = option(32, "rows per update")
    accumulation: int = option(1, "equal micro-batches per lane; with lanes it divides batch_rows")
    lanes: int = option(
        1,
        "equal shares of an update's rows, whose gradients are summed pair by pair; a power of two; with several, as "
        "many processes as divide them give the same bits",
    )
    optimizer: OptimizerConfig = option(OptimizerConfig(), "optimizer")
    schedule: ScheduleConfig = option(ScheduleConfig(), "learning-rate schedule")
    grad_clip: float = option(1.0, "largest global gradient norm; 0 leaves gradients as they are")
    precision: Literal["auto", "none", "bf16", "fp16"] = option(
        "auto",
        "mixed precision; auto is bf16 on CUDA and none elsewhere; fp16 scales the loss and counts skipped updates",
    )
    compile: bool = option(False, "compile the model with torch.compile; measurements run uncompiled")
    gradient_checkpointing: bool = option(False, "recompute activations in the backward pass: less memory, more time")
    device: Literal["auto", "cpu", "cuda"] = option("auto", "auto takes CUDA where there is one")
    require_accelerator: bool = option(False, "refuse in preflight when the run would fall back to the CPU")
    threads: int | None = option(
        None, "CPU threads; results are bit-reproducible for one thread count; none keeps torch's"
    )
    seed: int = option(0, "root of every derived seed: row order, weights, torch's generator")
    log_every: int = option(50, "updates between log lines; on CUDA also between host synchronisations")
    monitor_every: int = option(0, "updates between the recipe's held-out measurements; 0 measures at the end only")
    validate_every: int = option(0, "updates between losses on the held-out rows; 0 measures at the end only")
    collapse_every: int = option(500, "updates between looks for collapse, in recipes that show their inner states")
    val_batch_rows: int = option(0, "rows per batch of validation; 0 takes batch_rows")
    max_val_samples: int = option(2048, "most held-out rows in a validation: always the same ones")
    best: BestConfig = option(BestConfig(), "best checkpoint and early stop")
    checkpoint_every: int = option(500, "updates between checkpoints; the last update always makes one")
    keep_checkpoints: int = option(3, "newest checkpoints that stay in the run directory; the best stays beside them")
    trackers: tuple[str, ...] = option((), "where else curves go: tensorboard, wandb, mlflow; each needs its package")
    stall_seconds: float = option(0.0, "end the process with status 75 when an update takes longer; 0 waits for ever")
    allow_leaks: bool = option(
        False, "train although a tokenizer, graph or teacher had learned from held-out records; they are registered"
    )
    allow_fixture: bool = option(False, "train on data whose manifest says that it is a fixture")


def derived_seed(seed: int, name: str) -> int:
    """A 52-bit seed for one purpose, hashed from the run's seed and the purpose's name, never ``seed + 1``."""
    return int(stream_key(seed, f"seed/{name}")) >> 12


def derived_seeds(seed: int) -> dict[str, int]:
    """The seed of every purpose of a run."""
    return {name: derived_seed(seed, name) for name in SEEDS}
