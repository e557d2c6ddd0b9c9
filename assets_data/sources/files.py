"""Local files as a source: what matches some patterns below a root, and nothing outside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from assets_data.lineage import DataError
from assets_data.sources.config import SourceConfig
from assets_data.sources.parts import Part, Record, assign_slices, digest_parts
from assets_data.sources.reader import RowReader, require_readable


class FilesSource:
    """The files that match ``config.files.patterns`` below ``config.files.root``."""

    def __init__(self, config: SourceConfig) -> None:
        self.config = config
        self.root = Path(config.files.root)
        self.origin = "local files: " + ", ".join(config.files.patterns)
        self.licence = config.files.licence
        self.stats: dict[str, float] = {}

    def slices(self) -> dict[str, list[str]]:
        """``files-0 ..``: matching paths relative to root.

        Raises DataError FILE_FORMAT for a suffix nobody reads, FILE_NAME, and FILE_OUTSIDE for a link out of the root.
        """
        return assign_slices("files", self._paths(), self.config)

    def parts(self, slice_name: str) -> list[Part]:
        """The slice's files, digested now."""
        return digest_parts(self.root, self, slice_name)

    def records(self, part: Part, dropped: Counter[str]) -> Iterator[Record]:
        """One record per row of ``part``, as :class:`RowReader` reads it."""
        files = self.config.files
        return RowReader(self.config, files.max_unpacked_bytes, files.max_unpack_ratio).records(part, dropped)

    def _paths(self) -> Iterator[str]:
        inside = self.root.resolve()
        for pattern in self.config.files.patterns:
            for path in self.root.glob(pattern):
                if path.is_file():
                    require_readable(path)
                    if not path.resolve().is_relative_to(inside):
                        what = "a link leads out of files.root"
                        raise DataError("FILE_OUTSIDE", what, expected=inside, found=path.resolve(), where=path)
                    yield path.relative_to(self.root).as_posix()
