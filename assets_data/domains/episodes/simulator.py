"""Environments: the one module of the domain that plays them, for collection and for whoever plans in them.

Needs Gymnasium when an environment is opened, not before. One plain environment per episode stream: a vector one adds
a step without an action at every autoreset, and is no faster. Knows nothing of snapshots.
"""

from __future__ import annotations

import contextlib
import importlib
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from assets_data.lineage import ConfigError, DataError
from assets_data.lineage.identity.order import keyed_generator

Facts = dict[str, Any]


class Simulator:
    """An environment seen through a sensor. ``facts`` are what :func:`describe` says of it."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        """``settings``: env_id, env_kwargs, max_steps, obs_key, obs_indices, noise, seed. Raises what ``make`` does."""
        self.settings = dict(settings)
        self._env = make(settings)
        self._noise: np.random.Generator | None = None
        self.facts = describe(self._env, settings)

    def reset(self, seed: int) -> np.ndarray:
        """The first observation of the episode of that seed."""
        obs, _ = self._env.reset(seed=seed)
        if self.settings["noise"]:
            self._noise = keyed_generator(self.settings["seed"], "episodes/noise", seed)
        return self._seen(obs)

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool]:
        """``(observation, reward, terminated, truncated)`` of an action in the space's own form."""
        taken = action if self.facts["action"]["kind"] == "box" else int(action)
        obs, reward, terminated, truncated, _ = self._env.step(taken)
        return self._seen(obs), float(reward), bool(terminated), bool(truncated)

    def close(self) -> None:
        """Let go of the environment."""
        self._env.close()

    def render(self) -> np.ndarray | None:
        """uint8[H, W, 3], where ``env_kwargs`` ask for render_mode rgb_array."""
        frame = self._env.render()
        return None if frame is None else np.asarray(frame)

    @property
    def unwrapped(self) -> Any:
        """The environment itself, for known controllers, which see the true state."""
        return self._env.unwrapped

    def _seen(self, obs: Any) -> np.ndarray:
        raw = np.asarray(obs[self.settings["obs_key"]] if self.settings["obs_key"] else obs)
        if self.settings["obs_indices"]:
            raw = raw[list(self.settings["obs_indices"])]
        if self._noise is not None and raw.dtype.kind == "f":
            raw = (raw + self.settings["noise"] * self._noise.standard_normal(raw.shape)).astype(raw.dtype)
        return raw.copy()


def make(settings: Mapping[str, Any]) -> Any:
    """The Gymnasium environment. Raises ConfigError ENV_MISSING where it, or what it needs, is not installed."""
    try:
        gymnasium = importlib.import_module("gymnasium")
        limit = {"max_episode_steps": settings["max_steps"]} if settings["max_steps"] else {}
        with contextlib.redirect_stdout(None):
            return gymnasium.make(
                settings["env_id"], disable_env_checker=True, **{**limit, **dict(settings["env_kwargs"])}
            )
    except Exception as error:  # every package of environments has exceptions of its own
        what = f"this environment cannot be opened: {type(error).__name__}: {str(error).strip()}"
        action = "pip install 'stemma[episodes]', and the package that the environment comes from"
        raise ConfigError("ENV_MISSING", what, found=settings["env_id"], action=action) from error


def describe(env: Any, settings: Mapping[str, Any]) -> Facts:
    """Id, settings, versions and spaces, as JSON: what must be the same where a plan is tried, see :func:`require`.

    Raises DataError ENV_SPACE for spaces that no episode can be stored of.
    """
    obs_space = env.observation_space
    if settings["obs_key"]:
        obs_space = _entry(obs_space, settings)
    if type(obs_space).__name__ != "Box":
        action = "name an entry of a dict observation by obs_key, or wrap the environment"
        raise DataError("ENV_SPACE", "observations must be a Box", found=str(obs_space), action=action)
    shape = [len(settings["obs_indices"])] if settings["obs_indices"] else list(obs_space.shape)
    if settings["obs_indices"] and (len(obs_space.shape) != 1 or max(settings["obs_indices"]) >= obs_space.shape[0]):
        raise DataError("ENV_SPACE", "obs_indices name numbers of a vector", found=str(obs_space))
    return {
        "environment": {
            **{name: settings[name] for name in ("env_id", "max_steps")},
            "env_kwargs": dict(settings["env_kwargs"]),
            "versions": versions(env.spec),
        },
        "sensor": {
            **{name: settings[name] for name in ("obs_key", "noise", "seed")},
            "obs_indices": list(settings["obs_indices"]),
        },
        "obs": {"dtype": obs_space.dtype.name, "shape": shape},
        "action": _action_facts(env.action_space),
    }


def versions(spec: Any) -> dict[str, str]:
    """Of the packages whose code the environment is, by name."""
    entry = spec.entry_point if isinstance(spec.entry_point, str) else spec.entry_point.__module__
    names = {"gymnasium", entry.partition(".")[0], *(["mujoco"] if "mujoco" in entry else [])}
    found = {}
    for name in sorted(names):
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def machine() -> dict[str, str]:
    """Where episodes were collected: for people; no part of any id."""
    return {"machine": platform.machine(), "system": platform.system(), "python": platform.python_version()}


def settings_of(facts: Facts) -> dict[str, Any]:
    """The settings that open the environment of recorded facts again."""
    return {
        **{name: facts["environment"][name] for name in ("env_id", "env_kwargs", "max_steps")},
        **{name: facts["sensor"][name] for name in ("obs_key", "obs_indices", "noise", "seed")},
    }


def reopen(facts: Facts) -> Simulator:
    """The environment of recorded facts. Raises ConfigError ENV_MISSING, or ENV_OTHER where it is another one now."""
    simulator = Simulator(settings_of(facts))
    compared = ("environment", "sensor", "obs", "action")
    if other := [name for name in compared if simulator.facts[name] != facts[name]]:
        simulator.close()
        action = "install the recorded versions, or collect the episodes again"
        raise ConfigError(
            "ENV_OTHER",
            "the environment is not the one that the episodes are from",
            expected={name: facts[name] for name in other},
            found={name: simulator.facts[name] for name in other},
            where=facts["environment"]["env_id"],
            action=action,
        )
    return simulator


def _entry(space: Any, settings: Mapping[str, Any]) -> Any:
    entries = getattr(space, "spaces", None)
    if not isinstance(entries, Mapping) or settings["obs_key"] not in entries:
        known = sorted(entries) if isinstance(entries, Mapping) else str(space)
        raise DataError("ENV_SPACE", "no such entry of an observation", expected=known, found=settings["obs_key"])
    return entries[settings["obs_key"]]


def _action_facts(space: Any) -> Facts:
    if type(space).__name__ == "Discrete":
        return {"kind": "discrete", "n": int(space.n), "start": int(space.start), "dtype": "int64", "shape": []}
    if type(space).__name__ == "Box" and space.is_bounded() and space.dtype.kind == "f":
        bounds = {"low": space.low.astype(float).tolist(), "high": space.high.astype(float).tolist()}
        return {"kind": "box", "dtype": space.dtype.name, "shape": list(space.shape), **bounds}
    raise DataError("ENV_SPACE", "actions must be Discrete or a bounded Box of floats", found=str(space))
