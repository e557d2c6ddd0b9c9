"""Config, presets and recipe; what is not here is what ``training.tokens.CausalRecipe`` does."""

from dataclasses import dataclass

from assets_data.lineage import option
from training.config import OptimizerConfig, ScheduleConfig, TrainConfig
from training.tokens import CausalRecipe, TokenGate, TokenLoss


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """GPT-2's shape."""

    layers: int = option(2, "transformer blocks")
    width: int = option(96, "residual stream; divisible by heads")
    heads: int = option(4, "attention heads per block")
    context: int = option(264, "most tokens the model sees")


@dataclass(frozen=True, slots=True, kw_only=True)
class CausalLmConfig:
    """Everything a run depends on besides its data."""

    model: ModelConfig = option(ModelConfig(), "model")
    train: TrainConfig = option(TrainConfig(), "training run")
    loss: TokenLoss = option(TokenLoss(), "loss over token labels")
    gate: TokenGate = option(TokenGate(), "gate")


def preset(updates: int, batch_rows: int) -> CausalLmConfig:
    """Some updates on a CPU."""
    size = {"updates": updates, "batch_rows": batch_rows, "validate_every": 100}
    plan = {"optimizer": OptimizerConfig(lr=3e-3), "schedule": ScheduleConfig(warmup=50), "threads": 1}
    return CausalLmConfig(train=TrainConfig(**size, **plan), gate=TokenGate(rows=400))


class CausalLm(CausalRecipe):
    """A plain causal language model; exports as GPT-2."""

    name = "causal_lm"
    presets = {"smoke": lambda: preset(400, 32), "demo": lambda: preset(1500, 16)}
    config_type = CausalLmConfig

    def build_model(self, config, inputs):
        """A new model with weights from torch's generator."""
        from stemma_causal_lm.model import Gpt

        return Gpt(config.model, inputs["vocab_size"])

    def export(self, checkpoint, folder):
        """For ``AutoModelForCausalLM``."""
        from training.tokens.hub import write_gpt2

        return write_gpt2(checkpoint, folder, **checkpoint.read_json("config.json")["model"])
