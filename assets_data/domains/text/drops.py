"""Drop lists: which records of a slice are left out because another record has their text. Reads what was decided.

A slice's triples depend on its own list alone (by :func:`drops_digest`): a slice that arrives later invalidates none.
"""

from __future__ import annotations

import hashlib

import polars as pl
import pyarrow as pa

from assets_data.domains.text.config import DocumentsConfig
from assets_data.lineage import DataError, Snapshot, to_dict

DROP_REASONS = ("duplicate_across", "near_duplicate")
DROPS_SCHEMA = pa.schema(
    [(name, pa.large_string()) for name in ("raw_slice", "record_id", "reason", "kept_raw_slice", "kept_record_id")]
)


def read_drops(duplicates: Snapshot | None, raw: Snapshot, config: DocumentsConfig) -> pl.DataFrame:
    """``raw``'s list as columns record_id and reason, by record id; without ``duplicates`` it is empty.

    Raises DataError DROPS_SETTINGS when duplicates were sought among other documents, DROPS_SLICE when not in ``raw``,
    IntegrityError when the lists changed since they were published (they are no parent, so nobody else looks).
    """
    if duplicates is None:
        return pl.DataFrame(schema={"record_id": pl.String, "reason": pl.String})
    duplicates.verify()
    action = "materialise text/duplicates again"
    if (found := duplicates.read_json("documents.json")) != to_dict(config):
        what = "duplicates were sought under other document settings"
        raise DataError("DROPS_SETTINGS", what, expected=to_dict(config), found=found, action=action)
    if raw.id not in duplicates.read_json("slices.json"):
        raise DataError("DROPS_SLICE", "duplicates were not sought in this slice", found=raw.id, action=action)
    listed = pl.scan_parquet(duplicates.file("drops.parquet")).filter(pl.col("raw_slice") == raw.id)
    return listed.select("record_id", "reason").sort("record_id").collect()


def drops_digest(drops: pl.DataFrame) -> str:
    """The digest of one slice's list: ``record_id reason`` lines in the order of the ids."""
    lines = drops.select(line=pl.concat_str("record_id", pl.lit(" "), "reason", pl.lit("\n"))).get_column("line")
    hasher = hashlib.sha256()
    for line in lines:
        hasher.update(line.encode())
    return f"sha256:{hasher.hexdigest()}"
