"""Config of dna_lm: model, masks, training run, gate; and its presets. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from assets_data.lineage import option
from training.config import OptimizerConfig, ScheduleConfig, TrainConfig
from training.findings import Issue


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """Residual blocks of a dilated convolution and a feed-forward layer."""

    d_model: int = option(48, "width of a base's vector")
    kernel: int = option(5, "bases that a convolution sees, an odd number")
    dilations: tuple[int, ...] = option((1, 2, 4, 8), "one block each; together with the kernel, how far it sees")
    ff_multiplier: int = option(2, "width of the feed-forward layer, in d_model")


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskConfig:
    """Which bases are asked for in training."""

    share: float = option(0.15, "share of the bases that are asked for")
    masked: float = option(0.8, "share of those that are shown as the mask")
    random: float = option(0.1, "share of those that are shown as a random base; the rest is shown as it is")


@dataclass(frozen=True, slots=True, kw_only=True)
class GateConfig:
    """The registered evaluation: bases so far apart that each is seen with its neighbours."""

    unigram: float = option(0.0, "nats per base by which it must beat the bases' frequencies, lower bound")
    context: float = option(0.0, "nats per base by which it must beat the best context counts, lower bound")
    spacing: int = option(12, "bases from one that is asked for to the next")
    reach: int = option(3, "most neighbours on each side that context counts look at")
    resamples: int = option(1000, "bootstrap samples of blocks of 100 bases behind the 95% interval")
    seed: int = option(0, "draws which bases are asked for, and the bootstrap samples")


@dataclass(frozen=True, slots=True, kw_only=True)
class DnaLmConfig:
    """Everything a run depends on besides its data."""

    model: ModelConfig = option(ModelConfig(), "model")
    mask: MaskConfig = option(MaskConfig(), "masks")
    train: TrainConfig = option(TrainConfig(), "training run")
    gate: GateConfig = option(GateConfig(), "gate")


def issues(config: DnaLmConfig) -> Iterator[Issue]:
    """Every contradiction inside ``config``, all at once."""
    model, mask, gate = config.model, config.mask, config.gate
    if min(model.d_model, model.kernel, model.ff_multiplier, *model.dilations, len(model.dilations)) < 1:
        yield Issue.error("DNA_LM_MODEL", "model", "every number of the model must be at least 1")
    if model.kernel % 2 == 0:
        yield Issue.error("DNA_LM_MODEL", "model.kernel", "a kernel of an even width has no middle")
    if not 0 < mask.share < 1 or min(mask.masked, mask.random) < 0 or mask.masked + mask.random > 1:
        yield Issue.error("DNA_LM_MASK", "mask", "shares lie between 0 and 1, and masked + random is 1 at most")
    if gate.spacing <= gate.reach or not 0 <= gate.reach <= 4 or gate.resamples < 100:
        message = "spacing must be larger than reach, reach 0 to 4, and resamples at least 100"
        yield Issue.error("DNA_LM_GATE", "gate", message)


def _train(updates: int, every: int) -> TrainConfig:
    return TrainConfig(
        updates=updates,
        batch_rows=64,
        optimizer=OptimizerConfig(lr=3e-3, weight_decay=0.05),
        schedule=ScheduleConfig(name="cosine_warmup", warmup=min(50, updates // 4)),
        threads=1,
        log_every=every,
        validate_every=every,
        checkpoint_every=every,
        max_val_samples=256,
    )


def smoke() -> DnaLmConfig:
    """The whole path in seconds; the gate asks only whether anything was learned about frequencies."""
    return DnaLmConfig(
        model=ModelConfig(d_model=16, dilations=(1, 2)),
        train=_train(60, 20),
        gate=GateConfig(unigram=-0.05, context=-0.2),
    )


def demo() -> DnaLmConfig:
    """The default: half a minute on one core. Twice the updates learn the training sequences by heart."""
    return DnaLmConfig(train=_train(300, 50))


PRESETS = {"smoke": smoke, "demo": demo}
