"""Settings of the domain's stages and their presets. A run overrides one by its dotted name, such as
``episodes.raw_slice.noise=0.1``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from assets_data.lineage import ConfigError, option

SOURCES = ("collect", "npz", "parquet", "minari")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceConfig:
    """Where episodes come from: an environment that is played, or files. The environment is also where plans are tried;
    files may say which one theirs was.
    """

    source: Literal["collect", "npz", "parquet", "minari"] = option("collect", "play an environment, or read files")
    label: str = option("", "first part of every slice's name; empty: from the environment")
    env_id: str = option("", "Gymnasium id of the environment; files may leave it empty: nothing can be planned then")
    env_kwargs: Mapping[str, Any] = field(
        default_factory=dict, metadata={"doc": "further arguments of gymnasium.make for that environment"}
    )
    max_steps: int = option(0, "steps after which an episode is truncated; 0 leaves the environment's own limit")
    obs_key: str = option("", "which entry of a dict observation is seen, such as `image`")
    obs_indices: tuple[int, ...] = option((), "which numbers of a vector observation are seen; empty: all of them")
    noise: float = option(0.0, "standard deviation of Gaussian sensor noise on float observations, in their units")
    policy: Literal["held", "uniform"] = option(
        "held", "uniform actions, or each held for as many steps as a draw says"
    )
    hold: int = option(20, "most steps that the held policy keeps an action")
    slices: int = option(3, "slices to collect")
    episodes: int = option(100, "episodes of each slice")
    first_seed: int = option(0, "reset seed of the first episode; every next one has the next seed")
    seed: int = option(0, "seed of the actions and of the noise")
    root: str = option("", "folder of the files: one slice per .npz or .parquet file, or per Minari dataset")
    reward_at: Literal["", "action", "arrival"] = option(
        "", "of npz and parquet: rewards[t] is earned by actions[t], or arrived together with obs[t]; must be said"
    )

    def __post_init__(self) -> None:
        if self.source == "collect" and not self.env_id:
            raise ConfigError("EPISODES_NO_ENVIRONMENT", "collecting needs an environment", where="raw_slice.env_id")
        if self.source != "collect" and not self.root:
            raise ConfigError("EPISODES_NO_ROOT", "files are read from a folder", where="raw_slice.root")
        if self.source in ("npz", "parquet") and not self.reward_at:
            what = "files do not say whether rewards[t] belongs to actions[t] or came with obs[t]"
            raise ConfigError("EPISODES_REWARD_AT", what, expected="action or arrival", where="raw_slice.reward_at")
        if min(self.slices, self.episodes, self.hold) < 1 or min(self.noise, self.max_steps, self.first_seed) < 0:
            what = "slices, episodes and hold are at least 1; noise, max_steps and first_seed are not negative"
            raise ConfigError("EPISODES_SOURCE", what, where="raw_slice")


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitConfig:
    """Who is held out: a pure function of the episode's record id, so what arrives later moves nobody."""

    validation_share: float = option(0.1, "share of the episodes in the validation split")
    test_share: float = option(0.1, "share of the episodes in the test split")
    least: int = option(20, "fewest episodes that each split must have")
    seed: int = option(7, "seed of the draw; another seed is another split")

    def __post_init__(self) -> None:
        held_out = (self.validation_share, self.test_share)
        if min(held_out) <= 0 or sum(held_out) >= 1 or self.least < 1:
            what = "both shares must be positive and leave room for training episodes; least is at least 1"
            raise ConfigError("EPISODES_SPLIT", what, found=held_out, where="split")


@dataclass(frozen=True, slots=True, kw_only=True)
class StatisticsConfig:
    """The pinned statistics."""

    again: bool = option(False, "compute them afresh from the episodes at hand and pin those")


@dataclass(frozen=True, slots=True, kw_only=True)
class SequencesConfig:
    """How training sequences are cut from episodes."""

    length: int = option(32, "rows of a sequence; a shorter episode is padded and masked")
    stride: int = option(16, "one sequence an epoch for so many valid starts of an episode")

    def __post_init__(self) -> None:
        if self.length < 2 or self.stride < 1:
            what = "a sequence has at least 2 rows, a stride at least 1"
            raise ConfigError("EPISODES_SEQUENCES", what, found=(self.length, self.stride), where="sequences")


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodesConfig:
    """Everything between raw slices and sequences. A stage reads the sections that it lists."""

    split: SplitConfig = option(SplitConfig(), "who is held out")
    statistics: StatisticsConfig = option(StatisticsConfig(), "the pinned statistics")
    sequences: SequencesConfig = option(SequencesConfig(), "training sequences")


PENDULUM = SourceConfig(env_id="Pendulum-v1", label="pendulum")
ANGLE = replace(PENDULUM, label="pendulum-angle", obs_indices=(0, 1), noise=0.05)
CHEETAH = SourceConfig(env_id="HalfCheetah-v5", label="halfcheetah", slices=10, episodes=50)


def _smoke() -> SourceConfig:
    return replace(PENDULUM, label="pendulum-short", max_steps=40, slices=2, episodes=40)


RAW = {
    "smoke": _smoke,
    "demo": lambda: ANGLE,
    "demo_full": lambda: PENDULUM,
    "demo_tdmpc": lambda: PENDULUM,
    "gpu": lambda: CHEETAH,
}
TABLES = {
    "smoke": lambda: EpisodesConfig(split=SplitConfig(least=3), sequences=SequencesConfig(length=12, stride=8)),
    "demo": EpisodesConfig,
    "demo_full": EpisodesConfig,
    "demo_tdmpc": EpisodesConfig,
    "gpu": lambda: EpisodesConfig(sequences=SequencesConfig(length=64, stride=32)),
}
"""Presets: a name, and a function that gives a full config. A run asks every stage for the one of its own name."""
