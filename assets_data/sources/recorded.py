"""The settings that each source of a store was read with, so that a slice can be made again by its name alone.

A source over HTTP is in its ledger; a local one is noted here once a slice of it was made.
"""

from __future__ import annotations

import functools
from typing import Any

from assets_data.lineage import StemmaError, Store, digest_json, from_dict, to_dict
from assets_data.lineage.config import dotted_values
from assets_data.lineage.identity.digests import load_json
from assets_data.lineage.storage import atomic
from assets_data.sources.config import PRESETS, SourceConfig
from assets_data.sources.files import FilesSource

FOLDER = "sources"  # below the store's root


def record_source(store: Store, config: SourceConfig) -> None:
    """Note the settings of a source of local files."""
    if config.source != "files":
        return
    path = store.root / FOLDER / _file_name(config)
    if not path.is_file():
        atomic.write_json(path, to_dict(config))


@functools.lru_cache(maxsize=16)  # every slice of a source asks with the same settings
def _file_name(config: SourceConfig) -> str:
    return f"{digest_json(to_dict(config)).removeprefix('sha256:')[:16]}.json"


def local_sources(store: Store) -> list[FilesSource]:
    """Every source of local files that a slice was made of, the one noted last at the end."""
    paths = sorted((store.root / FOLDER).glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
    return [FilesSource(from_dict(SourceConfig, load_json(path.read_bytes(), path))) for path in paths]


def recorded_settings(store: Store, slice_name: str) -> dict[str, Any]:
    """The overrides with which any preset gives the settings of the slice's own source; nothing for an unknown one."""
    from assets_data.sources.http.source import recorded_sources

    for source in recorded_sources(store):
        if source.ledger.slice(slice_name):
            return _overrides(source.config)
    for source in reversed(local_sources(store)):
        if slice_name in _slices(source):
            return _overrides(source.config)
    return {}


def _slices(source: FilesSource) -> dict[str, list[str]]:
    try:
        return source.slices()
    except (StemmaError, OSError):  # it is gone; another one may have the slice
        return {}


def _overrides(config: SourceConfig) -> dict[str, Any]:
    """The fields in which it differs from any preset."""
    presets = [dotted_values(to_dict(make())) for make in PRESETS.values()]
    own = dotted_values(to_dict(config))
    return {name: value for name, value in own.items() if any(preset.get(name) != value for preset in presets)}
