"""Config of a training run: what all recipes have in common, its checks, and its JSON files. Needs no torch."""

from training.config.files import load_config, pin_length, save_config, with_updates
from training.config.parts import BestConfig, OptimizerConfig, ScheduleConfig
from training.config.problems import Problem, problems
from training.config.train import SEEDS, STALLED, TrainConfig, derived_seed, derived_seeds

__all__ = [
    "SEEDS",
    "STALLED",
    "BestConfig",
    "OptimizerConfig",
    "Problem",
    "ScheduleConfig",
    "TrainConfig",
    "derived_seed",
    "derived_seeds",
    "load_config",
    "pin_length",
    "problems",
    "save_config",
    "with_updates",
]
