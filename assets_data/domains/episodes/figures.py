"""Plots for the UI, as PNG: episodes over time, what a model predicted against what happened, a planned episode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from assets_data.documents import read_result
from assets_data.domains.episodes.raw_slice import iter_episodes
from assets_data.domains.episodes.record import Episode
from assets_data.lineage import Snapshot
from assets_data.pictures import png

SHOWN, LINES = 3, 6
"""Episodes of a slice, and numbers of an observation, that are drawn."""


def episode_figures(raw_slice: Snapshot) -> dict[str, bytes]:
    """The first episodes of a slice: observations (images as a filmstrip), actions and rewards over their steps."""
    episodes = [episode for episode, _ in zip(iter_episodes(raw_slice), range(SHOWN), strict=False)]
    if not episodes:
        return {}
    figure = Figure(figsize=(4.5 * len(episodes), 6), layout="constrained")
    for column, episode in enumerate(episodes):
        axes = [figure.add_subplot(3, len(episodes), 1 + column + row * len(episodes)) for row in range(3)]
        _draw_episode(axes, episode)
    return {"episodes": png(figure)}


def gate_figures(report: Snapshot) -> dict[str, bytes]:
    """Of a gate report: error by horizon beside baselines, one prediction against the truth, one planned episode."""
    metrics = read_result(report)["metrics"]
    found: dict[str, bytes] = {}
    if rows := metrics.get("open_loop_by_horizon"):
        found["open loop, error by horizon"] = _horizons(rows)
    if rows := metrics.get("open_loop_sample"):
        found["open loop, predicted and true"] = _sample(rows)
    if rows := metrics.get("film"):
        found["a planned episode"] = _film(rows)
    return found


def _draw_episode(axes: Sequence[Any], episode: Episode) -> None:
    obs, actions, rewards = axes
    if episode.obs.ndim == 4:
        frames = episode.obs[np.linspace(0, episode.length, 6).astype(int)]
        strip = np.concatenate(list(frames), axis=1)
        shown = strip if strip.shape[-1] == 3 else strip[..., 0]
        obs.imshow(shown if shown.max() > 32 else shown * (255 // max(1, int(shown.max()))))
        obs.set_axis_off()
    else:
        obs.plot(episode.obs.reshape(len(episode.obs), -1)[:, :LINES], linewidth=0.9)
    ending = "terminated" if episode.terminated else "truncated" if episode.truncated else "cut off"
    obs.set_title(f"seed {episode.seed}: {episode.length} steps, {ending}", fontsize="small")
    actions.plot(episode.action.reshape(episode.length, -1)[:, :LINES], linewidth=0.9, drawstyle="steps-post")
    actions.set_ylabel("action")
    rewards.plot(episode.reward, linewidth=0.9, color="tab:green")
    rewards.set(ylabel="reward", xlabel="step")


def _horizons(rows: Sequence[Mapping[str, Any]]) -> bytes:
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name in [name for name in rows[0] if name != "horizon"]:
        points = [(row["horizon"], row[name]) for row in rows if row[name] is not None]
        horizon, error = np.array(points).T
        (line,) = axes.plot(horizon, error, label=name.replace("_", " "), linewidth=1.0)
        if name == "model":
            line.set(color="black", linewidth=2.0)
    axes.set(xlabel="horizon", ylabel="squared error, normalised", yscale="log")
    axes.legend(fontsize="small")
    return png(figure)


def _sample(rows: Sequence[Mapping[str, Any]]) -> bytes:
    truth, said = (np.array([row[name] for row in rows])[:, :LINES] for name in ("truth", "predicted"))
    figure = Figure(figsize=(7, 1.6 * truth.shape[1] + 0.6), layout="constrained")
    for number, (axes,) in enumerate(figure.subplots(truth.shape[1], 1, sharex=True, squeeze=False)):
        axes.plot(truth[:, number], color="tab:gray", label="true")
        axes.plot(said[:, number], color="black", linestyle="--", label="predicted")
        axes.set_ylabel(f"obs {number}")
        if not number:
            axes.legend(fontsize="small")
    return png(figure)


def _film(rows: Sequence[Mapping[str, Any]]) -> bytes:
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots(3, 1, sharex=True)
    steps = [row["step"] for row in rows]
    for part, name in zip(axes, ("obs", "action", "reward"), strict=True):
        part.plot(steps, np.array([row[name] for row in rows]).reshape(len(rows), -1)[:, :LINES], linewidth=1.0)
        part.set_ylabel(name)
    axes[-1].set_xlabel("step")
    return png(figure)
