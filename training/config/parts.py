"""The named choices of a run: optimizer, schedule, and what counts as its best checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from assets_data.lineage import option


def _kwargs(doc: str) -> Any:
    return field(default_factory=dict, metadata={"doc": doc})


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerConfig:
    """Which optimizer, by name, and its settings."""

    name: str = option(
        "AdamW", "AdamW, Adam, SGD, or a name of the pytorch_optimizer library that one process can drive"
    )
    lr: float = option(1e-3, "peak learning rate")
    weight_decay: float = option(0.01, "decay of matrices; biases, norms and embeddings are never decayed")
    kwargs: Mapping[str, Any] = _kwargs(
        "further arguments of the optimizer's constructor, such as betas; a preset's for another one are left out"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleConfig:
    """Learning rate over the run, as a factor of the peak. See :mod:`training.schedules` for the curves."""

    name: str = option(
        "wsd", "wsd, cosine, cosine_warmup, linear, constant, or a name of the pytorch_optimizer library"
    )
    warmup: int = option(0, "updates of linear warm-up; cosine takes none")
    lr_min_ratio: float = option(0.0, "the factor never falls below this after warm-up")
    kwargs: Mapping[str, Any] = _kwargs(
        "arguments of a library schedule's constructor; rates are factors of the peak, lengths updates after warm-up"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BestConfig:
    """Which held-out metric makes a checkpoint the best one, and when to stop for lack of a better one."""

    metric: str = option("val_loss", "name of a held-out measurement; a checkpoint is saved whenever it improves")
    mode: Literal["min", "max"] = option("min", "whether less or more of the metric is better")
    min_delta: float = option(0.0, "an improvement must be larger than this")
    patience: int = option(0, "measurements in a row without improvement that end the run; 0 never ends it early")
    grace: int = option(0, "updates before which the run is not ended early")
