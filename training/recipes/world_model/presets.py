"""Named full configs of world_model, each for the episodes of the domain's preset of the same name."""

from __future__ import annotations

from training.config import OptimizerConfig, ScheduleConfig, TrainConfig
from training.recipes.world_model.config import (
    GateConfig,
    PlannerConfig,
    RssmConfig,
    WorldModelConfig,
)


def _training(updates: int, **fields: object) -> TrainConfig:
    chosen: dict[str, object] = {
        "updates": updates,
        "batch_rows": 16,
        "optimizer": OptimizerConfig(lr=1e-3),
        "schedule": ScheduleConfig(name="wsd", warmup=min(50, updates // 10)),
        "grad_clip": 100.0,
        "threads": 1,
        "log_every": 50,
        "validate_every": max(100, updates // 8),
        "max_val_samples": 128,
        "checkpoint_every": 500,
    }
    return TrainConfig(**(chosen | fields))  # type: ignore[arg-type]


def smoke() -> WorldModelConfig:
    """The whole path in seconds, a small model, short episodes. Shows that everything runs, not what a model can do."""
    return WorldModelConfig(
        rssm=RssmConfig(gru=48, groups=4, classes=8, hidden=48),
        planner=PlannerConfig(horizon=6, candidates=16, iterations=2, context=8),
        train=_training(200, batch_rows=8, checkpoint_every=100, validate_every=100),
        gate=GateConfig(
            horizon=12,
            judged=5,
            windows=2,
            over_no_change=0.0,
            over_ridge=-100.0,
            over_knn=-100.0,
            headroom=2.0,
            planning="reported",
            plan_starts=2,
            plan_steps=15,
            reference_rows=2000,
            resamples=200,
        ),
    )


def demo() -> WorldModelConfig:
    """The default: a pendulum's angle, seen through a noisy sensor. Open loop decides; planning is reported."""
    return WorldModelConfig(
        planner=PlannerConfig(horizon=15),
        train=_training(800),
        gate=GateConfig(planning="reported", plan_starts=10),
    )


def demo_full() -> WorldModelConfig:
    """The pendulum with everything seen: no model beats a lookup table open loop, so plans decide."""
    return WorldModelConfig(planner=PlannerConfig(horizon=15), train=_training(1_600), gate=GateConfig())


def demo_tdmpc() -> WorldModelConfig:
    """The same, by the model that learns values."""
    return WorldModelConfig(
        model="tdmpc",
        planner=PlannerConfig(horizon=12, iterations=2, context=1),
        train=_training(1_000),
        gate=GateConfig(),
    )


def gpu() -> WorldModelConfig:
    """HalfCheetah, for a GPU."""
    return WorldModelConfig(
        rssm=RssmConfig(gru=512, groups=32, classes=32, hidden=512),
        planner=PlannerConfig(horizon=15, candidates=512, iterations=6),
        train=_training(50_000, batch_rows=32, threads=None, log_every=500, optimizer=OptimizerConfig(lr=3e-4)),
        gate=GateConfig(planning="reported", plan_starts=10),
    )


PRESETS = {"smoke": smoke, "demo": demo, "demo_full": demo_full, "demo_tdmpc": demo_tdmpc, "gpu": gpu}
