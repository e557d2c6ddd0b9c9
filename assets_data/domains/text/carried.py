"""What the sources say of records besides their texts: the fields that ``extract.carry`` names, kept in raw slices."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from assets_data.domains.text.raw_slice import CARRIED
from assets_data.lineage import Snapshot


def carried_of(snapshots: Iterable[Snapshot], records: Collection[bytes]) -> dict[bytes, dict[str, list[str]]]:
    """Record -> field -> its values, each once and in order; a text that several files hold may have several.

    Raises IntegrityError for a slice whose records are not what was published.
    """
    chosen = pc.field("record_id").isin(pa.array([record.hex() for record in records], pa.large_string()))
    found: dict[bytes, dict[str, set[str]]] = {}
    for path in _carrying(snapshots):
        table = pq.read_table(path, columns=["record_id", CARRIED.name], filters=chosen)
        for row in table.to_pylist():
            fields = found.setdefault(bytes.fromhex(row["record_id"]), {})
            for name, value in json.loads(row[CARRIED.name]).items():
                fields.setdefault(name, set()).add(value)
    return {
        record: {name: sorted(values) for name, values in sorted(fields.items())} for record, fields in found.items()
    }


def tally_carried(snapshots: Iterable[Snapshot]) -> dict[str, Mapping[str, int]]:
    """Field -> value -> how many rows of raw slices say it. Equal rows are counted before their fields are read, so
    memory grows with the different ones. Raises as :func:`carried_of`.
    """
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for path in _carrying(snapshots):
        said = pq.read_table(path, columns=[CARRIED.name])[CARRIED.name].value_counts()
        for entry in said.to_pylist():
            for name, value in json.loads(entry["values"]).items():
                found[name][value] += entry["counts"]
    return dict(sorted(found.items()))


def _carrying(snapshots: Iterable[Snapshot]) -> Iterator[Path]:
    """The records of every raw slice that keeps fields, verified."""
    for snapshot in snapshots:
        if snapshot.kind == "text/raw_slice":
            snapshot.check_file("records.parquet", again=False)
            path = snapshot.file("records.parquet")
            if CARRIED.name in pq.read_schema(path).names:
                yield path
