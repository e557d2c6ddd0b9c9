"""The triples stage: windows of every document as flat token rows, one memory-mappable Arrow file per split.

Each row is stored once; encoder ids, decoder ids and labels are views of it (layout in ``windows``, columns in
``rows``). Streams: memory is bounded by ``batch_bytes``, a few row groups, what ``documents`` and the encoder keep, and
at the end 66 bytes per document, for the record root.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from assets_data.domains.text.clean import REASONS
from assets_data.domains.text.config import TextConfig, TriplesConfig
from assets_data.domains.text.documents import read_documents
from assets_data.domains.text.drops import read_drops
from assets_data.domains.text.encoder import Encoder
from assets_data.domains.text.prefetch import ahead, mapped_ahead
from assets_data.domains.text.progress import counted
from assets_data.domains.text.read import SPLITS
from assets_data.domains.text.rows import RECORDS_SCHEMA, rows_schema
from assets_data.domains.text.tokenizer import BOS, EOS, PAD, UNK, load_tokenizer
from assets_data.domains.text.windows import SPECIALS_PER_ROW, Windows, cut_windows, echoes, lay_out, pivots, row_keys
from assets_data.lineage import DataError, Snapshot, SnapshotWriter, Store, read_sections
from assets_data.lineage.identity.record_ids import table_records
from assets_data.lineage.identity.tables import iter_batches

WITHOUT_WINDOW = "documents_without_window"
WINDOWS_LOST = ("short_window", "long_pair", "echo")
DROPPED = (*REASONS, WITHOUT_WINDOW, *WINDOWS_LOST)
"""What ``dropped.json`` counts: documents by reason, those left without a window, and beside them windows by reason.

A slice's records are the documents in ``records.parquet`` and those counted under REASONS or WITHOUT_WINDOW.
"""
IN_FLIGHT = 2  # batches: one is encoded on all cores while the ids of another are read


def make_triples(
    store: Store, documents: Snapshot, tokenizer: Snapshot, config: TextConfig, drops: Snapshot | None = None
) -> Snapshot:
    """Publish (or reuse) the slice's windows as a ``text/triples`` snapshot: one ``{split}.arrow`` per split,
    ``records.parquet``, ``dropped.json`` and ``layout.json``.

    The documents on the list ``drops`` are left out. Raises DataError TRIPLES_TOKENIZER_SPLIT when the tokenizer was
    trained under other document settings. A slice may have no window.
    """
    return store.run_stage(
        name="text/triples",
        module=__name__,
        config=read_sections(config, ("triples",)),
        parents={"documents": documents, "tokenizer": tokenizer, **({"drops": drops} if drops else {})},
        seeds={"pivot": config.triples.seed},
        build=lambda writer: _build(writer, documents, tokenizer, config, drops),
    )


def iter_windows(snapshot: Snapshot, split: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches of plain windows, without specials: flat token ids and int64[n+1] offsets into them."""
    for rows in iter_batches(snapshot.file(f"{split}.arrow")):
        tokens = rows.column("tokens")
        offsets = tokens.offsets.to_numpy()
        begin, values = offsets[:-1] - offsets[0], tokens.flatten().to_numpy()
        plain = np.ones(len(values), dtype=bool)
        for column, shift in (("encoder_begin", 0), ("decoder_begin", 0), ("decoder_end", -1)):
            plain[begin + rows.column(column).to_numpy() + shift] = False
        yield values[plain], offsets - offsets[0] - SPECIALS_PER_ROW * np.arange(len(offsets))


def _build(
    writer: SnapshotWriter, documents: Snapshot, tokenizer: Snapshot, config: TextConfig, drops: Snapshot | None
) -> None:
    _require_same_documents(tokenizer, documents)
    bpe = load_tokenizer(tokenizer)
    encoder = Encoder(bpe)
    dropped: Counter[str] = Counter(dict.fromkeys(DROPPED, 0) | documents.read_json("dropped.json"))
    with ExitStack() as stack:
        sink = _Sink(writer, stack, encoder.token_type)
        encode = partial(_encoded, encoder)
        batches = _batches(ahead(read_documents(documents, read_drops(drops), dropped)), config.triples.batch_bytes)
        made = counted(mapped_ahead(encode, batches, IN_FLIGHT), _documents, documents.stats["rows"], "text/triples")
        for batch, ids_T, lengths_D, prompts_D in made:
            windows, lost = cut_windows(lengths_D, prompts_D, config.triples)
            dropped.update(lost, echo=sink.write(batch, ids_T, windows, config.triples))
    dropped[WITHOUT_WINDOW] = sink.without_window
    writer.write_json("dropped.json", dict(dropped))
    writer.write_json("layout.json", _layout(documents, tokenizer, bpe.get_vocab_size(), config.triples))
    writer.records(table_records(writer.path / "records.parquet"))
    writer.splits |= sink.rows
    facts = {"rows": sum(sink.rows.values()), "tokens": sink.tokens, "documents": sink.documents}
    writer.stats |= facts | {"dropped": dict(dropped)}


def _require_same_documents(tokenizer: Snapshot, documents: Snapshot) -> None:
    found, trained_under = documents.read_json("settings.json"), tokenizer.read_json("documents.json")
    if trained_under != found:
        what = "the tokenizer was trained under other document settings, so on another training split"
        action = "use the tokenizer made with these settings"
        raise DataError("TRIPLES_TOKENIZER_SPLIT", what, expected=found, found=trained_under, action=action)


def _layout(documents: Snapshot, tokenizer: Snapshot, vocab_size: int, config: TriplesConfig) -> dict[str, Any]:
    """What a reader of the rows must know, and the notes of the source that travel with the data."""
    source = documents.read_json("source.json")
    return {
        "tokenizer": tokenizer.id,
        "vocab_size": vocab_size,
        "window": config.window,
        "specials": {"pad": PAD, "bos": BOS, "eos": EOS, "unk": UNK},
        "licence": source["licence"],
        "origin": source["origin"],
    }


class _Sink:
    """The open output files of one build, and what went into them so far."""

    def __init__(self, writer: SnapshotWriter, stack: ExitStack, token_type: np.dtype) -> None:
        self.rows: dict[str, int] = dict.fromkeys(SPLITS, 0)
        self.tokens, self.documents, self.without_window = 0, 0, 0
        self._schema = rows_schema(token_type)
        self._tables = {
            split: stack.enter_context(pa.ipc.new_file(str(writer.part(f"{split}.arrow")), self._schema))
            for split in SPLITS
        }
        self._records = stack.enter_context(
            pq.ParquetWriter(writer.part("records.parquet"), RECORDS_SCHEMA, compression="zstd")
        )

    def write(self, batch: pl.DataFrame, ids_T: np.ndarray, windows: Windows, config: TriplesConfig) -> int:
        """Lay out the batch's windows split by split, and list the documents that have one. Returns echoes left out."""
        keys_R = row_keys(batch.get_column("record_id").gather(windows.document).to_list(), windows.start)
        pivot_R = pivots(keys_R, windows, config)
        kept_R = ~echoes(ids_T, windows, pivot_R)
        splits_R = batch.get_column("split").to_numpy()[windows.document]
        for split in SPLITS:
            if (mask_R := kept_R & (splits_R == split)).any():
                rows = _row_table(batch, ids_T, windows.where(mask_R), keys_R[mask_R], pivot_R[mask_R], self._schema)
                self._tables[split].write_batch(rows)
                self.rows[split] += rows.num_rows
        used = batch[np.unique(windows.document[kept_R])]
        self._list_documents(used)
        self.without_window += len(batch) - len(used)
        self.tokens += int(windows.length[kept_R].sum())
        return int(len(kept_R) - kept_R.sum())

    def _list_documents(self, used: pl.DataFrame) -> None:
        self._records.write_table(used.select(RECORDS_SCHEMA.names).to_arrow().cast(RECORDS_SCHEMA))
        self.documents += len(used)


def _row_table(
    batch: pl.DataFrame,
    ids_T: np.ndarray,
    windows: Windows,
    keys_R: np.ndarray,
    pivot_R: np.ndarray,
    schema: pa.Schema,
) -> pa.RecordBatch:
    values, offsets = lay_out(ids_T, windows, pivot_R, BOS, EOS)
    spans = (np.zeros_like(pivot_R), pivot_R + 1, pivot_R + 1, windows.length + SPECIALS_PER_ROW)
    record_ids = batch.get_column("record_id").gather(windows.document).to_arrow()
    columns = [keys_R, record_ids, windows.start, pa.LargeListArray.from_arrays(offsets, values), *spans]
    arrays = [pa.array(column).cast(field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _documents(encoded: tuple[pl.DataFrame, np.ndarray, np.ndarray, np.ndarray]) -> int:
    return len(encoded[0])


def _batches(documents: Iterator[pl.DataFrame], batch_bytes: int) -> Iterator[pl.DataFrame]:
    """Documents in batches of about ``batch_bytes``."""
    number = (pl.col("prompt").str.len_bytes() + pl.col("text").str.len_bytes()).cum_sum() // batch_bytes
    for frame in documents:
        numbered = frame.with_columns(number.alias("batch"))
        yield from numbered.partition_by("batch", maintain_order=True, include_key=False)


def _encoded(encoder: Encoder, batch: pl.DataFrame) -> tuple[pl.DataFrame, np.ndarray, np.ndarray, np.ndarray]:
    """The batch, its ids in one array (a prompt's before its text's), and int64 tokens per document: all of them, and
    its prompt's.
    """
    if not (batch.get_column("prompt") != "").any():
        ids_T, lengths_D = encoder.encode(batch.get_column("text"))
        return batch, ids_T, lengths_D, np.zeros_like(lengths_D)
    both = batch.select(pl.concat_list("prompt", "text")).to_series()
    ids_T, lengths = encoder.encode(both.explode())
    return batch, ids_T, lengths.reshape(-1, 2).sum(axis=1), lengths[::2]
