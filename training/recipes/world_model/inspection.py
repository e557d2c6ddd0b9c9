"""What is found out before training, and the evaluation that is fixed then: windows, baselines, starts, controllers.

A criterion that nobody could miss, or that the data cannot judge, is dropped here by name (``GATE_NO_HEADROOM``,
``GATE_FEW_ENDS``, ``GATE_NO_CONTROLLER``), before the first update and never silently.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from assets_data.domains.episodes.read import SPLITS, Episodes
from assets_data.lineage import ConfigError, digest_json
from training.findings import Findings, Issue
from training.recipes.world_model import baselines
from training.recipes.world_model.baselines import DIRECT, KNN, NAMES, NO_CHANGE, RIDGE
from training.recipes.world_model.config import WorldModelConfig
from training.recipes.world_model.data import WorldData
from training.recipes.world_model.numbers import Numbers
from training.recipes.world_model.play import play_random, play_reference, starts_of
from training.recipes.world_model.windows import Windows, cut_windows

WINDOWS, STARTS = "windows.arrow", "starts.arrow"
JUDGED_AGAINST = (NO_CHANGE, RIDGE, KNN)


def inspect(data: WorldData, config: WorldModelConfig) -> Findings:
    """All issues at once, and what the gate will use."""
    gate = config.gate
    windows = cut_windows(data.test, gate)
    errors = open_loop_errors(data, config, windows)
    issues = list(_data_issues(data, config))
    dropped = list(_no_headroom(errors, windows, gate.headroom))
    ends = int(np.sum(data.test.terminated_N))
    if ends < gate.least_ends:
        message = f"{ends} test episodes were terminated, {gate.least_ends} are needed to judge when episodes end"
        dropped.append(Issue("GATE_FEW_ENDS", "warning", "gate.least_ends", message))
    plays, found = _plays(data, config)
    names = _judged(config, {issue.code for issue in [*dropped, *found]}, plays)
    return Findings(
        issues=[*issues, *dropped, *found],
        dataset={
            "members": dict(data.members),
            "episodes": dict(data.replay.layout["episodes"]),
            "sequences": {split: len(data.replay.rows(split)) for split in SPLITS},
            "space": dict(data.replay.space),
        },
        thresholds=_thresholds(config, names),
        evaluation={
            "seed": gate.seed,
            "judged": names,
            "not_judged": {issue.code: issue.message for issue in [*dropped, *found] if issue.severity == "warning"},
            "windows": digest_json([f"{key:016x}" for key in windows.keys_N.tolist()]),
            "baselines": _skills(errors, windows),
            "returns": {name: float(np.mean(values)) for name, values in plays.items()},
            "end_rate": _end_rate(data.train_episodes),
        },
        tables={WINDOWS: _window_table(windows, errors), STARTS: _start_table(config, plays)},
    )


def open_loop_errors(data: WorldData, config: WorldModelConfig, windows: Windows) -> dict[str, np.ndarray]:
    """Squared errors [N, H] by baseline, summed over normalised numbers, zero behind a window's rows."""
    gate, numbers = config.gate, Numbers(data)
    if not len(windows.keys_N) or numbers.image:
        return {}
    obs, action = numbers.obs(windows.obs), numbers.action(windows.action)
    train = numbers.tracks(data.train_episodes)
    said = baselines.predict(train, obs[:, : gate.context], action, gate.horizon, gate.judged, gate.reference_rows)
    target = obs[:, gate.context :]
    return {name: squared(predicted, target, windows, gate.context) for name, predicted in said.items()}


def squared(said_NHD: np.ndarray, target_NHD: np.ndarray, windows: Windows, context: int) -> np.ndarray:
    """[N, H]: squared errors summed over numbers, zero where the episode has ended."""
    there = np.arange(target_NHD.shape[1]) < windows.horizons(context)[:, None]
    return np.where(there, np.square(said_NHD - target_NHD).sum(axis=-1), 0.0)


def better_ridge(errors: Mapping[str, np.ndarray], judged: int) -> str:
    """The name of the linear model with the smaller error over the judged horizons."""
    return min((RIDGE, DIRECT), key=lambda name: float(errors[name][:, :judged].sum()))


def _no_headroom(errors: Mapping[str, np.ndarray], windows: Windows, most: float) -> Iterator[Issue]:
    if not errors:
        message = "images, or no window of a test episode is long enough: open loop is reported, not judged"
        yield Issue("GATE_NO_WINDOWS", "warning", "gate.windows", message)
        return
    explained = {name: found for name, found in _skills(errors, windows).items() if name != NO_CHANGE}
    best = max(explained, key=lambda name: explained[name])
    if explained[best] > most:
        message = (
            f"{best} explains {explained[best]:.4f} of no-change's error, above {most}: open loop is not judged here, "
            "as a table of recorded transitions leaves a latent model nothing to show"
        )
        yield Issue("GATE_NO_HEADROOM", "warning", "gate.headroom", message)


def _skills(errors: Mapping[str, np.ndarray], windows: Windows) -> dict[str, float]:
    """The skill of each baseline over no-change on the horizons that all of them predict."""
    if not errors:
        return {}
    judged = int(np.isfinite(errors[DIRECT]).all(axis=0).sum())
    sums = {name: float(found[:, :judged].sum()) for name, found in errors.items()}
    return {name: 1.0 - sums[name] / max(sums[NO_CHANGE], 1e-300) for name in NAMES}


def _plays(data: WorldData, config: WorldModelConfig) -> tuple[dict[str, np.ndarray], list[Issue]]:
    """Returns [starts] of the random policy and the known controller, in the real environment."""
    gate, space = config.gate, data.replay.space
    if gate.planning == "off":
        return {}, []
    path = "gate.planning"
    if space["environment"] is None:
        message = "the episodes' files name no environment, so nothing can be planned: set episodes.raw_slice.env_id"
        return {}, [Issue("GATE_NO_ENVIRONMENT", "warning", path, message)]
    starts = starts_of(gate.plan_seed, gate.plan_starts)
    if seen := sorted(set(starts) & data.replay.seeds()):
        message = f"starts {seen[:5]} were collected; choose another gate.plan_seed"
        return {}, [Issue.error("PLAN_SEEDS_SEEN", "gate.plan_seed", message)]
    try:
        random = play_random(space, starts, gate.plan_steps, gate.seed)
        reference = play_reference(space, starts, gate.plan_steps)
    except ConfigError as error:  # ENV_MISSING, ENV_OTHER
        severity = "error" if gate.planning == "judged" else "warning"
        return {}, [Issue(error.code, severity, path, str(error))]
    plays = {"random": random.returns}
    if reference is None:
        message = f"no controller is known for {space['environment']['env_id']}: plans are reported, not judged"
        return plays, [Issue("GATE_NO_CONTROLLER", "warning", path, message)]
    if reference.returns.mean() <= random.returns.mean():
        message = "the known controller is no better than random actions over so few steps: plans are not judged"
        return plays, [Issue("GATE_NO_CONTROLLER", "warning", path, message)]
    return {**plays, "reference": reference.returns}, []


def _judged(config: WorldModelConfig, codes: set[str], plays: Mapping[str, np.ndarray]) -> list[str]:
    """The names of what will be judged, in the report's order."""
    open_loop = not codes & {"GATE_NO_HEADROOM", "GATE_NO_WINDOWS"}
    names = [f"skill_{name}" for name in JUDGED_AGAINST] if open_loop else []
    if config.gate.planning == "judged" and "reference" in plays:
        names.append("plan_score")
    return names + ([] if "GATE_FEW_ENDS" in codes else ["brier_skill", "calibration"])


def _thresholds(config: WorldModelConfig, names: list[str]) -> dict[str, float]:
    gate = config.gate
    every = {
        f"skill_{NO_CHANGE}": gate.over_no_change,
        f"skill_{RIDGE}": gate.over_ridge,
        f"skill_{KNN}": gate.over_knn,
        "plan_score": gate.plan_score,
        "brier_skill": gate.brier,
        "calibration": gate.calibration,
    }
    return {name: every[name] for name in names}


def _window_table(windows: Windows, errors: Mapping[str, np.ndarray]) -> pa.Table:
    """A row per window: which one, and each baseline's squared error by horizon (-1 where it says nothing)."""
    columns: dict[str, Any] = {
        "window_key": windows.keys_N,
        "episode": windows.episode_N,
        "start": windows.starts_N,
        "rows": windows.rows_N,
    }
    for name, found in errors.items():
        columns[name] = pa.array(np.nan_to_num(found, nan=-1.0).tolist(), pa.list_(pa.float64()))
    return pa.table(columns)


def _start_table(config: WorldModelConfig, plays: Mapping[str, np.ndarray]) -> pa.Table:
    starts = starts_of(config.gate.plan_seed, config.gate.plan_starts) if plays else []
    return pa.table({"seed": pa.array(starts, pa.int64()), **{name: values for name, values in plays.items()}})


def _end_rate(episodes: Episodes) -> float:
    """The share of training rows that an episode goes on after."""
    rows = int((episodes.length_N + 1).sum())
    return 1.0 - float(np.sum(episodes.terminated_N)) / max(1, rows)


def _data_issues(data: WorldData, config: WorldModelConfig) -> Iterator[Issue]:
    if config.model == "tdmpc" and data.rows.length <= config.tdmpc.horizon + config.tdmpc.history - 1:
        message = f"sequences of {data.rows.length} rows hold no {config.tdmpc.horizon} steps behind its history"
        yield Issue.error("WORLD_MODEL_SEQUENCES_SHORT", "tdmpc.horizon", message)
    if not len(data.test):
        yield Issue.error("WORLD_MODEL_NO_TEST", "dataset.episodes", "there is no test episode to judge by")
