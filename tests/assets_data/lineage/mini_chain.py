"""A chain of real stages as small as can be: two slices, a tokenizer, a graph, a manifest, a checkpoint, its report.

The kinds, columns and documents are those of the real chain, so that every query meets what it will meet; what a stage
computes is a digest of what it read, so that every change below shows above.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from assets_data.lineage import Snapshot, Store, digest_json, option, text_key64
from assets_data.lineage.receipts.receipt import SourcePart

MODULE = "assets_data.lineage.identity.order"
SPLITS = ("train", "train", "train", "validation")
UPDATES, BATCH = 12, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class MiniConfig:
    """One number that decides what every stage makes."""

    salt: int = option(0, "changes what is made")


def texts(slice_name: str, count: int = 8) -> list[str]:
    """The records of a slice."""
    return [f"{slice_name}: text number {i}" for i in range(count)]


def record_id(text: str) -> str:
    """A record's id."""
    return hashlib.sha256(text.encode()).hexdigest()


def make_raw(store: Store, slice_name: str, records: Sequence[str], config: MiniConfig = MiniConfig()) -> Snapshot:
    """A ``text/raw_slice``."""
    ids = [record_id(text) for text in records]
    source = SourcePart(
        f"{slice_name}.txt",
        digest_json(list(records)).removeprefix("sha256:"),
        f"https://corpus.example/{slice_name}.txt",
    )

    def build(writer):
        carried = [json.dumps({"length": str(len(text))}) for text in records]
        writer.write_table("records.parquet", pa.table({"record_id": ids, "text": list(records), "carried": carried}))
        writer.write_json(
            "parts.json", {"licence": "CC0", "origin": "a test", "parts": [{"bytes": 10, "salt": config.salt}]}
        )
        writer.records(ids)

    return store.run_stage(
        name="text/raw_slice",
        module=MODULE,
        config=config,
        parents={},
        arguments={"slice": slice_name, "parts_digest": source.sha256},
        sources=[source],
        build=build,
    )


def make_tokenizer(store: Store, raw: Sequence[Snapshot], config: MiniConfig = MiniConfig()) -> Snapshot:
    """A ``text/tokenizer`` that learned from the training records."""
    raw = sorted(raw, key=lambda snapshot: snapshot.id)
    learned = sorted(i for snapshot in raw for i, split in _splits(snapshot).items() if split == "train")
    return _digest_stage(store, "text/tokenizer", {"raw_slice": raw}, config, learned)


def make_triples(store: Store, raw: Snapshot, tokenizer: Snapshot, config: MiniConfig = MiniConfig()) -> Snapshot:
    """A ``text/triples``: two rows per record."""
    splits = _splits(raw)

    def build(writer):
        writer.write_table("records.parquet", pa.table({"record_id": list(splits), "split": list(splits.values())}))
        for split in ("train", "validation"):
            ids = [i for i in splits if splits[i] == split for _ in range(2)]
            starts = [n % 2 for n in range(len(ids))]
            keys = text_key64([f"{i}/{start}" for i, start in zip(ids, starts, strict=True)])
            writer.write_table(f"{split}.arrow", pa.table({"row_key": keys, "record_id": pa.array(ids, pa.string())}))
            writer.splits[split] = len(ids)
        writer.write_json("dropped.json", raw.content["records"]["count"] - len(splits))
        writer.write_json("notes.json", {"tokenizer": tokenizer.id, "salt": config.salt})
        writer.records(list(splits))

    parents = {"raw_slice": raw, "tokenizer": tokenizer}
    return store.run_stage(name="text/triples", module=MODULE, config=config, parents=parents, build=build)


def make_corpus(store: Store, triples: Sequence[Snapshot], tokenizer: Snapshot, config=MiniConfig()) -> Snapshot:
    """A ``text/walk_corpus``: it learned from the training rows, which it does not name."""
    rows = sorted(i for s in triples for i in s.table("train.arrow")["record_id"].to_pylist())
    parents = {"triples": sorted(triples, key=lambda snapshot: snapshot.id), "tokenizer": [tokenizer]}
    return _digest_stage(store, "text/walk_corpus", parents, config, [*rows, tokenizer.id])


def make_manifest(store: Store, triples: Sequence[Snapshot], tokenizer: Snapshot, corpus: Snapshot) -> Snapshot:
    """A ``text/dataset_manifest``."""
    parents = {"triples": list(triples), "tokenizer": tokenizer, "walk_corpus": corpus}
    members = {"members": [*(s.id for s in triples), tokenizer.id, corpus.id]}
    return json_stage(store, "text/dataset_manifest", parents, MiniConfig(), "manifest.json", members)


def make_preflight(store: Store, manifest: Snapshot, config: MiniConfig = MiniConfig()) -> Snapshot:
    """A ``toy/preflight_report``."""
    document = {"dataset_snapshot_id": manifest.id, "salt": config.salt}
    return json_stage(store, "toy/preflight_report", {"manifest": manifest}, config, "registration.json", document)


def make_checkpoint(
    store: Store, manifest: Snapshot, preflight: Snapshot, tables: Sequence[Snapshot], patience: int = 0
) -> Snapshot:
    """A ``toy/checkpoint`` whose weights are a digest of the rows it saw; ``patience`` is what its config says."""
    from training.order import Order

    keys = np.concatenate([table.table("train.arrow")["row_key"].to_numpy() for table in tables])
    order = Order(7, keys, BATCH)
    seen = [keys[order.batch(update)[0]].tolist() for update in range(UPDATES)]
    refs = [{"snapshot": table.id, "file": "train.arrow", "chunks": 0} for table in tables]
    facts = {
        "manifest": manifest.id,
        "preflight": preflight.id,
        "run_id": "toy-run",
        "recipe": "toy",
        "updates": UPDATES,
        "seconds": 60.0,
        "order": {"seed": 7, "batch_rows": BATCH, "updates": UPDATES, "tables": refs},
    }

    def build(writer):
        writer.write_json("weights.json", digest_json([[str(key) for key in batch] for batch in seen]))
        writer.write_json("config.json", {"salt": 0, "train": {"best": {"patience": patience}}}, sidecar=True)
        writer.write_json("training.json", facts, sidecar=True)

    parents = {"manifest": manifest, "preflight": preflight}
    return store.run_stage(name="toy/checkpoint", module=MODULE, config=MiniConfig(), parents=parents, build=build)


def make_report(store: Store, manifest: Snapshot, preflight: Snapshot, checkpoint: Snapshot) -> Snapshot:
    """A ``toy/gate_report``."""
    parents = {"manifest": manifest, "preflight": preflight, "checkpoint": checkpoint}
    return json_stage(store, "toy/gate_report", parents, MiniConfig(), "result.json", {"checkpoint": checkpoint.id})


def make_chain(store: Store, slices: dict[str, list[str]] | None = None, patience: int = 0) -> dict[str, Snapshot]:
    """The whole chain; name -> snapshot, each name pointed at."""
    slices = slices or {name: texts(name) for name in ("a", "b")}
    nodes = {f"text/raw_slice/{name}": make_raw(store, name, records) for name, records in slices.items()}
    raw = list(nodes.values())
    tokenizer = nodes["text/tokenizer"] = make_tokenizer(store, raw)
    triples = [make_triples(store, snapshot, tokenizer) for snapshot in raw]
    nodes |= {f"text/triples/{name}": snapshot for name, snapshot in zip(slices, triples, strict=True)}
    corpus = nodes["text/walk_corpus"] = make_corpus(store, triples, tokenizer)
    manifest = nodes["text/dataset_manifest"] = make_manifest(store, triples, tokenizer, corpus)
    preflight = nodes["toy/preflight_report"] = make_preflight(store, manifest)
    checkpoint = nodes["toy/checkpoint"] = make_checkpoint(store, manifest, preflight, triples, patience)
    nodes["toy/gate_report"] = make_report(store, manifest, preflight, checkpoint)
    for name, snapshot in nodes.items():
        store.point(name, snapshot)
    return nodes


def _splits(raw: Snapshot) -> dict[str, str]:
    """Split by record: a function of the record alone. One in sixteen is dropped by "cleaning"."""
    ids = raw.table("records.parquet")["record_id"].to_pylist()
    return {i: SPLITS[int(i[:2], 16) % len(SPLITS)] for i in ids if int(i[2], 16)}


def _digest_stage(store, name, parents, config, learned):
    return json_stage(store, name, parents, config, "learned.json", digest_json([learned, config.salt]))


def json_stage(store, name, parents, config, file, document):
    """A stage whose one part is a document."""

    def build(writer):
        writer.write_json(file, document)

    return store.run_stage(name=name, module=MODULE, config=config, parents=parents, build=build)
