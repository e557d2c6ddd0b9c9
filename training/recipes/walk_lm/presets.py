"""Named full configs of walk_lm, each for the walk corpus of the same name."""

from __future__ import annotations

from dataclasses import replace

from training.config import OptimizerConfig, ScheduleConfig, TrainConfig
from training.recipes.walk_lm.config import GateConfig, ModelConfig, WalkLmConfig

ADAMW = {"betas": (0.9, 0.98)}


def smoke() -> WalkLmConfig:
    """The whole path in seconds."""
    return WalkLmConfig(
        model=ModelConfig(layers=2, width=32, heads=2, context=31, rotary_base=10_000.0),
        train=TrainConfig(
            updates=600,
            batch_rows=32,
            optimizer=OptimizerConfig(lr=4e-3, kwargs=ADAMW),
            schedule=ScheduleConfig(name="wsd", warmup=40),
            threads=1,  # two would save a third of the time on an idle machine and lose far more on a busy one
            log_every=20,
            monitor_every=100,
            validate_every=100,
            checkpoint_every=100,
        ),
        gate=GateConfig(prompts_per_rule=40, least_prompts=20, prompt_tokens=8, start_prompts=100, monitor_prompts=8),
    )


def demo() -> WalkLmConfig:
    """The default: passes the gate on two CPU cores in minutes; a row is a whole walk of the demo corpus."""
    return WalkLmConfig(
        model=ModelConfig(layers=2, width=64, heads=2, context=96, rotary_base=10_000.0),
        train=TrainConfig(
            updates=2000,
            batch_rows=32,
            optimizer=OptimizerConfig(lr=4e-3, kwargs=ADAMW),
            schedule=ScheduleConfig(name="wsd", warmup=200),
            threads=1,
            log_every=50,
            monitor_every=250,
            validate_every=250,
            checkpoint_every=500,
        ),
        gate=GateConfig(prompt_tokens=32),
    )


def anchor() -> WalkLmConfig:
    """The published graph and rules, for a GPU."""
    return WalkLmConfig(
        model=ModelConfig(layers=4, width=128, heads=4, context=255),
        train=TrainConfig(
            updates=20_000,
            batch_rows=64,
            optimizer=OptimizerConfig(lr=2e-3, kwargs=ADAMW),
            schedule=ScheduleConfig(name="wsd", warmup=1000),
            log_every=100,
            monitor_every=1000,
            validate_every=1000,
            checkpoint_every=1000,
        ),
        gate=GateConfig(prompt_tokens=63),
    )


def strict() -> WalkLmConfig:
    """The published window of 64: rules beyond it are out of sight, which the preflight reports and does not refuse."""
    base = anchor()
    gate = replace(base.gate, unattainable="warning")
    return replace(base, model=replace(base.model, context=64), gate=gate)


PRESETS = {"smoke": smoke, "demo": demo, "anchor": anchor, "strict": strict}
