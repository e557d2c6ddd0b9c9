"""Whole episodes in the real environment: by a random policy, by a known controller, by planning in a model.

Every start is a reset seed that no recorded episode has, the same for all who play, so returns are paired. The planner
plays all starts side by side, each in an environment of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from assets_data.domains.episodes.simulator import Simulator, reopen
from assets_data.lineage import uniform01
from training.recipes.world_model.controllers import find_controller

if TYPE_CHECKING:
    from training.recipes.world_model.planner import Planner

LONGEST = 100_000


@dataclass(slots=True, kw_only=True)
class Played:
    """Returns [starts], lengths [starts], and what the first start's episode was like, for people."""

    returns: np.ndarray
    lengths: np.ndarray
    film: list[dict[str, Any]] = field(default_factory=list)


def starts_of(first: int, count: int) -> list[int]:
    """The reset seeds of the starts."""
    return list(range(first, first + count))


def play_random(space: Mapping[str, Any], starts: Sequence[int], steps: int, seed: int) -> Played:
    """Uniform actions, keyed by (seed, start, step)."""
    action = space["action"]
    width = int(np.prod(action["shape"], dtype=int))

    def choose(start: int, step: int, simulator: Simulator) -> np.ndarray:
        drawn = uniform01(seed, f"play/random/{start}", np.arange(step * width, (step + 1) * width, dtype=np.uint64))
        return in_space(action, drawn)

    return _play(space, starts, steps, choose)


def play_reference(space: Mapping[str, Any], starts: Sequence[int], steps: int) -> Played | None:
    """The known controller; None where none is known."""
    controller = find_controller(space["environment"]["env_id"])
    if controller is None:
        return None
    return _play(space, starts, steps, lambda start, step, simulator: controller(simulator.unwrapped))


def play_planned(space: Mapping[str, Any], starts: Sequence[int], steps: int, planner: Planner) -> Played:
    """Plans in the model, step by step, from the observations that the sensor shows."""
    simulators = [reopen(dict(space)) for _ in starts]
    try:
        history = [[simulator.reset(start)] for simulator, start in zip(simulators, starts, strict=True)]
        taken: list[list[np.ndarray]] = [[] for _ in starts]
        returns, lengths = np.zeros(len(starts)), np.zeros(len(starts), np.int64)
        film: list[dict[str, Any]] = []
        live, limit, step = list(range(len(starts))), steps or LONGEST, 0
        while live and step < limit:
            newest = planner.config.context
            chosen = planner.act(
                [history[i][-newest:] for i in live],
                [taken[i][-(newest - 1) :] if newest > 1 else [] for i in live],
                [starts[i] for i in live],
                step,
            )
            still = []
            for i, action in zip(live, chosen, strict=True):
                obs, reward, terminated, truncated = simulators[i].step(action)
                if i == 0:
                    film.append(_frame(step, history[i][-1], action, reward))
                history[i].append(obs)
                taken[i].append(action)
                returns[i] += reward
                lengths[i] += 1
                if not (terminated or truncated):
                    still.append(i)
            live, step = still, step + 1
        return Played(returns=returns, lengths=lengths, film=film)
    finally:
        for simulator in simulators:
            simulator.close()


def in_space(action: Mapping[str, Any], drawn: np.ndarray) -> np.ndarray:
    """Numbers in [0, 1) [A] as one action in the space's own form."""
    if action["kind"] == "discrete":
        return np.array(action["start"] + int(drawn[0] * action["n"]), np.int64)
    low, high = np.array(action["low"]), np.array(action["high"])
    return (low + drawn.reshape(low.shape) * (high - low)).astype(action["dtype"])


def _play(space: Mapping[str, Any], starts: Sequence[int], steps: int, choose: Any) -> Played:
    simulator = reopen(dict(space))
    returns, lengths = np.zeros(len(starts)), np.zeros(len(starts), np.int64)
    try:
        for i, start in enumerate(starts):
            simulator.reset(start)
            for step in range(steps or LONGEST):
                _, reward, terminated, truncated = simulator.step(choose(start, step, simulator))
                returns[i] += reward
                lengths[i] += 1
                if terminated or truncated:
                    break
    finally:
        simulator.close()
    return Played(returns=returns, lengths=lengths)


def _frame(step: int, obs: np.ndarray, action: np.ndarray, reward: float) -> dict[str, Any]:
    shown = obs.ravel()[:8].astype(float).round(4).tolist()
    taken = np.asarray(action, float).ravel()[:8].round(4).tolist()
    return {"step": step, "obs": shown, "action": taken, "reward": round(float(reward), 4)}
