"""The duplicates stage: over all slices, which record owns a text, and which are left out in its favour.

Of equal documents the one in the earliest slice is kept, so a slice that sorts after the others changes none of their
drop lists. Near-duplicates are an option. Memory: the ids of two million documents at a time, and the drop lists.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from assets_data.domains.text.config import DuplicatesConfig, TextConfig
from assets_data.domains.text.drops import DROP_REASONS, DROPS_SCHEMA
from assets_data.domains.text.near import KeptDocuments
from assets_data.lineage import Snapshot, SnapshotWriter, Store, read_sections
from assets_data.lineage.identity.digests import digest_bytes
from assets_data.lineage.identity.tables import iter_batches

_EXACT, _NEAR = DROP_REASONS
_FOUND = {
    "slice": pl.UInt32,
    "record_id": pl.Binary,
    "reason": pl.String,
    "kept_slice": pl.UInt32,
    "kept_record_id": pl.Binary,
}
NO_LIST = digest_bytes(b"")
ROWS_AT_A_TIME = 2_000_000  # about 70 bytes each while they are sorted


def make_duplicates(
    store: Store, documents: Mapping[str, Snapshot], document_index: Mapping[str, Snapshot], config: TextConfig
) -> Snapshot:
    """Publish (or reuse) the drop lists of all slices (by name): ``drops.parquet`` (what is dropped, why, and for whom)
    and ``slices.json`` (by slice: its documents, how many of them, and a digest of its list).
    """
    names = sorted(documents.keys() & document_index.keys(), key=natural_order)
    indexes = [document_index[name] for name in names]
    return store.run_stage(
        name="text/duplicates",
        module=__name__,
        config=read_sections(config, ("duplicates",)),
        arguments={"slices": names},
        parents={"documents": [documents[name] for name in names], "document_index": indexes},
        seeds={"signature": config.duplicates.seed},
        build=lambda writer: _build(writer, {name: documents[name].id for name in names}, indexes, config),
    )


def natural_order(name: str) -> list[tuple[int, str]]:
    """A sort key under which ``files-2`` comes before ``files-10``."""
    return [(int(piece), "") if piece.isdigit() else (-1, piece) for piece in re.split(r"(\d+)", name)]


def _build(writer: SnapshotWriter, slices: Mapping[str, str], indexes: Sequence[Snapshot], config: TextConfig) -> None:
    names = list(slices)
    drops = _exact(indexes)
    if config.duplicates.near:
        drops = _with_near(drops, indexes, config.duplicates)
    drops = drops.sort("slice", "record_id")
    pq.write_table(
        _listed(drops, names).to_arrow().cast(DROPS_SCHEMA), writer.part("drops.parquet"), compression="zstd"
    )
    counts = {name: dict.fromkeys(DROP_REASONS, 0) for name in names}
    for number, reason, count in drops.group_by("slice", "reason").len().iter_rows():
        counts[names[int(number)]][reason] = count
    lists = _list_digests(drops, names)
    listed = {name: {"documents": slices[name], "list": lists[name], **counts[name]} for name in names}
    writer.write_json("slices.json", listed)
    totals = {reason: sum(count[reason] for count in counts.values()) for reason in DROP_REASONS}
    documents = sum(index.stats["rows"] for index in indexes)
    writer.stats |= {"slices": len(names), "documents": documents, "rows": len(drops), **totals}


def _listed(drops: pl.DataFrame, slices: Sequence[str]) -> pl.DataFrame:
    names = pl.Series(slices, dtype=pl.String)
    return drops.select(
        slice=names.gather(drops.get_column("slice")),
        record_id=pl.col("record_id").bin.encode("hex"),
        reason=pl.col("reason"),
        kept_slice=names.gather(drops.get_column("kept_slice")),
        kept_record_id=pl.col("kept_record_id").bin.encode("hex"),
    )


def _list_digests(drops: pl.DataFrame, slices: Sequence[str]) -> dict[str, str]:
    """By slice, a digest over what it drops, why, for whom, and how many others lost the same text before it: while it
    stays, neither the list nor whom the text comes back to is another.
    """
    turn = pl.int_range(pl.len()).over("kept_slice", "kept_record_id")
    owners = pl.Series(slices, dtype=pl.String).gather(drops.get_column("kept_slice"))
    hexes = [pl.col(name).bin.encode("hex") for name in ("record_id", "kept_record_id")]
    lines = drops.select("slice", line=pl.concat_str(*hexes, "reason", owners, turn, separator=" "))
    grouped = lines.group_by("slice", maintain_order=True).agg(pl.col("line").str.join("\n"))
    found = {slices[number]: digest_bytes(text.encode()) for number, text in grouped.iter_rows()}
    return {name: found.get(name, NO_LIST) for name in slices}


def _exact(indexes: Sequence[Snapshot]) -> pl.DataFrame:
    """Every document whose text an earlier slice has: slice, record_id, reason, kept_slice, kept_record_id.

    One scan over all slices' indexes per share of the digests; as many shares as keep a share's rows in bounds.
    """
    rows = sum(index.stats["rows"] for index in indexes)
    shares = min(256, 1 + rows // ROWS_AT_A_TIME)
    bounds = [bytes([256 * share // shares]) for share in range(shares)]
    empty = pl.DataFrame(schema=_FOUND)
    found = [_exact_between(indexes, low, high) for low, high in zip(bounds, [*bounds[1:], None], strict=True)]
    return pl.concat([empty, *found])


def _exact_between(indexes: Sequence[Snapshot], low: bytes, high: bytes | None) -> pl.DataFrame:
    text = pl.col("text_id")
    within = text >= low if high is None else (text >= low) & (text < high)
    filled = [(number, index) for number, index in enumerate(indexes) if index.stats["rows"]]
    if not filled:
        return pl.DataFrame(schema=_FOUND)
    slices = pl.DataFrame(
        [(str(index.file("documents.parquet")), number) for number, index in filled],
        schema={"file": pl.String, "slice": pl.UInt32},
        orient="row",
    )  # one file may be the index of several slices
    scan = pl.scan_parquet(slices.get_column("file").unique().to_list(), include_file_paths="file").filter(within)
    documents = scan.select("file", "text_id", "record_id").collect().join(slices, on="file").sort("text_id", "slice")
    first = text.is_first_distinct()
    owned = [pl.when(first).then(name).forward_fill().alias(f"kept_{name}") for name in ("slice", "record_id")]
    return (
        documents.with_columns(*owned, first.alias("first"))
        .filter(~pl.col("first"))
        .select("slice", "record_id", pl.lit(_EXACT).alias("reason"), "kept_slice", "kept_record_id")
    )


def _with_near(exact: pl.DataFrame, indexes: Sequence[Snapshot], config: DuplicatesConfig) -> pl.DataFrame:
    """``exact`` and the near-duplicates; slices in their order, documents of a slice by text_id.

    Whatever lost its text to a document that is itself too near another is listed for that other one.
    """
    gone = set(exact.select("slice", "record_id").iter_rows())
    kept = KeptDocuments(config)
    owners: list[tuple[int, bytes]] = []
    rows: list[tuple[int, bytes, str, int, bytes]] = []
    for number, index in enumerate(indexes):
        for batch in iter_batches(index.file("documents.parquet")):
            signatures = np.asarray(batch.column("signature").flatten()).reshape(-1, config.permutations)
            for record, signature in zip(batch.column("record_id").to_pylist(), signatures, strict=True):
                if (number, record) in gone:
                    continue
                if (near := kept.nearest(signature)) is not None:
                    rows.append((number, record, _NEAR, *owners[near]))
                else:
                    kept.keep(len(owners), signature)
                    owners.append((number, record))
    near_drops = pl.DataFrame(rows, schema=exact.schema, orient="row")
    return pl.concat([_resolved(exact, near_drops), near_drops])


def _resolved(exact: pl.DataFrame, near: pl.DataFrame) -> pl.DataFrame:
    moved = near.select(
        kept_slice="slice", kept_record_id="record_id", to_slice="kept_slice", to_record="kept_record_id"
    )
    joined = exact.join(moved, on=["kept_slice", "kept_record_id"], how="left", maintain_order="left")
    return joined.select(
        "slice",
        "record_id",
        "reason",
        kept_slice=pl.coalesce("to_slice", "kept_slice"),
        kept_record_id=pl.coalesce("to_record", "kept_record_id"),
    )
