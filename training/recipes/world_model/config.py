"""Config of world_model: two models, a planner, the training run, the gate. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from assets_data.lineage import option
from training.config import TrainConfig
from training.findings import Issue


@dataclass(frozen=True, slots=True, kw_only=True)
class RssmConfig:
    """A recurrent state-space model: a GRU's state and groups of categorical variables."""

    gru: int = option(128, "units of the recurrent state")
    groups: int = option(8, "categorical variables of the stochastic state")
    classes: int = option(8, "values of each of them")
    hidden: int = option(128, "units of every hidden layer")
    uniform: float = option(0.01, "share of a uniform distribution in every categorical one")
    obs_weight: float = option(100.0, "weight of the observation's error; at 1 it drowns in the free nat")
    free_nats: float = option(1.0, "divergence below which prior and posterior are left alone")
    depth: int = option(16, "channels of the first convolution, for images")


@dataclass(frozen=True, slots=True, kw_only=True)
class TdmpcConfig:
    """A latent model without a decoder in its loss, with values and a policy (TD-MPC2)."""

    latent: int = option(64, "units of the latent state; divisible by 8")
    encoder: int = option(128, "units of the encoder's hidden layers")
    encoder_layers: int = option(2, "hidden layers of the encoder")
    hidden: int = option(128, "units of every other hidden layer")
    critics: int = option(5, "value functions; a target is the least of two of them")
    bins: int = option(101, "bins of two-hot rewards and values")
    bound: float = option(10.0, "largest symlog of a reward or value")
    history: int = option(1, "observations that the encoder sees, newest last; more where one does not say all")
    horizon: int = option(3, "steps that the loss unrolls the model")
    decay: float = option(0.5, "weight of a step of the unrolled loss to that of the one before")
    target_rate: float = option(0.01, "share of the critics that goes into their targets, per update")
    encoder_rate: float = option(0.3, "the encoder's learning rate, as a share of the run's")
    entropy: float = option(1e-4, "weight of the policy's entropy")
    depth: int = option(16, "channels of the first convolution, for images")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannerConfig:
    """Cross-entropy method over action sequences, with MPPI weights of the elites."""

    horizon: int = option(12, "steps that a plan looks ahead")
    candidates: int = option(64, "action sequences per iteration")
    iterations: int = option(3, "refinements of the distribution they are drawn from")
    elite_share: float = option(0.125, "share of the candidates that the next distribution is fitted to")
    least_deviation: float = option(0.05, "floor of the standard deviation of normalised actions")
    temperature: float = option(0.5, "of the elites' weights: exp(temperature * (value - best))")
    context: int = option(16, "newest observations from which the state is inferred anew at every step")
    discount: float = option(1.0, "of rewards inside a plan, besides the predicted continue probability")


@dataclass(frozen=True, slots=True, kw_only=True)
class GateConfig:
    """The registered evaluation. Changing any of it after training is refused."""

    context: int = option(8, "observations before a prediction")
    horizon: int = option(40, "longest open-loop prediction, for the curves")
    judged: int = option(10, "horizons 1 to this are judged, together")
    windows: int = option(4, "predictions per test episode, evenly spaced")
    over_no_change: float = option(0.8, "skill over the last observation that the interval's lower end must exceed")
    over_ridge: float = option(0.5, "the same over the better of two linear models")
    over_knn: float = option(0.0, "the same over the nearest recorded transitions")
    headroom: float = option(0.98, "share of no-change's error above which a baseline leaves nothing to judge")
    reference_rows: int = option(20_000, "training transitions that the baselines are fitted on")
    planning: Literal["judged", "reported", "off"] = option("judged", "what planning in the real environment counts")
    plan_score: float = option(0.8, "share of the way from random to the known controller that must be exceeded")
    plan_starts: int = option(30, "unseen starts, each played by all")
    plan_seed: int = option(1_000_000, "reset seed of the first start; no collected episode may have one of them")
    plan_steps: int = option(0, "steps of a planned episode at most; 0 leaves the environment's limit")
    least_ends: int = option(50, "terminated test episodes without which the continue probability is not judged")
    brier: float = option(0.3, "Brier skill of the continue probability over its base rate")
    calibration: float = option(0.95, "one minus the expected calibration error of that probability")
    resamples: int = option(1000, "bootstrap samples, by episode, behind every 95% interval")
    seed: int = option(0, "draws the bootstrap, the plans' candidates and the baselines' rows")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldModelConfig:
    """Everything a world_model run depends on besides its data."""

    model: Literal["rssm", "tdmpc"] = option("rssm", "which model")
    rssm: RssmConfig = option(RssmConfig(), "the recurrent state-space model")
    tdmpc: TdmpcConfig = option(TdmpcConfig(), "the latent model with values")
    planner: PlannerConfig = option(PlannerConfig(), "planner")
    train: TrainConfig = option(TrainConfig(), "training run")
    gate: GateConfig = option(GateConfig(), "gate")


def issues(config: WorldModelConfig) -> Iterator[Issue]:
    """Every contradiction of the recipe's own fields, all at once."""
    rssm, tdmpc, plan, gate = config.rssm, config.tdmpc, config.planner, config.gate
    if min(rssm.gru, rssm.groups, rssm.hidden, rssm.depth) < 1 or rssm.classes < 2 or not 0 <= rssm.uniform < 1:
        yield Issue.error("WORLD_MODEL_MODEL", "rssm", "sizes are at least 1, classes 2, uniform in [0, 1)")
    if tdmpc.latent % 8 or min(tdmpc.latent, tdmpc.hidden, tdmpc.encoder, tdmpc.horizon, tdmpc.history) < 1:
        yield Issue.error("WORLD_MODEL_MODEL", "tdmpc", "sizes are at least 1, and latent is divisible by 8")
    if tdmpc.critics < 2 or tdmpc.bins < 3 or not 0 < tdmpc.target_rate <= 1:
        yield Issue.error("WORLD_MODEL_MODEL", "tdmpc", "2 critics and 3 bins at least, target_rate in (0, 1]")
    if min(plan.horizon, plan.iterations, plan.context) < 1 or plan.candidates * plan.elite_share < 1:
        yield Issue.error("WORLD_MODEL_PLANNER", "planner", "counts are at least 1, and one candidate is elite")
    if not 1 <= gate.judged <= gate.horizon or min(gate.context, gate.windows) < 1 or gate.resamples < 100:
        yield Issue.error("WORLD_MODEL_GATE", "gate", "1 <= judged <= horizon; context, windows >= 1; resamples >= 100")
    if gate.planning != "off" and gate.plan_starts < 1:
        yield Issue.error("WORLD_MODEL_GATE", "gate.plan_starts", "planning needs a start")
    if gate.context < 4:
        yield Issue.error("WORLD_MODEL_GATE", "gate.context", "the linear baselines see 4 observations")
