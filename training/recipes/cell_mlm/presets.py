"""Named full configs of cell_mlm, each for the cells of the same name."""

from __future__ import annotations

from training.config import OptimizerConfig, ScheduleConfig, TrainConfig
from training.recipes.cell_mlm.config import CellMlmConfig, GateConfig, ModelConfig, ObjectiveConfig, TokensConfig

ADAMW = {"betas": (0.9, 0.98)}


def _train(updates: int, rows: int, lr: float, every: int) -> TrainConfig:
    return TrainConfig(
        updates=updates,
        batch_rows=rows,
        optimizer=OptimizerConfig(lr=lr, weight_decay=0.05, kwargs=ADAMW),
        schedule=ScheduleConfig(name="cosine_warmup", warmup=min(50, updates // 10), lr_min_ratio=0.1),
        threads=1,
        log_every=max(1, every // 5),
        monitor_every=every,
        validate_every=every,
        checkpoint_every=every,
    )


def smoke() -> CellMlmConfig:
    """The whole path in seconds, on simulated cells; its gate says only that something was learned."""
    return CellMlmConfig(
        tokens=TokensConfig(length=128),
        model=ModelConfig(layers=1, width=32, heads=2),
        train=_train(150, 16, 3e-3, 50),
        gate=GateConfig(over_frequency=-0.5, over_knn=-1.0, over_untrained=-0.5, cells=60, resamples=200),
    )


def demo() -> CellMlmConfig:
    """The default: 700 real cells, in minutes on two cores. Thresholds and length were chosen on other test wells."""
    return CellMlmConfig(tokens=TokensConfig(length=128), train=_train(2000, 16, 2e-3, 500))


def simulated() -> CellMlmConfig:
    """Counts of simulated cells with every assessment; which gates it passes is on the page of figures."""
    return CellMlmConfig(
        tokens=TokensConfig(tokenizer="binned", length=256),
        objective=ObjectiveConfig(task="values", value_loss="nb"),
        train=_train(800, 16, 2e-3, 200),
        gate=GateConfig(probe=False, perturbation=True, network=True, cells=200),
    )


PRESETS = {"smoke": smoke, "demo": demo, "simulated": simulated}
