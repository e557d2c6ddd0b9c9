"""A small set of triples that needs no other room: two slices of windows of a made-up language, and a manifest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from assets_data.lineage import Snapshot, SnapshotWriter, Store, text_key64

PAD, BOS, EOS, UNK = range(4)
WORDS = ("the", "Ġcat", "Ġsat", "Ġon", "Ġa", "Ġmat", "Ċ", "Ã©")
VOCABULARY = {word: 4 + number for number, word in enumerate(WORDS)}
VOCAB_SIZE = 4 + len(WORDS)
SIZES = {"train": 60, "validation": 12, "test": 16}


@dataclass(frozen=True)
class Nothing:
    """A config without fields."""


def windows(slice_name: str, split: str, count: int) -> list[np.ndarray]:
    """Windows of 6 to 20 tokens in which each token is mostly followed by the next word, so that order can be learned.

    No two are equal: each begins with its number, written in base 8.
    """
    rng = np.random.default_rng(list(f"{slice_name}/{split}".encode()))
    found = []
    for number in range(count):
        digits = [4 + (number // 8) % 8, 4 + number % 8]
        tokens = [*digits, 4 + sum(slice_name.encode()) % 8]
        for _ in range(int(rng.integers(3, 18))):
            tokens.append(4 + (tokens[-1] - 4 + (1 if rng.random() < 0.9 else 3)) % 8)
        found.append(np.array(tokens, np.uint16))
    return found


def table(slice_name: str, split: str, count: int) -> pa.Table:
    """The stored rows: ``bos prefix bos suffix eos``, half and half."""
    rows, spans, records = [], [], []
    for number, tokens in enumerate(windows(slice_name, split, count)):
        pivot = len(tokens) // 2
        rows.append(np.concatenate([[BOS], tokens[:pivot], [BOS], tokens[pivot:], [EOS]]).astype(np.uint16))
        spans.append((0, pivot + 1, pivot + 1, len(tokens) + 3))
        records.append(f"{slice_name}/{split}/{number}")
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    names = ("encoder_begin", "encoder_end", "decoder_begin", "decoder_end")
    columns = dict(zip(names, np.array(spans, np.uint32).reshape(-1, 4).T, strict=True))
    tokens = pa.LargeListArray.from_arrays(offsets, np.concatenate(rows) if rows else np.empty(0, np.uint16))
    ids = [hashlib.sha256(record.encode()).hexdigest() for record in records]
    return pa.table({"row_key": text_key64(records), "record_id": ids, "tokens": tokens, **columns})


def make_triples(store: Store, slice_name: str, tokenizer: Snapshot, sizes: dict[str, int], batches: int) -> Snapshot:
    """One slice, its rows in several record batches."""

    def build(writer: SnapshotWriter) -> None:
        for split, count in sizes.items():
            rows = table(slice_name, split, count)
            with pa.ipc.new_file(str(writer.part(f"{split}.arrow")), rows.schema) as file:
                file.write_table(rows, max_chunksize=max(1, -(-count // batches)))
            writer.splits[split] = count
        specials = {"pad": PAD, "bos": BOS, "eos": EOS, "unk": UNK}
        layout = {"tokenizer": tokenizer.id, "vocab_size": VOCAB_SIZE, "window": 20, "specials": specials}
        writer.write_json("layout.json", layout)

    return store.run_stage(
        name="text/triples",
        module="assets_data.lineage.errors",
        config=Nothing(),
        parents={"tokenizer": tokenizer},
        arguments={"slice": slice_name, "sizes": sizes, "batches": batches},
        build=build,
    )


def tokenizer_document(note: str = "") -> dict[str, object]:
    """What of a byte-level tokenizer is read back for reports."""
    added = [{"id": i, "content": name} for i, name in enumerate(("<pad>", "<bos>", "<eos>", "<unk>"))]
    specials = {token["content"]: token["id"] for token in added}
    return {"added_tokens": added, "model": {"vocab": {**specials, **VOCABULARY}}, "note": note}


def make_tokenizer(store: Store, extra: str = "") -> Snapshot:
    """A tokenizer that learned from nothing."""
    document = tokenizer_document(extra)
    return store.run_stage(
        name="text/tokenizer",
        module="assets_data.lineage.errors",
        config=Nothing(),
        parents={},
        arguments={"extra": extra},
        build=lambda writer: writer.write_json("tokenizer.json", document),
    )


def make_manifest(store: Store, sizes: dict[str, int] | None = None, batches: int = 3) -> Snapshot:
    """A dataset manifest over two slices, named so that the order they are made in is not the sorted one."""
    tokenizer = make_tokenizer(store)
    slices = {name: make_triples(store, name, tokenizer, sizes or SIZES, batches) for name in ("s-1", "s-0")}
    return publish(store, slices, tokenizer)


def publish(store: Store, slices: dict[str, Snapshot], tokenizer: Snapshot) -> Snapshot:
    """The manifest of given slices."""
    members = {"tokenizer": tokenizer.id, "triples": {name: snapshot.id for name, snapshot in slices.items()}}
    return store.run_stage(
        name="text/dataset_manifest",
        module="assets_data.lineage.errors",
        config=Nothing(),
        parents={"triples": list(slices.values()), "tokenizer": tokenizer},
        build=lambda writer: writer.write_json("manifest.json", {"members": members}),
    )
