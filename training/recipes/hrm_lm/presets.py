"""Named full configs of hrm_lm: for the triples of the text presets of the same names, or for made-up sums or mazes."""

from __future__ import annotations

from training.config import BestConfig, OptimizerConfig, ScheduleConfig, TrainConfig
from training.recipes.hrm_lm.config import CoreConfig, DataConfig, GateConfig, HrmLmConfig, ModelConfig

ADAMW = {"betas": (0.9, 0.98)}
SMALL_CORE = CoreConfig(h_len=2, l_len=4, h_layers=1, l_layers=1, h_cycles=2, l_steps=2)

FLOOD_CORE = CoreConfig(
    reads="tokens", h_len=2, h_layers=1, l_layers=1, h_cycles=2, l_steps=1, segments=4, least_segments=1,
    eval_segments=8, reach=2, gradient="full", ds_weight=1.0,
)  # fmt: skip
"""A segment runs two steps, so each is judged on what is two steps farther; how many run is drawn for every update."""


def smoke() -> HrmLmConfig:
    """The whole path in seconds, on triples."""
    return HrmLmConfig(
        model=ModelConfig(
            d_model=64,
            heads=4,
            encoder_layers=1,
            decoder_layers=1,
            max_tokens=72,
            prefix_len=2,
            gate_warmup_steps=50,
            core=SMALL_CORE,
        ),
        train=TrainConfig(
            updates=700,
            batch_rows=32,
            optimizer=OptimizerConfig(lr=3e-3, kwargs=ADAMW),
            schedule=ScheduleConfig(name="wsd", warmup=20),
            threads=1,
            log_every=20,
            monitor_every=100,
            validate_every=100,
            max_val_samples=256,
            checkpoint_every=100,
        ),
        gate=GateConfig(rows=200, monitor_rows=32, samples=4, sample_tokens=24),
    )


def arithmetic() -> HrmLmConfig:
    """Sums of two-digit numbers, as text: learned from 80% of the pairs on two CPU cores in minutes."""
    return HrmLmConfig(
        model=ModelConfig(
            d_model=64,
            heads=4,
            encoder_layers=2,
            decoder_layers=2,
            max_tokens=24,
            prefix_len=4,
            gate_warmup_steps=200,
            core=SMALL_CORE,
        ),
        data=DataConfig(source="arithmetic"),
        train=TrainConfig(
            updates=1500,
            batch_rows=256,
            optimizer=OptimizerConfig(lr=3e-3, weight_decay=0.1, kwargs=ADAMW),
            schedule=ScheduleConfig(name="wsd", warmup=100),
            threads=2,
            log_every=25,
            monitor_every=100,
            validate_every=100,
            checkpoint_every=250,
        ),
        gate=GateConfig(sample_tokens=8, monitor_rows=256),
    )


def demo() -> HrmLmConfig:
    """Triples of the embedded corpus: below the unigram and bigram baselines within minutes on two CPU cores."""
    return HrmLmConfig(
        model=ModelConfig(
            d_model=96,
            heads=4,
            encoder_layers=1,
            decoder_layers=2,
            max_tokens=264,
            prefix_len=4,
            gate_warmup_steps=100,
            core=CoreConfig(h_len=4, l_len=8, h_layers=1, l_layers=1, h_cycles=2, l_steps=2),
        ),
        train=TrainConfig(
            updates=1500,
            batch_rows=16,
            optimizer=OptimizerConfig(lr=3e-3, kwargs=ADAMW),
            schedule=ScheduleConfig(name="wsd", warmup=50),
            threads=2,
            log_every=20,
            monitor_every=100,
            validate_every=100,
            max_val_samples=256,
            checkpoint_every=250,
        ),
        gate=GateConfig(rows=400),
    )


def flood() -> HrmLmConfig:
    """Text mazes, with a core over token states: judged on deeper mazes than any it was trained on."""
    return HrmLmConfig(
        model=ModelConfig(
            d_model=32,
            heads=4,
            encoder_layers=1,
            decoder_layers=1,
            max_tokens=40,
            relative_positions=True,
            window=6,
            gate_warmup_steps=0,
            gate_bias=1.0,
            core=FLOOD_CORE,
        ),
        data=DataConfig(source="flood"),
        train=TrainConfig(
            updates=1600,
            batch_rows=32,
            optimizer=OptimizerConfig(lr=3e-3, weight_decay=0.01, kwargs=ADAMW),
            schedule=ScheduleConfig(name="wsd", warmup=100, lr_min_ratio=0.02),
            grad_clip=1.0,
            threads=1,
            log_every=20,
            monitor_every=100,
            validate_every=100,
            checkpoint_every=200,
        ),
        gate=GateConfig(monitor_rows=500),
    )


def stage_a() -> HrmLmConfig:
    """The published guide's recipe, for a GPU: the reference's core, batch 22, sequences of 512."""
    return HrmLmConfig(
        model=ModelConfig(gate_warmup_steps=8000),
        train=TrainConfig(
            updates=100_000,
            batch_rows=22,
            optimizer=OptimizerConfig(lr=2.5e-4),
            schedule=ScheduleConfig(name="cosine_warmup", warmup=4000, lr_min_ratio=0.05),
            grad_clip=5.0,
            precision="bf16",
            device="cuda",
            log_every=50,
            monitor_every=1500,
            validate_every=1500,
            max_val_samples=20_000,
            best=BestConfig(patience=3, grace=10_000),
            checkpoint_every=1500,
        ),
        gate=GateConfig(rows=20_000),
    )


PRESETS = {"smoke": smoke, "arithmetic": arithmetic, "demo": demo, "flood": flood, "stage_a": stage_a}
