"""Config of newrecipe: model, training run, gate; and its presets. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from assets_data.lineage import option
from training.config import OptimizerConfig, ScheduleConfig, TrainConfig
from training.findings import Issue


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """A network of equal hidden layers."""

    layers: int = option(2, "hidden layers")
    width: int = option(64, "units of each")


@dataclass(frozen=True, slots=True, kw_only=True)
class GateConfig:
    """The registered evaluation. Changing any of it after training is refused."""

    ratio: float = option(0.7, "squared test error, as a share of the baseline's, that the model must stay below")
    penalty: float = option(1.0, "ridge penalty of the baseline")
    resamples: int = option(500, "bootstrap samples behind the 95% interval")
    seed: int = option(0, "draws the bootstrap samples")


@dataclass(frozen=True, slots=True, kw_only=True)
class RegressionConfig:
    """Everything a run depends on besides its data."""

    model: ModelConfig = option(ModelConfig(), "model")
    train: TrainConfig = option(TrainConfig(), "training run")
    gate: GateConfig = option(GateConfig(), "gate")


def issues(config: RegressionConfig) -> Iterator[Issue]:
    """Every contradiction inside ``config``, all at once."""
    if min(config.model.layers, config.model.width) < 1:
        yield Issue.error("NEWRECIPE_MODEL", "model", "layers and width must be at least 1")
    if config.gate.ratio <= 0 or config.gate.penalty < 0 or config.gate.resamples < 100:
        yield Issue.error("NEWRECIPE_GATE", "gate", "ratio must be above 0, penalty at least 0, resamples at least 100")


def smoke() -> RegressionConfig:
    """The whole path in seconds."""
    return RegressionConfig(
        model=ModelConfig(width=32),
        train=TrainConfig(
            updates=300,
            batch_rows=32,
            optimizer=OptimizerConfig(lr=1e-2),
            schedule=ScheduleConfig(name="wsd", warmup=10),
            threads=1,
            log_every=100,
            validate_every=100,
            checkpoint_every=50,
        ),
    )


def demo() -> RegressionConfig:
    """The default: the domain's own rows, in a minute on one core."""
    return RegressionConfig(
        train=TrainConfig(
            updates=3000,
            batch_rows=32,
            optimizer=OptimizerConfig(lr=3e-3),
            schedule=ScheduleConfig(name="wsd", warmup=50),
            threads=1,
            log_every=250,
            validate_every=250,
            checkpoint_every=500,
        ),
        gate=GateConfig(ratio=0.5),
    )


PRESETS = {"smoke": smoke, "demo": demo}
