"""Episodes from an environment: each a pure function of (environment, sensor, policy, seeds), of no other episode."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from assets_data.domains.episodes.config import SourceConfig
from assets_data.domains.episodes.policies import actions
from assets_data.domains.episodes.record import Episode
from assets_data.domains.episodes.simulator import Simulator
from assets_data.lineage import DataError, to_dict

LONGEST = 100_000
"""Steps after which an environment that never ends an episode is refused: it needs ``max_steps``."""


def open_simulator(config: SourceConfig) -> Simulator:
    """The environment and sensor of the settings. Raises ConfigError ENV_MISSING, DataError ENV_SPACE."""
    return Simulator(to_dict(config))


def collect(simulator: Simulator, config: SourceConfig, seeds: range) -> Iterator[Episode]:
    """One episode per reset seed."""
    for seed in seeds:
        yield collect_one(simulator, config, seed)


def collect_one(simulator: Simulator, config: SourceConfig, seed: int) -> Episode:
    """The episode of one reset seed. Actions are drawn in blocks, each block once more as long as all before it."""
    drawn = actions(config.policy, config.hold, simulator.facts["action"], config.seed, seed, 256)
    obs, rewards, taken = [simulator.reset(seed)], [], 0
    while True:
        if taken == len(drawn):
            drawn = actions(config.policy, config.hold, simulator.facts["action"], config.seed, seed, 2 * taken)
        after, reward, terminated, truncated = simulator.step(drawn[taken])
        obs.append(after)
        rewards.append(reward)
        taken += 1
        if terminated or truncated:
            break
        if taken == LONGEST:
            raise DataError("ENV_ENDLESS", f"no end after {LONGEST:,} steps", action="set max_steps", where=seed)
    return Episode(
        obs=np.stack(obs),
        action=drawn[:taken],
        reward=np.array(rewards, np.float64),
        terminated=terminated,
        truncated=truncated,
        seed=seed,
        source=f"{config.env_id}/{config.policy}",
    )
