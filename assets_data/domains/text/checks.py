"""Leakage checks on published triples: what the encoder sees, which split a text is in, which file its rows are in.

Every check reads whole columns of whole snapshots, never a sample, batch by batch, holding 33 bytes per document. They
return findings; the caller decides to refuse.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from assets_data.documents import read_layout, read_manifest
from assets_data.domains.text.read import SPLITS, TriplesLayout
from assets_data.domains.text.windows import SPECIALS_PER_ROW
from assets_data.finding import Finding
from assets_data.lineage import Snapshot, Store
from assets_data.lineage.identity.record_ids import decode_records
from assets_data.lineage.identity.sorted_sets import found_in
from assets_data.lineage.identity.tables import iter_batches, iter_columns
from assets_data.stage import Outcome

_SHOWN = 5
_PLACE = {split: place for place, split in enumerate(SPLITS)}
_LISTED = np.dtype([("digest", "S32"), ("split", "u1")])
_ELSEWHERE = 255


def label_leaks(triples: Snapshot) -> Finding:
    """Rows in which what is to be predicted can be seen by the encoder.

    Labels are tokens ``[decoder_begin + 1, decoder_end)`` of a row, the encoder sees ``[encoder_begin, encoder_end)``:
    they must not meet, and must not say the same. A row with more tokens than a window and its specials leaks as well.
    """
    most = read_layout(triples, TriplesLayout)["window"] + SPECIALS_PER_ROW
    rows, count, examples = 0, 0, []
    for split in SPLITS:
        for batch in iter_batches(triples.file(f"{split}.arrow")):
            leaking = np.flatnonzero(_leaks(batch, most))
            examples += _examples(batch, leaking[: _SHOWN - len(examples)], split)
            rows, count = rows + batch.num_rows, count + len(leaking)
    return Finding(check="label_leaks", rows=rows, count=count, examples=tuple(examples))


def check_label_leaks(_store: Store, triples: Snapshot) -> Outcome:
    """:func:`label_leaks` as a check of a slice's triples."""
    found = label_leaks(triples)
    return Outcome(
        passed=found.passed, facts={"rows": found.rows, "leaking_rows": found.count}, failures=found.examples
    )


def check_splits(store: Store, manifest: Snapshot) -> Outcome:
    """:func:`split_overlaps` as a check of a dataset manifest."""
    members = read_manifest(manifest)["members"]["triples"]
    found = split_overlaps([store.snapshot(member) for member in members.values()])
    facts = {"documents": found.rows, "in_two_splits": found.count}
    return Outcome(passed=found.passed, facts=facts, failures=found.examples)


def split_overlaps(triples: Sequence[Snapshot]) -> Finding:
    """Cleaned texts (by SHA-256) in more than one split, within a slice or across slices. Rows are documents."""
    listed = _listed(triples, "text_id").view(_LISTED)
    texts, splits = listed["digest"], listed["split"]
    other = (texts[1:] == texts[:-1]) & (splits[1:] != splits[:-1])  # equal texts may share a split: a run of them does
    straddling = np.unique(texts[1:][other])
    return Finding(
        check="split_overlaps",
        rows=len(texts),
        count=len(straddling),
        examples=_straddling(triples, [text.ljust(32, b"\0").hex() for text in straddling[:_SHOWN].tolist()]),
    )


def misplaced_rows(triples: Snapshot) -> Finding:
    """Rows that stand in the file of one split although their record is listed under another, or not listed at all."""
    listed = _listed([triples], "record_id")
    rows, count, examples = 0, 0, []
    for code, split in enumerate(SPLITS):
        path = triples.file(f"{split}.arrow")
        for batch in iter_columns(path, ["record_id"]):
            ids = batch.column("record_id")
            stray = np.flatnonzero(~found_in(_pairs(decode_records(ids, path), code), listed))
            examples += [{"record_id": ids[row].as_py(), "split": split} for row in stray[: _SHOWN - len(examples)]]
            rows, count = rows + len(ids), count + len(stray)
    return Finding(check="misplaced_rows", rows=rows, count=count, examples=tuple(examples))


def _listed(triples: Sequence[Snapshot], column: str) -> np.ndarray:
    """S33[n], ascending: :func:`_pairs` of the digests in a column of every records.parquet, and of their splits."""
    paths = [snapshot.file("records.parquet") for snapshot in triples]
    listed, begin = np.empty(sum(pq.read_metadata(path).num_rows for path in paths), f"S{_LISTED.itemsize}"), 0
    for path in paths:
        for batch in iter_columns(path, [column, "split"]):
            places = [_PLACE.get(split, _ELSEWHERE) for split in batch.column("split").to_pylist()]
            digests = decode_records(batch.column(column), path)
            listed[begin : begin + len(digests)] = _pairs(digests, np.array(places, np.uint8))
            begin += len(digests)
    listed.sort()
    return listed


def _pairs(digests: np.ndarray, places: np.ndarray | int) -> np.ndarray:
    """S33[n]: digests (uint8[n, 32]), each with the place of a split: keys that sort by digest, then by split."""
    pairs = np.empty(len(digests), _LISTED)
    pairs["digest"], pairs["split"] = digests.view("S32").ravel(), places
    return pairs.view(f"S{_LISTED.itemsize}")


def _straddling(triples: Sequence[Snapshot], text_ids: list[str]) -> tuple[dict[str, Any], ...]:
    documents = pl.scan_parquet([snapshot.file("records.parquet") for snapshot in triples])
    texts = documents.filter(pl.col("text_id").is_in(text_ids)).group_by("text_id")
    facts = (
        pl.len().alias("documents"),
        pl.col("split").unique().sort().alias("splits"),
        pl.col("origin").sort().head(_SHOWN),
    )
    return tuple(texts.agg(facts).sort("text_id").collect(engine="streaming").to_dicts())


def _leaks(rows: pa.RecordBatch, most_tokens: int) -> np.ndarray:
    begin, end = rows.column("encoder_begin").to_numpy(), rows.column("encoder_end").to_numpy()
    decoder, last = rows.column("decoder_begin").to_numpy(), rows.column("decoder_end").to_numpy()
    lists = rows.column("tokens")
    offsets, tokens = lists.offsets.to_numpy(), lists.values.to_numpy()
    leaking = ((begin < last) & (decoder + 1 < end)) | (np.diff(offsets) > most_tokens)
    for row in np.flatnonzero(end - begin == last - decoder - 1):  # as many encoder tokens as labels: they may be equal
        seen = tokens[offsets[row] + begin[row] + 1 : offsets[row] + end[row]]
        asked = tokens[offsets[row] + decoder[row] + 1 : offsets[row] + last[row] - 1]
        leaking[row] |= np.array_equal(seen, asked)
    return leaking


def _examples(rows: pa.RecordBatch, indices: np.ndarray, split: str) -> list[dict[str, Any]]:
    shown = ["record_id", "start", "encoder_begin", "encoder_end", "decoder_begin", "decoder_end"]
    return [{"split": split, "row": int(i), **rows.select(shown).slice(i, 1).to_pylist()[0]} for i in indices]
