"""Config of hrm_lm: model with its core and experts, data, training run, gate. Owns its contradictions; no torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from assets_data.lineage import option
from training.config import TrainConfig
from training.recipe import Issue
from training.tokens import TokenGate, TokenLoss


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreConfig:
    """The hierarchical recurrent core: ``h_len`` slow slots that steer ``l_len`` fast ones, or a latent per token."""

    reads: Literal["pooled", "tokens"] = option(
        "pooled", "what the core sees: the prompt's mean vector as the reference's does, or every token's state"
    )
    h_len: int = option(8, "slow (high) slots; tokens: 0 leaves them out")
    l_len: int = option(64, "pooled: fast (low) slots; tokens has one per token and ignores it")
    h_layers: int = option(2, "transformer layers of the slow module")
    l_layers: int = option(2, "transformer layers of the fast module")
    h_cycles: int = option(4, "slow steps (tokens: per segment)")
    l_steps: int = option(8, "fast steps per slow step")
    segments: int = option(1, "tokens: times the cycles are run in training, at most")
    least_segments: int = option(0, "tokens: each update draws their number from here to segments; 0: always segments")
    eval_segments: int = option(1, "tokens: times the cycles are run when the model is used; the weights are the same")
    reach: int = option(
        0, "flood: a segment is trained on cells within this many steps of S per segment so far; 0: on all"
    )
    gradient: Literal["one_step", "segment", "full"] = option(
        "one_step", "one_step: through the last cycle; tokens also segment: through one segment; full: through all"
    )
    halt: Literal["none", "agree"] = option(
        "none", "flood: agree stops a row when two segments in a row give the same answer"
    )
    halt_weight: float = option(0.0, "weight of (sum of halting probabilities - halt_target)^2; 0 leaves the term out")
    halt_target: float = option(1.0, "cycles the halting probabilities should sum to")
    ds_weight: float = option(
        0.0, "weight of the loss decoded from earlier cycles (tokens: segments); 0 leaves deep supervision out"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MoeConfig:
    """A mixture of experts in the place of the encoder's feed-forward parts."""

    enabled: bool = option(False, "use experts instead of one feed-forward part")
    experts: int = option(4, "experts per layer")
    top_k: int = option(1, "experts per token")
    capacity_factor: float = option(1.25, "room per expert in units of an even share; training drops the overflow")
    aux_weight: float = option(0.01, "weight of the load-balancing term")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """An encoder, the core, and a decoder that reads their memory."""

    d_model: int = option(512, "width of everything; divisible by heads and by 2")
    heads: int = option(8, "attention heads")
    encoder_layers: int = option(4, "encoder blocks")
    decoder_layers: int = option(4, "decoder blocks")
    ff_multiplier: int = option(4, "hidden width of feed-forward parts, in units of d_model")
    dropout: float = option(0.0, "dropout on what blocks add to the residual stream")
    max_tokens: int = option(512, "longest encoder or decoder sequence")
    relative_positions: bool = option(
        False, "in the encoder and a core that reads tokens, add a learned value per head and distance to the scores"
    )
    window: int = option(
        0, "in the same places, how far from a position others are read; flood: size + 1 is a cell's neighbours; 0: all"
    )
    memory: Literal["core", "core+encoder", "encoder"] = option(
        "core+encoder", "what the decoder reads; encoder builds no core at all and is there to compare with"
    )
    bridge: Literal["prefix", "cross"] = option(
        "prefix", "prefix turns z into prefix_len memory vectors, cross into one"
    )
    prefix_len: int = option(8, "memory vectors of the prefix bridge")
    gate_warmup_steps: int = option(1000, "updates over which the gate's scale rises from 0 to 1")
    gate_bias: float = option(0.0, "added to the gate before it is clamped to [0, 1]")
    core: CoreConfig = option(CoreConfig(), "recurrent core")
    moe: MoeConfig = option(MoeConfig(), "experts in the encoder")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """What is learned: the manifest's triples, or made-up sums, for which the manifest is only the run's anchor."""

    source: Literal["triples", "arithmetic", "flood"] = option(
        "triples", "triples of the manifest, 'What is a + b?', or text mazes"
    )
    heldout_share: float = option(0.1, "made-up data: share of pairs or mazes kept for the gate, and as many to watch")
    seed: int = option(0, "made-up data: decides which pairs are held out, and which mazes there are")
    size: int = option(5, "flood: rows and columns of a maze")
    marks: Literal["reached", "path"] = option(
        "reached", "flood: which cells are marked, those that S reaches or those on a shortest path to a goal"
    )
    mazes: int = option(20_000, "flood: mazes to train on, in equal parts of depths 1 to 5")
    judged_mazes: int = option(250, "flood: mazes of each depth, 1 to 10, that the gate judges")


@dataclass(frozen=True, slots=True, kw_only=True)
class GateConfig(TokenGate):
    """The registered evaluation: loss, and for the core and for sums what is asked besides."""

    exact_match: float = option(0.95, "arithmetic: share of held-out pairs that must be exceeded, decoded greedily")
    slot_spread: float = option(0.01, "distance between core slots, in units of their size, that must be exceeded")
    near: float = option(0.95, "flood: share of mazes of trained depths that must be exceeded, right in every cell")
    deep: float = option(0.5, "flood: the same of mazes deeper than any trained on")
    deep_gain: float = option(
        0.2, "flood: how much more of those eval_segments must solve than the fewest segments of training"
    )
    monitor_rows: int = option(128, "other held-out rows for the curves, at most")


@dataclass(frozen=True, slots=True, kw_only=True)
class HrmLmConfig:
    """Everything an hrm_lm run depends on besides its data."""

    model: ModelConfig = option(ModelConfig(), "model")
    data: DataConfig = option(DataConfig(), "data")
    train: TrainConfig = option(TrainConfig(), "training run")
    loss: TokenLoss = option(TokenLoss(), "loss over token labels")
    gate: GateConfig = option(GateConfig(), "gate")


def issues(config: HrmLmConfig) -> Iterator[Issue]:
    """Every contradiction of the recipe's own fields, all at once."""
    yield from _model_issues(config.model)
    yield from _core_issues(config.model.core)
    for path in _unused(config.model):
        yield Issue.error("HRM_LM_CORE", path, f"core.reads {config.model.core.reads} does not use it; leave it out")
    if config.model.core.reads == "tokens" and config.model.memory == "core":
        yield Issue.error("HRM_LM_CORE", "model.memory", "a core that reads tokens adds to the encoder's states")
    yield from _moe_issues(config.model.moe)
    data, gate = config.data, config.gate
    if not 0.0 < data.heldout_share < 0.5:
        yield Issue.error("HRM_LM_DATA", "data.heldout_share", "must be above 0 and below 0.5, as it is taken twice")
    if data.size < 3 or min(data.mazes, data.judged_mazes) < 5:
        yield Issue.error("HRM_LM_DATA", "data", "size must be at least 3, mazes and judged_mazes at least 5")
    if config.model.core.halt == "agree" and (data.source != "flood" or config.model.core.reads != "tokens"):
        yield Issue.error("HRM_LM_CORE", "model.core.halt", "agree needs data.source flood and core.reads tokens")
    if config.model.core.reach:
        flooded = data.source == "flood" and data.marks == "reached"
        if not flooded or config.model.memory == "encoder" or not config.model.core.ds_weight:
            needs = "needs data.source flood with marks reached, a core and a ds_weight"
            yield Issue.error("HRM_LM_CORE", "model.core.reach", needs)
    for name in ("exact_match", "slot_spread", "near", "deep", "deep_gain"):
        if not 0.0 <= getattr(gate, name) < 1.0:
            yield Issue.error("HRM_LM_GATE", f"gate.{name}", "must be in [0, 1), as it has to be exceeded")
    if data.source == "flood" and 0 < config.model.window <= data.size:
        yield Issue.error("HRM_LM_MODEL", "model.window", f"must be above {data.size}: the cell above is that far")
    if gate.monitor_rows < 1:
        yield Issue.error("HRM_LM_GATE", "gate.monitor_rows", "must be at least 1")


def _model_issues(model: ModelConfig) -> Iterator[Issue]:
    sizes = (model.d_model, model.heads, model.encoder_layers, model.decoder_layers, model.ff_multiplier)
    if min(*sizes, model.max_tokens, model.prefix_len) < 1:
        yield Issue.error("HRM_LM_MODEL", "model", "sizes must be at least 1")
    elif model.d_model % model.heads or model.d_model % 2:
        yield Issue.error(
            "HRM_LM_MODEL", "model.d_model", f"{model.d_model} is not divisible by {model.heads} heads and by 2"
        )
    if model.window < 0:
        yield Issue.error("HRM_LM_MODEL", "model.window", "must not be negative")
    if not 0.0 <= model.dropout < 1.0:
        yield Issue.error("HRM_LM_MODEL", "model.dropout", "must be in [0, 1)")
    if model.gate_warmup_steps < 0 or not 0.0 <= model.gate_bias <= 1.0:
        yield Issue.error(
            "HRM_LM_MODEL", "model", "gate_warmup_steps must not be negative and gate_bias must be in [0, 1]"
        )


def _unused(model: ModelConfig) -> Iterator[str]:
    """Fields that the chosen kind of core does not read and that somebody set."""
    pooled = model.core.reads == "pooled"
    of_tokens = ("segments", "least_segments", "eval_segments", "reach")
    names = of_tokens if pooled else ("l_len", "halt_weight", "halt_target")
    yield from (f"model.core.{name}" for name in names if getattr(model.core, name) != getattr(CoreConfig(), name))
    if pooled and model.core.gradient == "segment":
        yield "model.core.gradient"
    if not pooled:
        yield from (
            f"model.{name}" for name in ("bridge", "prefix_len") if getattr(model, name) != getattr(ModelConfig(), name)
        )


def _core_issues(core: CoreConfig) -> Iterator[Issue]:
    if core.reads == "tokens":
        if core.h_len < 0 or not core.segments >= 1 or core.eval_segments < 1:
            yield Issue.error("HRM_LM_CORE", "model.core", "h_len must not be negative, segments be at least 1")
        if core.reach < 0:
            yield Issue.error("HRM_LM_CORE", "model.core.reach", "must not be negative")
        if not 0 <= core.least_segments <= core.segments:
            yield Issue.error("HRM_LM_CORE", "model.core.least_segments", f"must be in [0, segments = {core.segments}]")
    elif min(core.h_len, core.l_len) < 2:
        yield Issue.error(
            "HRM_LM_CORE", "model.core", "h_len and l_len must be at least 2: a single slot has no spread to judge"
        )
    if min(core.h_layers, core.l_layers, core.h_cycles, core.l_steps) < 1:
        yield Issue.error("HRM_LM_CORE", "model.core", "layers, cycles and steps must be at least 1")
    if min(core.halt_weight, core.ds_weight) < 0.0:
        yield Issue.error("HRM_LM_CORE", "model.core", "halt_weight and ds_weight must not be negative")
    if not 0.0 <= core.halt_target <= core.h_cycles:
        yield Issue.error("HRM_LM_CORE", "model.core.halt_target", f"must be in [0, h_cycles = {core.h_cycles}]")


def _moe_issues(moe: MoeConfig) -> Iterator[Issue]:
    if not 1 <= moe.top_k <= moe.experts:
        yield Issue.error("HRM_LM_MOE", "model.moe.top_k", f"must be in [1, experts = {moe.experts}]")
    if moe.capacity_factor <= 0.0 or moe.aux_weight < 0.0:
        yield Issue.error("HRM_LM_MOE", "model.moe", "capacity_factor must be above 0 and aux_weight not negative")
