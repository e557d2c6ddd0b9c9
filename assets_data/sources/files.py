"""Local files as a source: what matches some patterns below a root, and nothing outside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from assets_data.lineage import DataError
from assets_data.sources.config import SourceConfig
from assets_data.sources.discovery import discover
from assets_data.sources.listing import listed
from assets_data.sources.parts import Part, Record, assign_slices, digest_parts
from assets_data.sources.reader import RowReader


class FilesSource:
    """The files that match ``config.files.patterns`` below ``config.files.root``.

    ``stats`` say of the whole source, not of one slice, what was left out and which patterns match nothing.
    """

    def __init__(self, config: SourceConfig) -> None:
        self.config = config
        self.root = _root(config.files.root)
        self.origin = "local files: " + ", ".join(config.files.patterns)
        self.licence = config.files.licence
        self.stats: dict[str, Any] = {}

    def slices(self) -> dict[str, list[str]]:
        """``files-0 ..``: matching paths relative to root. Raises DataError as :func:`discover` does."""
        slices, self.stats = listed(("files", repr(self.config)), self._look)
        return slices

    def _look(self) -> tuple[dict[str, list[str]], dict[str, Any]]:
        found = discover(self.root, self.config.files.patterns, self.config.files.exclude)
        facts = {"left_out_of_source": found.left_out.found, "unmatched_patterns": found.unmatched}
        return assign_slices("files", found.paths, self.config), {name: fact for name, fact in facts.items() if fact}

    def parts(self, slice_name: str) -> list[Part]:
        """The slice's files, digested now."""
        return digest_parts(self.root, self, slice_name)

    def records(self, part: Part, dropped: Counter[str]) -> Iterator[Record]:
        """One record per row of ``part``, as :class:`RowReader` reads it."""
        return self._reader().records(part, dropped)

    def rows_besides(self, slice_name: str) -> bool:
        """Whether another slice has a record, or a file that will be refused; reads no further than the first."""
        for name, paths in self.slices().items():
            for path in paths if name != slice_name else ():
                if self._holds_rows(path):
                    return True
        return False

    def _holds_rows(self, path: str) -> bool:
        try:
            part = Part(origin=path, path=self.root / path, bytes=(self.root / path).stat().st_size, sha256="")
            return next(self._reader().records(part, Counter()), None) is not None
        except (DataError, OSError):
            return True

    def _reader(self) -> RowReader:
        files = self.config.files
        return RowReader(self.config, files.max_unpacked_bytes, files.max_unpack_ratio, files.max_window_bytes)


def _root(root: str) -> Path:
    try:
        return Path(root).expanduser()
    except RuntimeError as error:  # ~name of nobody
        what = "files.root names a home folder that nobody has"
        raise DataError("SOURCE_ROOT", what, found=root, action="write the folder's whole path") from error
