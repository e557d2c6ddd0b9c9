"""JSON-lines logs of a run: an append-only file whose length and digest a checkpoint can hold.

A run directory has two. ``metrics.jsonl`` is deterministic (losses, rates, held-out measurements) and is rewound on
resume to exactly what the checkpoint saw; ``timings.jsonl`` holds clock readings and is only ever appended to.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from assets_data.lineage import TrainingError
from assets_data.lineage.storage import atomic

LOSS = "train_loss"
"""The curve of what training minimised; every other curve is a held-out measurement."""


class JsonLines:
    """An append-only log. What was written counts after ``flush``; a torn last line is cut off by ``rewind``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        _cut_torn_line(path)
        self._file = open(path, "ab")  # noqa: SIM115 - held open for as long as the run is
        self._digest = hashlib.sha256(path.read_bytes())

    def append(self, record: Mapping[str, Any]) -> None:
        """Add one record as a line with sorted keys."""
        line = json.dumps(record, sort_keys=True, allow_nan=False).encode() + b"\n"
        with atomic.disk_errors(self.path):
            self._file.write(line)
        self._digest.update(line)

    def flush(self) -> None:
        """Make everything appended so far durable. Raises StorageError when the disk refuses."""
        with atomic.disk_errors(self.path):
            atomic.sync_file(self._file)

    def position(self) -> dict[str, Any]:
        """``{"bytes", "sha256"}`` of the whole log, durable when this returns."""
        self.flush()
        return {"bytes": self._file.tell(), "sha256": self._digest.hexdigest()}

    def rewind(self, position: Mapping[str, Any]) -> None:
        """Cut the log back to ``position``. Raises TrainingError HISTORY_CHANGED when its beginning is not the same."""
        head = self.path.read_bytes()[: position["bytes"]]
        self._digest = hashlib.sha256(head)
        if len(head) != position["bytes"] or self._digest.hexdigest() != position["sha256"]:
            raise TrainingError(
                "HISTORY_CHANGED",
                "the metric log is not the one this checkpoint was saved with",
                expected=position,
                found={"bytes": len(head), "sha256": self._digest.hexdigest()},
                where=self.path,
                action="restore the file, or start the run again in an empty directory",
            )
        self._file.truncate(position["bytes"])
        self._file.seek(position["bytes"])

    def adopt(self, source: Path, position: Mapping[str, Any]) -> None:
        """Begin with what another log holds up to ``position``, and nothing else. Raises as :meth:`rewind` does."""
        with open(source, "rb") as file:
            head = file.read(position["bytes"])
        self._file.truncate(0)
        self._file.write(head)
        self.flush()
        self.rewind(position)

    def close(self) -> None:
        """Flush and close; further appends fail. Closes also when the disk refuses, which raises StorageError."""
        with atomic.disk_errors(self.path), self._file:
            self.flush()


def _cut_torn_line(path: Path) -> None:
    """Drop what a killed process had written of its last line."""
    if path.is_file():
        data = path.read_bytes()
        if (whole := data.rfind(b"\n") + 1) < len(data):
            os.truncate(path, whole)


EMPTY = {"bytes": 0, "sha256": hashlib.sha256().hexdigest()}
"""The position before the first record."""


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a closed log, in order."""
    with open(path, "rb") as file:
        yield from map(json.loads, file)


def finite(numbers: Any) -> Any:
    """The same document with null for every number that JSON does not know: NaN and both infinities."""
    if isinstance(numbers, Mapping):
        return {name: finite(value) for name, value in numbers.items()}
    if isinstance(numbers, list | tuple):
        return [finite(value) for value in numbers]
    return None if isinstance(numbers, float) and not math.isfinite(numbers) else numbers


def curves(metrics: Path) -> dict[str, dict[str, list[float]]]:
    """Name to ``{"updates", "values"}``: per update what training logged, per measurement what the monitor did.

    Where a value is missing its curve has no point; one without any has no curve.
    """
    found: dict[str, dict[str, list[float]]] = {}
    for record in read_lines(metrics):
        points: Mapping[str, float | None] = record.get("monitor", {LOSS: record.get("loss")})
        for name, value in points.items():
            if value is None:
                continue
            curve = found.setdefault(name, {"updates": [], "values": []})
            curve["updates"].append(record["update"])
            curve["values"].append(value)
    return found
