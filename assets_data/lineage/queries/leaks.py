"""Whether what learned (a tokenizer, a graph, statistics, a teacher) learned from records that are held out now.

A learner is pinned while slices come and go: what it learned from then may be in a test split today. Followed by record
id, and by what a domain says stands for the same content. Costs reading the record ids of held-out rows and of what the
learners read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assets_data.lineage.identity.merkle import WIDTH, sorted_records
from assets_data.lineage.identity.record_ids import among, decode_records, record_columns, table_records
from assets_data.lineage.identity.tables import iter_columns, table_schema
from assets_data.lineage.queries.reach import EVERYTHING, SPLIT
from assets_data.lineage.queries.tree import Node
from assets_data.lineage.storage.record_rows import SPLIT as COLUMN
from assets_data.lineage.storage.records import record_tables
from assets_data.lineage.storage.snapshot import Snapshot

Learns = Callable[[str], str | None]
Alike = Callable[[Iterable[Snapshot], Collection[bytes]], set[bytes]]
TRAIN = "train"
_MANIFEST, _FACTS = "/dataset_manifest", "training.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """``records`` held-out records from which a snapshot had learned; ``example`` is the first of them."""

    learner: str
    kind: str
    records: int
    example: str


def find_leaks(nodes: Mapping[str, Node], inputs: Iterable[str], learns: Learns, alike: Iterable[Alike]) -> list[Leak]:
    """The leaks of every learner among ``nodes``, the tree below ``inputs``, parents first.

    Held out is what the members of a manifest, or an input itself, put in another split than the learner's.
    """
    tables = [snapshot for key in _tables(nodes, list(inputs)) if (snapshot := nodes[key].snapshot)]
    held: dict[str, np.ndarray] = {}
    found: list[Leak] = []
    for key, node in nodes.items():
        split = _learned_split(node, learns)
        if not split:
            continue
        if split not in held:
            held[split] = _with_alike(_join(_held_out(tables, split)), nodes, alike)
        hit = np.zeros(len(held[split]), bool)
        for records in _learned(node, nodes, split, everything=learns(node.kind) == EVERYTHING):
            hit |= among(held[split], sorted_records(records))
        if hit.any():
            example = held[split][hit.argmax()].tobytes().hex()
            found.append(Leak(learner=key, kind=node.kind, records=int(hit.sum()), example=example))
    return found


def _tables(nodes: Mapping[str, Node], inputs: list[str]) -> list[str]:
    """The members of manifests among the inputs, and the other inputs."""
    members = [parent for key in inputs if nodes[key].kind.endswith(_MANIFEST) for parent in nodes[key].parents]
    return list(dict.fromkeys([*members, *(key for key in inputs if not nodes[key].kind.endswith(_MANIFEST))]))


def _learned_split(node: Node, learns: Learns) -> str:
    """The split that a node learned from; empty for what did not learn."""
    words = learns(node.kind) or ""
    if words.startswith(SPLIT):
        return words.removeprefix(SPLIT)
    trained = node.snapshot is not None and _FACTS in node.snapshot.files
    return TRAIN if words == EVERYTHING or trained else ""


def _learned(node: Node, nodes: Mapping[str, Node], split: str, *, everything: bool) -> Iterator[np.ndarray]:
    """uint8[n, 32] each: the records that a learner took. A table of a parent that tells no splits tells nothing."""
    if node.snapshot is not None and _FACTS in node.snapshot.files:
        order: Mapping[str, Any] = node.snapshot.read_json(_FACTS).get("order") or {}
        for table in order.get("tables", []):
            if table["snapshot"] in nodes and (read := nodes[table["snapshot"]].snapshot):
                yield table_records(read.file(table["file"]))
        return
    for parent in (nodes[key].snapshot for key in node.parents if key in nodes):
        for name, records in _by_split(parent) if parent else ():
            if everything or name == split:
                yield records


def _held_out(tables: Iterable[Snapshot], split: str) -> Iterator[np.ndarray]:
    """Records in other splits than ``split``. One that a snapshot has in both is not held out as a record: regions of a
    sequence are, and whether those overlap is for the manifest's own check to say.
    """
    for snapshot in tables:
        others = _join(records for name, records in _by_split(snapshot) if name not in ("", split))
        shared = np.zeros(len(others), bool)
        for name, records in _by_split(snapshot) if len(others) else ():
            if name == split:
                shared |= among(others, sorted_records(records))
        yield others[~shared]


def _by_split(snapshot: Snapshot) -> Iterator[tuple[str, np.ndarray]]:
    """``(split, record ids)`` of every table that names records, by batch; the split is empty where none is told."""
    for name in record_tables(snapshot):
        path = snapshot.file(name)
        columns = table_schema(path).names
        if COLUMN in columns:
            yield from _by_column(path, record_columns(columns))
        else:
            stem = Path(name).stem
            yield stem if stem in snapshot.content["splits"] else "", table_records(path)


def _by_column(path: Path, columns: list[str]) -> Iterator[tuple[str, np.ndarray]]:
    for batch in iter_columns(path, [*columns, COLUMN]):
        coded = batch.column(COLUMN).dictionary_encode()
        numbers = coded.indices.fill_null(-1).to_numpy()
        for name in columns:
            records = decode_records(batch.column(name), path)
            yield from (
                (split, records[numbers == number]) for number, split in enumerate(coded.dictionary.to_pylist())
            )


def _join(records: Iterable[np.ndarray]) -> np.ndarray:
    return sorted_records(np.concatenate([np.empty((0, WIDTH), np.uint8), *records]))


def _with_alike(records: np.ndarray, nodes: Mapping[str, Node], alike: Iterable[Alike]) -> np.ndarray:
    """Held-out records, and those that stand for the same content."""
    snapshots = [node.snapshot for node in nodes.values() if node.snapshot]
    every = {record.tobytes() for record in records}
    for find in alike if every else ():
        every |= find(snapshots, every)
    return sorted_records(list(every)) if len(every) > len(records) else records
