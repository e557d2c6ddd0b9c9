"""The mix stage: rows of several sources in exact proportions, interleaved, as one set of triples.

Promises that which rows are taken, how often and in which order depends on the seed and the row keys alone, and that
every row leads back to its record and to the snapshot it came from. Deletes nothing, tokenises nothing. Memory is one
batch of rows and, of the largest split, 20 bytes per row taken while it is written, up to 80 while rows are chosen and
put in order, and 100 per record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from assets_data.documents import read_layout, read_manifest
from assets_data.domains.text.mapped import MappedRows
from assets_data.domains.text.mix_config import MixConfig
from assets_data.domains.text.quotas import apportion, choose, distinct_keys, largest_total
from assets_data.domains.text.read import SPLITS, TriplesLayout
from assets_data.domains.text.rows import RECORDS_SCHEMA
from assets_data.domains.text.windows import SPECIALS_PER_ROW
from assets_data.lineage import DataError, Snapshot, SnapshotWriter, Store, mix64
from assets_data.lineage.identity.record_ids import decode_records
from assets_data.lineage.identity.sorted_sets import found_in
from assets_data.lineage.identity.tables import iter_batches

BATCH_ROWS = 8192


def make_mix(store: Store, sources: Mapping[str, Sequence[Snapshot]], config: MixConfig) -> Snapshot:
    """Publish (or reuse) the mix of ``sources`` (name -> triples, mixes or dataset manifests) as ``text/mix``.

    It has the files of triples (``{split}.arrow``, ``records.parquet``, ``layout.json``), each row with the place of
    its snapshot in ``layout.json``'s ``sources``, and ``mix.json``: what was asked and what was taken. Raises DataError
    MIX_SOURCES when weights and sources differ by name, MIX_TOKENIZER when sources were made with different tokenizers,
    MIX_SOURCE_EMPTY when a source has no row of a split that was asked for, MIX_EMPTY when no row is left to train on.
    """
    members = {name: [m for s in sources[name] for m in _members(store, s)] for name in sorted(sources)}
    manifests = [s for group in sources.values() for s in group if s.kind == "text/dataset_manifest"]
    return store.run_stage(
        name="text/mix",
        module=__name__,
        config=config,
        arguments={"sources": {name: [snapshot.id for snapshot in group] for name, group in members.items()}},
        parents={"triples": [s for group in members.values() for s in group], "dataset_manifest": manifests},
        seeds={"mix": config.seed},
        build=lambda writer: _build(writer, members, config),
    )


def _members(store: Store, source: Snapshot) -> list[Snapshot]:
    if source.kind != "text/dataset_manifest":
        return [source]
    return [store.opened(member) for member in read_manifest(source)["members"]["triples"].values()]


def _build(writer: SnapshotWriter, members: dict[str, list[Snapshot]], config: MixConfig) -> None:
    weights = _weights(members, config)
    sources = [(name, snapshot) for name, group in members.items() for snapshot in group]
    layout = _layout(sources, config)
    tallies, digests = {}, []
    with pq.ParquetWriter(writer.part("records.parquet"), RECORDS_SCHEMA, compression="zstd") as records:
        for split in SPLITS:
            rows = MappedRows([snapshot.file(f"{split}.arrow") for _, snapshot in sources])
            times, tallies[split] = _chosen(rows, [name for name, _ in sources], weights, split, config)
            writer.splits[split] = _write_rows(writer, rows, times, split, config.seed)
            digests += _write_records(records, rows, times, [snapshot for _, snapshot in sources], split)
    if not writer.splits["train"]:
        action = "set train, or give every source training rows"
        raise DataError("MIX_EMPTY", "the mix would have no row to train on", found=tallies["train"], action=action)
    writer.write_json("layout.json", layout)
    writer.write_json("mix.json", {"weights": weights, "by": config.by, "splits": tallies})
    writer.records(np.concatenate(digests))
    writer.stats |= {"rows": sum(writer.splits.values()), "splits": tallies}


def _weights(members: Mapping[str, Any], config: MixConfig) -> dict[str, float]:
    weights = dict.fromkeys(members, 1.0) if config.weights is None else config.weights
    if not members or set(weights) != set(members) or not all(members.values()):
        what = "a mix needs sources, and a weight for each of them"
        raise DataError("MIX_SOURCES", what, expected=sorted(weights), found=sorted(members))
    return weights


def _layout(sources: list[tuple[str, Snapshot]], config: MixConfig) -> dict[str, Any]:
    """The sources' common layout and where each row's ``source`` points."""
    layouts = {f"{name} ({snapshot.id})": read_layout(snapshot, TriplesLayout) for name, snapshot in sources}
    first = next(iter(layouts.values()))
    wanted = config.tokenizer or first["tokenizer"]
    if any(layout["tokenizer"] != wanted for layout in layouts.values()):
        raise DataError(
            "MIX_TOKENIZER",
            "the sources' tokens mean different texts" if not config.tokenizer else "a source has another tokenizer",
            expected=wanted,
            found={name: layout["tokenizer"] for name, layout in layouts.items()},
            action="choose one tokenizer (an existing one, or one trained on the raw slices of all sources with "
            "tokenizer.retrain = true), and make the triples of every source with it",
        )
    notes = {note: "; ".join(sorted({layout[note] for layout in layouts.values()})) for note in ("licence", "origin")}
    window = max(layout["window"] for layout in layouts.values())
    places = [{"name": name, "snapshot": snapshot.id} for name, snapshot in sources]
    return {**first, **notes, "window": window, "sources": places}


def _chosen(
    rows: MappedRows, names: list[str], weights: Mapping[str, float], split: str, config: MixConfig
) -> tuple[np.ndarray, dict[str, Any]]:
    """How often each row of the split is taken, and per source what was wanted, taken and how much of it is repeats."""
    keys, tokens = rows.numbers("row_key"), rows.lengths() - SPECIALS_PER_ROW
    sizes = tokens if config.by == "tokens" else np.ones_like(tokens)
    spans: dict[str, slice] = {}
    for name, begin, end in zip(names, rows.file_first[:-1], rows.file_first[1:], strict=True):
        spans[name] = slice(spans[name].start if name in spans else begin, end)
    available = {name: int(sizes[span].sum()) for name, span in spans.items()}
    quotas = apportion(getattr(config, split) or largest_total(available, weights), weights)
    if empty := [name for name, quota in quotas.items() if quota and not available[name]]:
        action = f"give them weight in another mix, or set {split} to 0"
        raise DataError("MIX_SOURCE_EMPTY", f"sources have no row of the {split} split", found=empty, action=action)
    times, tally = np.zeros(len(keys), np.int64), {}
    for name, span in spans.items():
        if quotas[name]:
            times[span] = choose(keys[span], sizes[span], quotas[name], config.seed)
        taken = times[span]
        counts = {"rows": int(taken.sum()), "tokens": int(np.dot(taken, tokens[span]))}
        tally[name] = {"quota": quotas[name], **counts, "distinct_rows": int((taken > 0).sum())}
    return times.astype(np.min_scalar_type(times.max(initial=0))), tally


def _write_rows(writer: SnapshotWriter, rows: MappedRows, times: np.ndarray, split: str, seed: int) -> int:
    """The taken rows in the order of the keyed mix of (seed, row key), a batch at a time; how many."""
    picks, keys = _ordered(rows, times, seed)
    schema = rows.schema.append(pa.field("source", pa.uint32()))
    with pa.ipc.new_file(str(writer.part(f"{split}.arrow")), schema) as table:
        for begin in range(0, len(picks), BATCH_ROWS):
            part = picks[begin : begin + BATCH_ROWS]
            columns = dict(zip(rows.schema.names, rows.take(part).columns, strict=True))
            columns["row_key"] = pa.array(keys[begin : begin + BATCH_ROWS])
            columns["source"] = pa.array(rows.file_of(part).astype(np.uint32))
            table.write_batch(pa.RecordBatch.from_arrays(list(columns.values()), schema=schema))
    return len(picks)


def _ordered(rows: MappedRows, times: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of the taken rows, and their keys, in the order of the mix."""
    picks = np.repeat(np.arange(len(times), dtype=np.min_scalar_type(len(times))), times)
    keys = distinct_keys(rows.numbers("row_key")[picks])
    order = np.argsort(mix64(seed, "mix/order", keys), kind="stable")
    return picks[order], keys[order]


def _write_records(
    records: pq.ParquetWriter, rows: MappedRows, times: np.ndarray, snapshots: list[Snapshot], split: str
) -> list[np.ndarray]:
    """List every record that has a row taken, once per split; their digests."""
    written = np.zeros(0, "S32")
    for file, snapshot in enumerate(snapshots):
        wanted = rows.records(file, times > 0)
        wanted = wanted[~found_in(wanted, written)]
        if not len(wanted):
            continue
        for batch in iter_batches(snapshot.file("records.parquet")):
            listed = decode_records(batch.column("record_id"), snapshot.path).view("S32").ravel()
            splits = np.array(batch.column("split").to_pylist())
            kept = batch.filter(pa.array(found_in(listed, wanted) & (splits == split)))
            records.write_batch(kept.select(RECORDS_SCHEMA.names).cast(RECORDS_SCHEMA))
        written = np.concatenate([written, wanted])
        written.sort()
    return [written.view(np.uint8).reshape(-1, 32)]
