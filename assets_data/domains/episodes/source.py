"""Which slices a source has, and a slice's episodes. Knows nothing of snapshots."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from assets_data.domains.episodes.collect import collect, open_simulator
from assets_data.domains.episodes.config import SourceConfig
from assets_data.domains.episodes.files import FORMATS, digest_of, read_episodes
from assets_data.domains.episodes.record import Episode
from assets_data.lineage import DataError, Store

_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")


def slice_names(config: SourceConfig, store: Store | None = None) -> list[str]:
    """``label-policy-number`` of what is collected; ``label-stem`` of files, or the stem alone without a label.

    Raises DataError EPISODES_NO_FILES where the folder has none, EPISODES_NAME for a name that no slice can have.
    """
    if config.source == "collect":
        label = config.label or env_label(config)
        return [_checked(f"{label}-{config.policy}-{number}") for number in range(config.slices)]
    prefix = f"{config.label}-" if config.label else ""
    return [_checked(f"{prefix}{path.stem}") for path in _paths(config)]


def env_label(config: SourceConfig) -> str:
    """The environment's id as the first part of a name: ``MiniGrid-Empty-5x5-v0`` is ``minigrid-empty-5x5-v0``."""
    return re.sub(r"[^a-z0-9-]+", "-", config.env_id.rpartition(":")[2].lower())


def seeds_of(config: SourceConfig, slice_name: str) -> range:
    """The reset seeds of a collected slice. Raises DataError EPISODES_NO_SLICE for a name that the source lacks."""
    if slice_name not in (names := slice_names(config)):
        raise DataError("EPISODES_NO_SLICE", "the source has no such slice", expected=names, found=slice_name)
    first = config.first_seed + names.index(slice_name) * config.episodes
    return range(first, first + config.episodes)


def file_of(config: SourceConfig, slice_name: str) -> Path:
    """The file or folder that a slice is read from."""
    prefix = f"{config.label}-" if config.label else ""
    found = {f"{prefix}{path.stem}": path for path in _paths(config)}
    if slice_name not in found:
        raise DataError("EPISODES_NO_SLICE", "the source has no such slice", expected=sorted(found), found=slice_name)
    return found[slice_name]


def arguments_of(config: SourceConfig, slice_name: str) -> dict[str, Any]:
    """What decides a slice besides its settings: seeds and the versions that play, or the digest of what is read."""
    if config.source == "collect":
        seeds, simulator = seeds_of(config, slice_name), open_simulator(config)
        simulator.close()
        return {"seeds": [seeds.start, seeds.stop], **simulator.facts["environment"]}
    return {"digest": digest_of(file_of(config, slice_name))}


def open_episodes(config: SourceConfig, slice_name: str) -> tuple[dict[str, Any], Iterator[Episode]]:
    """``(space, episodes)`` of a slice. ``space`` are the facts of :func:`simulator.describe` (without an environment
    where files name none), and how the episodes came about.
    """
    if config.source != "collect":
        return read_episodes(config, file_of(config, slice_name))
    simulator = open_simulator(config)
    policy = {"name": config.policy, "hold": config.hold if config.policy == "held" else 1, "seed": config.seed}
    return {**simulator.facts, "policy": policy}, collect(simulator, config, seeds_of(config, slice_name))


def _paths(config: SourceConfig) -> list[Path]:
    root, suffix = Path(config.root), FORMATS[config.source]
    if config.source == "minari":
        found = sorted(path.parent.parent for path in root.glob(f"**/{suffix}"))
    else:
        found = sorted(root.glob(f"*{suffix}"))
    if not found:
        what, action = f"no {suffix} there", "set episodes.raw_slice.root to a folder that holds some"
        raise DataError("EPISODES_NO_FILES", what, where=config.root, action=action)
    return found


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        what = "a slice's name is made of letters, digits, _ and -, up to 100"
        raise DataError("EPISODES_NAME", what, found=name, action="set episodes.raw_slice.label, or rename the file")
    return name
