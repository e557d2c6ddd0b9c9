"""The inputs of walk_lm without another room: a manifest, a corpus with edges into every block."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from assets_data.lineage import Snapshot, SnapshotWriter, Store, array_key64, digest_bytes
from tests.training.triples import make_tokenizer

BLOCKS, PER_BLOCK = 3, 8
VERTICES = BLOCKS * PER_BLOCK
RULES = ((0, 4, 1), (9, 6, 2), (17, 9, 0))  # vertex, r, target block
LENGTH = 48


@dataclass(frozen=True)
class Nothing:
    """A config without fields."""


def neighbours() -> np.ndarray:
    """[V, 6]: two vertices of each block, never the vertex itself."""
    rng = np.random.default_rng(3)
    found = np.empty((VERTICES, 2 * BLOCKS), np.int64)
    for vertex in range(VERTICES):
        for block in range(BLOCKS):
            pool = np.setdiff1d(np.arange(block * PER_BLOCK, (block + 1) * PER_BLOCK), [vertex])
            found[vertex, 2 * block : 2 * block + 2] = rng.choice(pool, 2, replace=False)
    return found


def exact_walks(count: int, seed: int, length: int = LENGTH) -> np.ndarray:
    """uint16[count, length]: every deadline kept; a walk whose jumpers clash is drawn again."""
    rng, edges = np.random.default_rng(seed), neighbours()
    rule_of = {vertex: (r, target) for vertex, r, target in RULES}
    walks: list[list[int]] = []
    while len(walks) < count:
        due: dict[int, int] = {}
        walk = [int(rng.choice([v for v, *_ in RULES])) if rng.random() < 0.5 else int(rng.integers(VERTICES))]
        for t in range(length):
            if t:
                block = due.get(t, int(rng.integers(BLOCKS)))
                walk.append(int(edges[walk[-1], 2 * block + int(rng.integers(2))]))
            if walk[-1] in rule_of:
                r, target = rule_of[walk[-1]]
                if due.setdefault(t + r, target) != target:
                    break
        else:
            walks.append(walk)
    return np.array(walks, np.uint16)


def make_inputs(
    store: Store, train: int = 400, heldout: int = 150, batches: int = 3, seed: int = 0
) -> dict[str, Snapshot]:
    """What walk_lm reads: a manifest, and a published walk corpus, its walks in several record batches."""
    return publish(store, exact_walks(train, seed), exact_walks(heldout, seed + 1), batches)


def publish(store: Store, train: np.ndarray, heldout: np.ndarray, batches: int = 3) -> dict[str, Snapshot]:
    """The same for given walks."""

    def build(writer: SnapshotWriter) -> None:
        edges = neighbours()
        vertices = {"vertex": np.arange(VERTICES, dtype=np.uint32), "token_id": np.full(VERTICES, -1, np.int32)}
        blocks = (np.arange(VERTICES) // PER_BLOCK).astype(np.uint16)
        writer.write_table("vertices.arrow", pa.table({**vertices, "block": blocks}))
        sources = np.repeat(np.arange(VERTICES, dtype=np.uint32), edges.shape[1])
        pairs = np.unique(np.stack([sources, edges.ravel().astype(np.uint32)], 1), axis=0)
        columns = {"source": pairs[:, 0], "target": pairs[:, 1], "weight": np.ones(len(pairs))}
        writer.write_table("edges.arrow", pa.table(columns))
        vertex, r, target = (np.array(column) for column in zip(*RULES, strict=True))
        rules = {"vertex": vertex.astype(np.uint32), "r": r.astype(np.uint32), "target_block": target.astype(np.uint16)}
        writer.write_table("rules.arrow", pa.table(rules))
        for split, walks in (("train", train), ("heldout", heldout)):
            write_walks(writer, split, walks, batches)
            writer.splits[split] = len(walks)

    arguments = {split: digest_bytes(walks.tobytes()) for split, walks in (("train", train), ("heldout", heldout))}
    common = {"module": "assets_data.lineage.errors", "config": Nothing()}
    corpus = store.run_stage(name="text/walk_corpus", parents={}, arguments=arguments, build=build, **common)
    return {"manifest": make_manifest(store), "walk_corpus": corpus}


def make_manifest(store: Store, note: str = "", **document: object) -> Snapshot:
    """The manifest of a dataset that has a tokenizer, and further entries of its document."""
    tokenizer = make_tokenizer(store, note)
    return store.run_stage(
        name="text/dataset_manifest",
        module="assets_data.lineage.errors",
        config=Nothing(),
        parents={"tokenizer": tokenizer},
        arguments={"document": document},
        build=lambda writer: writer.write_json("manifest.json", {"members": {"tokenizer": tokenizer.id}, **document}),
    )


def write_walks(writer: SnapshotWriter, split: str, walks: np.ndarray, batches: int) -> None:
    parts = [part for part in np.array_split(walks, batches) if len(part)]
    lists = [pa.FixedSizeListArray.from_arrays(part.ravel(), part.shape[1]) for part in parts]
    tables = [
        pa.record_batch({"tokens": tokens, "row_key": array_key64(part)})
        for tokens, part in zip(lists, parts, strict=True)
    ]
    with pa.OSFile(str(writer.part(f"{split}.arrow")), "wb") as sink, pa.ipc.new_file(sink, tables[0].schema) as file:
        for table in tables:
            file.write_batch(table)
