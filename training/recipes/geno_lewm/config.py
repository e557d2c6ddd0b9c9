"""Configs of geno_lewm and of its state table; and their presets. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from assets_data.lineage import ConfigError, option
from training.config import OptimizerConfig, ScheduleConfig, TrainConfig
from training.findings import Issue


@dataclass(frozen=True, slots=True, kw_only=True)
class StatesConfig:
    """How a window becomes a state: one function for source and target."""

    layer: int = option(-1, "after how many of the encoder's layers the state is read; -1: after the last one")
    near: int = option(4, "tokens on each side of the anchor's that the narrow mean is over")
    far: int = option(16, "tokens on each side of the anchor's that the wide mean is over")
    norm: Literal["none", "l2"] = option("none", "l2 makes every state of length 1")
    state: Literal["pooled", "positions"] = option(
        "pooled",
        "positions: the predictor also gets the vectors of the bases before all edits, carried to where the edits move "
        "them; for an encoder of single bases",
    )
    flank: int = option(6, "positions: vectors on each side of an edit that the predictor gets")
    batch: int = option(64, "windows that the encoder is given at once")
    shard: int = option(4096, "windows of a shard; a killed run goes on at the shard it was in")

    def __post_init__(self) -> None:
        if not 0 <= self.near <= self.far or min(self.flank, self.batch, self.shard) < 1:
            what = "near lies between 0 and far, and flank, batch and shard are at least 1"
            found = (self.near, self.far, self.flank, self.batch, self.shard)
            raise ConfigError("STATES_CONFIG", what, found=found)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """A causal transformer over [state, edit 1, ..., edit K]."""

    layers: int = option(2, "transformer layers")
    d_model: int = option(96, "width")
    heads: int = option(4, "attention heads")
    adapter: Literal["none", "linear"] = option(
        "none", "linear: a square matrix behind the predictions, the identity at first"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LossConfig:
    """Weights of the loss; errors are in units of sigma, per dimension."""

    step: float = option(0.5, "weight of the squared error of each edit's own part")
    cosine: float = option(0.5, "weight of 1 - cosine of predicted and true change")
    phase: Literal["predictor", "adapter"] = option(
        "predictor", "adapter: only the adapter trains, behind a predictor that stays as it is"
    )
    variance: float = option(0.0, "weight of the shortfall of the predictions' deviations; in the adapter's phase")
    covariance: float = option(0.0, "weight of the predictions' covariances; in the adapter's phase")


@dataclass(frozen=True, slots=True, kw_only=True)
class GateConfig:
    """The registered evaluation, on changes in units of sigma; lower bounds of 95% intervals are judged."""

    skill_1: float = option(0.35, "share of the error of predicting no change that it must take away, rows of 1 edit")
    skill_3: float = option(0.40, "the same, rows of 3 edits")
    gain_1: float = option(0.10, "share of the best baseline's error that it must take away, rows of 1 edit")
    gain_3: float = option(0.08, "the same, rows of 3 edits")
    class_mean: float = option(
        0.0, "the same of the class mean's error, for every kind of single edit with enough rows"
    )
    least: int = option(100, "rows that are enough for a kind to be judged")
    resamples: int = option(1000, "bootstrap samples of blocks of 100 bases")
    seed: int = option(0, "draws the bootstrap samples")
    require_gated_encoder: bool = option(False, "an encoder that fails its own gate is an error instead of a warning")


@dataclass(frozen=True, slots=True, kw_only=True)
class GenoLewmConfig:
    """Everything a run depends on besides its data."""

    model: ModelConfig = option(ModelConfig(), "model")
    loss: LossConfig = option(LossConfig(), "loss")
    train: TrainConfig = option(TrainConfig(), "training run")
    gate: GateConfig = option(GateConfig(), "gate")


def issues(config: GenoLewmConfig) -> Iterator[Issue]:
    """Every contradiction inside ``config``, all at once."""
    model, loss = config.model, config.loss
    if min(model.layers, model.d_model, model.heads) < 1 or model.d_model % max(model.heads, 1):
        yield Issue.error("GENO_LEWM_MODEL", "model", "numbers must be at least 1, and heads must divide d_model")
    if min(loss.step, loss.cosine, loss.variance, loss.covariance) < 0:
        yield Issue.error("GENO_LEWM_LOSS", "loss", "weights must not be negative")
    if loss.phase == "adapter" and model.adapter == "none":
        yield Issue.error("GENO_LEWM_NOTHING_TRAINS", "loss.phase", "the adapter's phase needs model.adapter=linear")
    if loss.phase == "predictor" and (loss.variance or loss.covariance):
        message = "variance and covariance of predictions are for the adapter's phase"
        yield Issue.error("GENO_LEWM_PHASE", "loss.variance", message)
    if config.gate.resamples < 100:
        yield Issue.error("GENO_LEWM_GATE", "gate.resamples", "an interval needs at least 100 samples")


def _train(updates: int, batch_rows: int, every: int, lr: float) -> TrainConfig:
    return TrainConfig(
        updates=updates,
        batch_rows=batch_rows,
        optimizer=OptimizerConfig(lr=lr, weight_decay=0.1),
        schedule=ScheduleConfig(name="cosine_warmup", warmup=min(50, updates // 4)),
        threads=1,
        log_every=every,
        validate_every=every,
        collapse_every=every,
        checkpoint_every=every,
        max_val_samples=512,
    )


def smoke() -> GenoLewmConfig:
    """The whole path in seconds; the gate asks for next to nothing."""
    return GenoLewmConfig(
        model=ModelConfig(layers=1, d_model=32, heads=2),
        train=_train(60, 32, 20, 3e-3),
        gate=GateConfig(skill_1=-0.5, skill_3=-0.5, gain_1=-2.0, gain_3=-2.0, class_mean=-2.0),
    )


def demo() -> GenoLewmConfig:
    """The default: under a minute on one core."""
    return GenoLewmConfig(train=_train(1400, 128, 200, 1.5e-3))


PRESETS = {"smoke": smoke, "demo": demo}


def _positions() -> StatesConfig:
    """Every base's vector, of the last layer."""
    return StatesConfig(state="positions")


def _middle() -> StatesConfig:
    """The encoder's middle: its last layer is about the base to be named, and changes less predictably."""
    return StatesConfig(layer=2, state="positions")


STATES = {"smoke": _positions, "demo": _middle}
