"""From a sentence to the records that say it: a search through the texts of raw slices."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pyarrow.compute as pc
import pyarrow.parquet as pq

from assets_data.lineage import IntegrityError, Snapshot

COLUMNS = ("record_id", "origin", "prompt", "text")
AROUND = 40  # characters shown before and behind what was found


def find_text(snapshots: Iterable[Snapshot], wanted: str) -> dict[bytes, tuple[str, str]]:
    """Record -> ``(origin, excerpt)`` of every raw record whose text or prompt holds ``wanted``, letter by letter.

    Raises IntegrityError for a slice whose records are not what was published, or RECORDS_COLUMNS.
    """
    found: dict[bytes, tuple[str, str]] = {}
    for snapshot in snapshots:
        if snapshot.kind != "text/raw_slice":
            continue
        snapshot.check_file("records.parquet", again=False)
        with pq.ParquetFile(snapshot.file("records.parquet")) as file:
            _require_columns(snapshot, file.schema_arrow.names)
            for batch in file.iter_batches(columns=list(COLUMNS)):
                hits = [pc.match_substring(batch.column(name), wanted) for name in ("prompt", "text")]
                for row in batch.filter(pc.or_(*hits)).to_pylist():
                    found[bytes.fromhex(row["record_id"])] = (row["origin"], _excerpt(row, wanted))
    return found


def _require_columns(snapshot: Snapshot, names: Sequence[str]) -> None:
    if missing := [name for name in COLUMNS if name not in names]:
        what = "the records of this slice have no such column, so nothing can be found in them"
        raise IntegrityError("RECORDS_COLUMNS", what, expected=COLUMNS, found=f"no {missing}", where=snapshot.path)


def _excerpt(row: dict[str, str], wanted: str) -> str:
    text = row["text"] if wanted in row["text"] else row["prompt"]
    place = text.index(wanted)
    return text[max(0, place - AROUND) : place + len(wanted) + AROUND]
