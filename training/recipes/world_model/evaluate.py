"""Measures a model as registered: open loop on test windows, in the real environment, and when episodes end.

The judged value of each criterion is the lower end of its 95% bootstrap interval by episode (or start).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from assets_data.documents import read_registration
from assets_data.lineage import ConfigError, GateError, Snapshot
from training.findings import Evaluation, Measurement
from training.recipes.world_model.baselines import KNN, NO_CHANGE, RIDGE
from training.recipes.world_model.bootstrap import by_episode, draws, normalised_score, skill
from training.recipes.world_model.calibration import brier_sums, calibration_error
from training.recipes.world_model.config import WorldModelConfig
from training.recipes.world_model.data import WorldData
from training.recipes.world_model.inspection import STARTS, WINDOWS, better_ridge, squared
from training.recipes.world_model.numbers import Numbers
from training.recipes.world_model.planner import Planner
from training.recipes.world_model.play import play_planned
from training.recipes.world_model.windows import Windows, cut_windows
from training.resampling import interval95

Interval = tuple[float, float]
CHUNK = 256
"""Windows or sequences per forward pass."""


def evaluate(model: Any, data: WorldData, config: WorldModelConfig, preflight: Snapshot) -> Evaluation:
    """Everything that was registered, and beside it what was not judged. Raises GateError GATE_OTHER_ROWS."""
    registered = read_registration(preflight)["evaluation"]
    found: dict[str, tuple[float, Interval, int]] = {}
    scalars: dict[str, Any] = {"parameters": sum(p.numel() for p in model.parameters() if p.requires_grad)}
    tables: dict[str, Any] = {}
    windows = cut_windows(data.test, config.gate)
    _refuse_other_windows(windows, preflight)
    if len(windows.keys_N) and not Numbers(data).image:
        found |= _open_loop(model, data, config, windows, preflight, tables)
    found |= _plans(model, data, config, preflight, scalars, tables)
    found |= _ends(model, data, config, registered["end_rate"], scalars)
    for name, (value, interval, checks) in found.items():
        scalars |= {name: value, f"{name}_interval": list(interval), f"{name}_checks": checks}
    judged = [
        Measurement.lower_bound(name, name, found[name][1], found[name][2])
        if name in found
        else Measurement.undetermined(name, name)
        for name in registered["judged"]
    ]
    return Evaluation(measurements=judged, scalars=scalars, tables=tables, summary=_summary(found, scalars, registered))


@torch.no_grad()
def predict_open_loop(model: Any, config: WorldModelConfig, windows: Windows) -> np.ndarray:
    """Normalised predictions float64 [N, H, D] from the contexts and the true actions."""
    gate = config.gate
    device = next(model.parameters()).device
    said = []
    for begin in range(0, len(windows.keys_N), CHUNK):
        part = slice(begin, begin + CHUNK)
        obs = torch.from_numpy(windows.obs[part, : gate.context]).to(device)
        action = torch.from_numpy(windows.action[part]).to(device)
        valid = torch.ones(obs.shape[:2], dtype=torch.bool, device=device)
        state = model.infer(obs, action[:, : gate.context], valid)
        scaled = model.scaling.action(action)
        rows = []
        for step in range(gate.horizon):
            state, _, _ = model.step(state, scaled[:, gate.context - 1 + step])
            rows.append(model.decode(state).flatten(1).double())
        said.append(torch.stack(rows, 1).cpu().numpy())
    return np.concatenate(said)


def _open_loop(
    model: Any,
    data: WorldData,
    config: WorldModelConfig,
    windows: Windows,
    preflight: Snapshot,
    tables: dict[str, Any],
) -> dict[str, tuple[float, Interval, int]]:
    gate, numbers = config.gate, Numbers(data)
    registered = preflight.table(WINDOWS)
    base = {
        name: np.array(registered[name].to_pylist()).reshape(len(windows.keys_N), -1)
        for name in registered.column_names[4:]
    }
    said = predict_open_loop(model, config, windows)
    target = numbers.obs(windows.obs)[:, gate.context :]
    ours = squared(said, target, windows, gate.context)
    used = {NO_CHANGE: NO_CHANGE, RIDGE: better_ridge(base, gate.judged), KNN: KNN}
    drawn = draws(len(data.test), gate.resamples, gate.seed, "episodes")
    found: dict[str, tuple[float, Interval, int]] = {}
    for name, theirs in used.items():
        mine, other = (
            by_episode(errors[:, : gate.judged].sum(axis=1), windows.episode_N, len(data.test))
            for errors in (ours, base[theirs])
        )
        found[f"skill_{name}"] = (*skill(mine, other, drawn), int((other > 0).sum()))
    tables["open_loop_by_horizon"] = _by_horizon(ours, base, windows, gate.context)
    tables["open_loop_sample"] = [
        {"row": row, "truth": np.round(target[0, row], 4).tolist(), "predicted": np.round(said[0, row], 4).tolist()}
        for row in range(min(gate.horizon, int(windows.horizons(gate.context)[0])))
    ]
    return found


def _by_horizon(
    ours: np.ndarray, base: Mapping[str, np.ndarray], windows: Windows, context: int
) -> list[dict[str, Any]]:
    """Mean squared error per window at each horizon; None where a baseline says nothing."""
    there = np.arange(ours.shape[1]) < windows.horizons(context)[:, None]
    counts = np.maximum(there.sum(axis=0), 1)
    rows = []
    for step in range(ours.shape[1]):
        theirs = {
            name: None if (found[:, step] < 0).any() else float(found[:, step].sum() / counts[step])
            for name, found in base.items()
        }
        rows.append({"horizon": step + 1, "model": float(ours[:, step].sum() / counts[step]), **theirs})
    return rows


def _plans(
    model: Any,
    data: WorldData,
    config: WorldModelConfig,
    preflight: Snapshot,
    scalars: dict[str, Any],
    tables: dict[str, Any],
) -> dict[str, tuple[float, Interval, int]]:
    gate, starts = config.gate, preflight.table(STARTS)
    if not starts.num_rows:
        return {}
    try:
        planner = Planner(model, config.planner, gate.seed)
        played = play_planned(data.replay.space, starts["seed"].to_pylist(), gate.plan_steps, planner)
    except ConfigError:
        if gate.planning == "judged":
            raise
        return {}
    columns = {name: starts[name].to_numpy() for name in starts.column_names}
    scalars |= {f"return_{name}": float(values.mean()) for name, values in columns.items() if name != "seed"}
    scalars["return_planned"] = float(played.returns.mean())
    names = {**columns, "planned": played.returns, "steps": played.lengths}
    tables["plays"] = [
        dict(zip(names, row, strict=True)) for row in zip(*(v.tolist() for v in names.values()), strict=True)
    ]
    tables["film"] = played.film
    if "reference" not in columns:
        return {}
    drawn = draws(len(played.returns), gate.resamples, gate.seed, "starts")
    return {
        "plan_score": (
            *normalised_score(played.returns, columns["random"], columns["reference"], drawn),
            len(played.returns),
        )
    }


@torch.no_grad()
def _ends(
    model: Any, data: WorldData, config: WorldModelConfig, end_rate: float, scalars: dict[str, Any]
) -> dict[str, tuple[float, Interval, int]]:
    """The continue probability of every row behind a first one, one step ahead, against what happened."""
    ends = int(np.sum(data.test.terminated_N))
    scalars["test_ends"] = ends
    if not ends:
        return {}
    said, went_on, episode = _continue_pairs(model, data, config)
    ours, base = brier_sums(said, went_on, end_rate)
    drawn = draws(len(data.test), config.gate.resamples, config.gate.seed, "episodes")
    mine, other = (by_episode(values, episode, len(data.test)) for values in (ours, base))
    order = np.argsort(episode, kind="stable")
    bounds = np.searchsorted(episode[order], np.arange(len(data.test) + 1))
    groups = [order[a:b] for a, b in itertools.pairwise(bounds)]
    resampled = [
        1.0 - calibration_error(said[rows], went_on[rows])
        for rows in (np.concatenate([groups[e] for e in sample]) for sample in drawn[:200])
    ]
    calibration = 1.0 - calibration_error(said, went_on), interval95(np.array(resampled)), ends
    return {"brier_skill": (*skill(mine, other, drawn), ends), "calibration": calibration}


def _continue_pairs(model: Any, data: WorldData, config: WorldModelConfig) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``(probability, whether it went on, episode)`` of every test row with a row before it."""
    device = next(model.parameters()).device
    context = config.gate.context
    said, went_on, owner = [], [], []
    for episode in range(len(data.test)):
        obs, action = data.test.obs(episode), data.test.action(episode)
        rows = np.arange(1, len(obs))
        back = rows[:, None] - context + np.arange(context)
        valid = torch.from_numpy(back >= 0).to(device)
        back = np.maximum(back, 0)
        state = model.infer(torch.from_numpy(obs[back]).to(device), torch.from_numpy(action[back]).to(device), valid)
        taken = model.scaling.action(torch.from_numpy(action[rows - 1].copy()).to(device))
        said.append(model.step(state, taken)[2].double().cpu().numpy())
        last = rows == len(obs) - 1
        went_on.append(np.where(last & bool(data.test.terminated_N[episode]), 0.0, 1.0))
        owner.append(np.full(len(rows), episode))
    return np.concatenate(said), np.concatenate(went_on), np.concatenate(owner)


def _refuse_other_windows(windows: Windows, preflight: Snapshot) -> None:
    registered = preflight.table(WINDOWS)["window_key"].to_numpy()
    if not np.array_equal(windows.keys_N, registered):
        raise GateError("GATE_OTHER_ROWS", "the test windows are not the registered ones", where=preflight.path)


def _summary(
    found: Mapping[str, tuple[float, Interval, int]], scalars: Mapping[str, Any], registered: Mapping[str, Any]
) -> list[str]:
    lines = [f"  {scalars['parameters']:,} parameters"]
    for name, (value, (low, high), checks) in found.items():
        judged = "judged" if name in registered["judged"] else "reported only"
        lines.append(f"  {name} {value:.3f}, 95% interval {low:.3f} to {high:.3f} over {checks} ({judged})")
    if "return_planned" in scalars:
        others = ", ".join(
            f"{n} {scalars[f'return_{n}']:.1f}" for n in ("random", "reference") if f"return_{n}" in scalars
        )
        lines.append(f"  mean return: planned {scalars['return_planned']:.1f}, {others}")
    return [*lines, *(f"  not judged, {code}: {why}" for code, why in registered["not_judged"].items())]
