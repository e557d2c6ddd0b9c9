"""How many malformed rows of a file may be left out before it is refused."""

from __future__ import annotations

from collections import Counter

from assets_data.lineage import DataError
from assets_data.sources.extract_config import ExtractConfig


class Ceiling:
    """Counts a file's malformed rows, and refuses it when there are more than the config allows."""

    def __init__(self, config: ExtractConfig, dropped: Counter[str]) -> None:
        self._most, self._share, self._dropped = config.max_malformed, config.max_malformed_share, dropped
        self._count = 0
        self._first: DataError | None = None

    def drop(self, error: DataError) -> None:
        """Leave out the row that ``error`` is about. Raises it when nothing may be left out."""
        self._count += 1
        self._first = self._first or error
        self._dropped["malformed"] += 1
        if not self._share:
            self._require(self._most)

    def close(self, sound: int) -> None:
        """Judge the whole file, with ``sound`` rows beside the malformed. Raises DataError ROWS_MALFORMED."""
        self._require(max(self._most, int(self._share * (sound + self._count))))

    def _require(self, most: int) -> None:
        if self._first is None or self._count <= most:
            return
        if not (self._most or self._share):
            raise self._first
        raise DataError(
            "ROWS_MALFORMED",
            "more malformed rows than the ceiling allows",
            expected=f"at most {most:,}",
            found=f"{self._count:,}",
            where=self._first.where,
            action=f"repair the file, or raise extract.max_malformed; the first was {self._first}",
        ) from self._first
