"""Reading what lies outside: which slices there are, and a slice's bytes as rows. Knows nothing of snapshots."""

from __future__ import annotations

import csv
import io
import math
import re
from pathlib import Path

from assets_data.lineage import DataError, Store
from newdomain import demonstration
from newdomain.config import SourceConfig

GROUP = "group"  # the CSV's column that says whom a row belongs to
Row = dict[str, str | float]


def slice_names(config: SourceConfig, store: Store | None = None) -> list[str]:
    """The names of the CSV files, without ``.csv``. Raises DataError NEWDOMAIN_NO_FILES or NEWDOMAIN_FILE_NAME."""
    if not config.root:
        return list(demonstration.SLICES)
    names = sorted(path.stem for path in Path(config.root).glob("*.csv"))
    if not names:
        action = "set newdomain.raw_slice.root to a folder that holds some"
        raise DataError("NEWDOMAIN_NO_FILES", "no *.csv files there", where=config.root, action=action)
    if odd := [name for name in names if not re.fullmatch(r"[A-Za-z0-9_-]{1,100}", name)]:
        what = "a file's name is a slice's name"
        raise DataError("NEWDOMAIN_FILE_NAME", what, expected="letters, digits, _ and -", found=odd[:5])
    return names


def read_bytes(config: SourceConfig, slice_name: str) -> bytes:
    """A slice's bytes. Raises DataError NEWDOMAIN_NO_SLICE when its file is not there (any more)."""
    if not config.root and slice_name in demonstration.SLICES:
        return demonstration.csv_bytes(slice_name)
    path = Path(config.root) / f"{slice_name}.csv"
    if not config.root or not path.is_file():
        raise DataError("NEWDOMAIN_NO_SLICE", "no such slice", expected=slice_names(config), found=slice_name)
    return path.read_bytes()


def parse(data: bytes, where: str) -> list[Row]:
    """The rows of a CSV file: a column ``group`` of text, every other one of finite numbers.

    Raises DataError NEWDOMAIN_CSV naming the first line that is otherwise.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError("NEWDOMAIN_CSV", f"not UTF-8: {error}", where=where) from error
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        names = list(reader.fieldnames or [])
        if GROUP not in names or len(names) < 2 or len(set(names)) < len(names):
            raise ValueError(f"the first line must name {GROUP} and columns of numbers, each once, not {names}")
        return [_row(raw) for raw in reader]
    except (ValueError, csv.Error) as error:
        raise DataError("NEWDOMAIN_CSV", f"line {reader.line_num}: {error}", where=where) from error


def _row(raw: dict[str, str]) -> Row:
    if None in raw or None in raw.values():
        raise ValueError("it has more or fewer fields than the first line")
    row: Row = {name: raw[name] if name == GROUP else float(raw[name]) for name in sorted(raw)}
    if not row[GROUP] or not all(math.isfinite(value) for value in row.values() if isinstance(value, float)):
        raise ValueError("a group without a name, or a number that is not finite")
    return row
