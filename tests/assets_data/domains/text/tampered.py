"""Published snapshots that say something wrong: real triples with some files rewritten, for the checks to find."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from assets_data.domains.text.read import SPLITS
from assets_data.domains.text.rows import RECORDS_SCHEMA
from assets_data.domains.text.schemas import schema_failures
from assets_data.domains.text.tokenizer import BOS, EOS
from assets_data.domains.text.triples import iter_windows
from assets_data.lineage import Snapshot, Store


@dataclass(frozen=True)
class Nothing:
    """No settings."""


def publish(store: Store, kind: str, tables: dict[str, pa.Table], documents: dict, label: str) -> Snapshot:
    """A snapshot of ``kind`` with these tables and JSON documents, through the real store."""

    def build(writer):
        for name, table in tables.items():
            writer.write_table(name, table)
        for name, document in documents.items():
            writer.write_json(name, document)
        writer.splits = {name.removesuffix(".arrow"): len(t) for name, t in tables.items() if name.endswith(".arrow")}

    return store.run_stage(
        name=kind,
        module="assets_data.lineage.storage.store",
        config=Nothing(),
        arguments={"label": label},
        parents={},
        build=build,
    )


def rewritten(store: Store, triples: Snapshot, label: str, **tables: pa.Table) -> Snapshot:
    """``triples`` with the named tables (``train``, ``records``) replaced, published as triples."""
    kept = {f"{split}.arrow": triples.table(f"{split}.arrow") for split in SPLITS}
    kept["records.parquet"] = triples.table("records.parquet").cast(RECORDS_SCHEMA)
    replaced = {("records.parquet" if name == "records" else f"{name}.arrow"): table for name, table in tables.items()}
    documents = {name: triples.read_json(name) for name in ("layout.json", "dropped.json")}
    return publish(store, "text/triples", kept | replaced, documents, label)


def with_column(table: pa.Table, name: str, values) -> pa.Table:
    """``table`` with one column replaced, types kept."""
    field = table.schema.field(name)
    return table.set_column(table.schema.get_field_index(name), field, pa.array(values, field.type))


def reference_rows(triples: Snapshot, split: str, *, copied: bool) -> pa.Table:
    """The reference's triples (encoder = bos + w, labels = w + eos) in the columns of ours.

    Either both spans lie over the one stored window, or the window is stored twice, once for each side.
    """
    table = triples.table(f"{split}.arrow")
    windows = [w for values, offsets in iter_windows(triples, split) for w in np.split(values, offsets[1:-1])]
    lengths = np.array([len(window) for window in windows])
    twice = [[BOS, *window, BOS, *window, EOS] for window in windows]
    once = [[BOS, *window, EOS] for window in windows]
    begin = lengths + 1 if copied else np.zeros_like(lengths)
    columns = {
        "tokens": twice if copied else once,
        "encoder_begin": np.zeros_like(lengths),
        "encoder_end": lengths + 1,
        "decoder_begin": begin,
        "decoder_end": begin + lengths + 2,
    }
    for name, values in columns.items():
        table = with_column(table, name, values)
    return table


def changed(values, index, value):
    """The values with one of them replaced."""
    values = list(values)
    values[index] = value
    return values


def found(snapshot: Snapshot) -> set[tuple]:
    """File, column and check of every schema failure."""
    return {(failure["file"], failure["column"], failure["check"]) for failure in schema_failures(snapshot)}
