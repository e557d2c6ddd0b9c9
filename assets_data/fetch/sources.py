"""The registry of sources: a config in, its source out. Adding a source is one entry here and one module beside it."""

from __future__ import annotations

from collections.abc import Callable

from assets_data.fetch.config import SourceConfig
from assets_data.fetch.files import FilesSource
from assets_data.fetch.parts import Source
from assets_data.fetch.stdlib import StdlibSource
from assets_data.lineage import DataError

SOURCES: dict[str, Callable[[SourceConfig], Source]] = {
    "python_stdlib": StdlibSource,
    "files": FilesSource,
}


def open_source(config: SourceConfig) -> Source:
    """The source ``config`` names. Nothing is read before its slices are asked for."""
    return SOURCES[config.source](config)


def slice_names(config: SourceConfig) -> list[str]:
    """Names of the slices that hold something (``stdlib-0 ..``). Raises DataError SOURCE_EMPTY when none does."""
    names = list(open_source(config).slices())
    if not names:
        raise DataError("SOURCE_EMPTY", "the source matches no files", found=open_source(config).origin)
    return names
