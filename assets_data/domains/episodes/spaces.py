"""One space over all slices of a dataset, or a refusal that says what differs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from assets_data.lineage import DataError, Snapshot

SAME = ("environment", "sensor", "obs")


def shared_space(slices: Mapping[str, Snapshot]) -> dict[str, Any]:
    """Observation, action, environment and sensor of all slices; of boxes and numbers that files only show in part, the
    widest. Raises DataError EPISODES_NO_SLICES, or SPACES_DIFFER naming what differs and where.
    """
    spaces = {name: snapshot.read_json("space.json") for name, snapshot in slices.items()}
    if not spaces:
        raise DataError("EPISODES_NO_SLICES", "a dataset needs at least one slice of episodes")
    first_name, first = next(iter(spaces.items()))
    for name, space in spaces.items():
        differ = [part for part in SAME if space[part] != first[part]]
        differ += ["action"] if _form(space["action"]) != _form(first["action"]) else []
        if differ:
            what = f"slices differ in {', '.join(differ)}: they cannot be one dataset"
            action = "train on one environment and sensor at a time: give the others another store or leave them out"
            expected, found = ({part: s[part] for part in differ} for s in (first, space))
            raise DataError(
                "SPACES_DIFFER", what, expected=expected, found=found, where=f"{first_name}, {name}", action=action
            )
    return {**{part: first[part] for part in SAME}, "action": _widest([space["action"] for space in spaces.values()])}


def _form(action: Mapping[str, Any]) -> tuple[Any, ...]:
    return action["kind"], action["dtype"], action["shape"], action.get("start")


def _widest(actions: list[Mapping[str, Any]]) -> dict[str, Any]:
    widest = dict(actions[0])
    if widest["kind"] == "discrete":
        return {**widest, "n": max(action["n"] for action in actions)}
    low = np.min([action["low"] for action in actions], axis=0)
    high = np.max([action["high"] for action in actions], axis=0)
    return {**widest, "low": low.tolist(), "high": high.tolist()}
