"""The registry of sources: a config in, its source out. Adding a source is one entry here and one module beside it."""

from __future__ import annotations

from collections.abc import Callable

from assets_data.lineage import ConfigError, DataError, Store
from assets_data.sources.config import SourceConfig, demo
from assets_data.sources.files import FilesSource
from assets_data.sources.parts import Source
from assets_data.sources.stdlib import StdlibSource

SOURCES: dict[str, Callable[[SourceConfig], Source]] = {
    "python_stdlib": StdlibSource,
    "files": FilesSource,
}


def open_source(config: SourceConfig, store: Store | None = None) -> Source:
    """The source ``config`` names. Nothing is read before its slices are asked for.

    A source that fetches keeps its parts and its ledger in ``store``. Raises ConfigError SOURCE_STORE without one.
    """
    if config.source != "http_index":
        return SOURCES[config.source](config)
    if store is None:
        raise ConfigError("SOURCE_STORE", "source = http_index keeps what it fetches in a store, and none was given")
    from assets_data.sources.http.source import HttpSource  # loads an HTTP client, which no other source needs

    return HttpSource(config, store)


def embedded_slices() -> frozenset[str]:
    """The slices of the embedded source, which are always there."""
    return frozenset(slice_names(demo()))


def slice_names(config: SourceConfig, store: Store | None = None) -> list[str]:
    """Names of the slices that hold something (``stdlib-0 ..``). Raises DataError SOURCE_EMPTY when none does."""
    source = open_source(config, store)
    names = list(source.slices())
    if not names:
        raise DataError("SOURCE_EMPTY", "the source matches no files", found=source.origin)
    return names
