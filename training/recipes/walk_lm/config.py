"""Config of walk_lm: model, training run, gate. Owns the presets; imports no torch.

The walk corpora these presets are made for come from the walk presets of the same names.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from assets_data.lineage import option
from training.config import TrainConfig
from training.recipe import Issue
from training.tokens.config import TokenLoss


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """A decoder-only transformer; the vocabulary is the graph's vertices."""

    layers: int = option(2, "transformer blocks")
    width: int = option(64, "residual stream; divisible by 2 * heads")
    heads: int = option(2, "attention heads per block")
    mlp_ratio: int = option(4, "hidden width of the feed-forward part, in units of width")
    context: int = option(64, "most tokens the model sees; a rule longer than this is out of its sight")
    rotary_base: float = option(100.0, "longest rotary wavelength is about 2*pi times this; small suits short contexts")


@dataclass(frozen=True, slots=True, kw_only=True)
class GateConfig:
    """The registered evaluation. Changing any of it after training is refused."""

    edge_threshold: float = option(0.95, "share of valid edges that greedy decoding must exceed")
    rule_threshold: float = option(0.80, "compliance that every single rule must exceed, greedy, from trigger prompts")
    prompts_per_rule: int = option(150, "distinct trigger prompts per rule, where the held-out walks have them")
    least_prompts: int = option(100, "fewest trigger prompts per rule the preflight accepts")
    prompt_tokens: int = option(16, "length of a trigger prompt, its jumper included")
    start_prompts: int = option(1000, "held-out walks whose first vertex is a start prompt")
    monitor_prompts: int = option(16, "trigger prompts per rule for the curves, none of them the gate's")
    seed: int = option(0, "chooses prompts and drives sampling at temperature 1")
    unattainable: Literal["error", "warning"] = option(
        "error", "what a gate that cannot be reached is, in the preflight"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkLmConfig:
    """Everything a walk_lm run depends on besides its data."""

    model: ModelConfig = option(ModelConfig(), "model")
    train: TrainConfig = option(TrainConfig(), "training run")
    loss: TokenLoss = option(TokenLoss(), "loss over token labels")
    gate: GateConfig = option(GateConfig(), "gate")


def issues(config: WalkLmConfig) -> Iterator[Issue]:
    """Every contradiction of the recipe's own fields, all at once."""
    model, gate = config.model, config.gate
    if min(model.layers, model.width, model.heads, model.mlp_ratio, model.context) < 1 or model.rotary_base <= 1.0:
        yield Issue.error("WALK_LM_MODEL", "model", "sizes must be at least 1 and rotary_base above 1")
    elif model.width % (2 * model.heads):
        yield Issue.error(
            "WALK_LM_MODEL", "model.width", f"{model.width} is not divisible by 2 * heads = {2 * model.heads}"
        )
    for name in ("edge_threshold", "rule_threshold"):
        if not 0.0 <= getattr(gate, name) < 1.0:
            yield Issue.error("WALK_LM_GATE", f"gate.{name}", "must be in [0, 1), as it has to be exceeded")
    if not 1 <= gate.least_prompts <= gate.prompts_per_rule:
        yield Issue.error("WALK_LM_GATE", "gate.least_prompts", "must be between 1 and prompts_per_rule")
    if min(gate.prompt_tokens, gate.start_prompts, gate.monitor_prompts) < 1:
        yield Issue.error("WALK_LM_GATE", "gate", "prompt_tokens, start_prompts and monitor_prompts must be at least 1")
    if gate.prompt_tokens > model.context:
        yield Issue.error(
            "WALK_LM_GATE", "gate.prompt_tokens", f"{gate.prompt_tokens} exceed the context of {model.context}"
        )
