"""The whole tree of a node, every byte of it hashed again: files, values, receipts, and what the store remembers.

Promises that ``fault`` is the broken node nearest to the sources, with what was expected and found. Hashes large
files on every core, twice over the same bytes: each file against its list, each part's values against the identity.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from assets_data.lineage.errors import IntegrityError
from assets_data.lineage.queries.evidence import Evidence, check_evidence
from assets_data.lineage.queries.hashing import Progress, hash_all, note
from assets_data.lineage.queries.memory import check_memory
from assets_data.lineage.queries.record_lookup import RecordLookup
from assets_data.lineage.queries.tree import Node, load_tree
from assets_data.lineage.receipts.reader import check_statement, read_document
from assets_data.lineage.storage.store import Store

SHARED_INPUTS = ("manifest", "preflight")  # what a node and its parent both read must be the same
ORIGIN = "origin"  # the input under which a training names what it began from


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """The tree below ``root``, parents first. ``broken`` is the first node with a fault, None when all is as it was."""

    root: str
    nodes: Mapping[str, Node]
    hashed_bytes: int

    @property
    def broken(self) -> Node | None:
        """The broken node nearest to the sources."""
        return next((node for node in self.nodes.values() if node.fault), None)


def explain(
    store: Store,
    snapshot_id: str,
    progress: Callable[[int], Progress] = lambda total: lambda done: None,
    evidence: Sequence[Evidence] = (),
) -> Tree:
    """Load and hash everything below a node, and compare receipts with what they speak of. ``progress`` is told how
    many bytes there are, and what it returns bytes as they are done; ``evidence`` is what else to compare (see
    ``queries.evidence``).
    """
    nodes = load_tree(store, [snapshot_id], lambda node: note(node, _check_statements, node))
    for node in nodes.values():
        note(node, _check_shared_inputs, node, nodes)
    check_memory(store, nodes)
    lookup = RecordLookup()
    hashed = hash_all(nodes, lookup, progress(_total_bytes(nodes)))
    for node in nodes.values():
        note(node, check_evidence, store, node, nodes, evidence, lookup)
    return Tree(root=next(reversed(nodes)), nodes=nodes, hashed_bytes=hashed)


def _total_bytes(nodes: Mapping[str, Node]) -> int:
    files = (node.snapshot.files for node in nodes.values() if node.snapshot)
    return sum(entry["bytes"] for entries in files for entry in entries.values())


def _check_statements(node: Node) -> None:
    """Right after a node's receipts were read, while the process still has them parsed."""
    for receipt in node.receipts:
        check_statement(read_document(receipt.path), receipt.path)


def _check_shared_inputs(node: Node, nodes: Mapping[str, Node]) -> None:
    """What a recipe's nodes both read must be the same: a checkpoint's preflight was made for the very manifest that
    the checkpoint read, and so on. What another recipe made, and what a training began from, have inputs of their own.
    """
    for receipt in node.receipts:
        mine = {parent.input: parent.id for parent in receipt.parents if parent.input in SHARED_INPUTS}
        kin = [p for p in receipt.parents if _owner(p.kind) == _owner(node.kind) and p.input != ORIGIN]
        for parent in kin:
            for name, expected in mine.items():
                theirs = {p.id for a in nodes[parent.id].receipts for p in a.parents if p.input == name}
                if theirs and expected not in theirs:
                    what = f"it and its {parent.input} did not read the same {name}"
                    raise IntegrityError(
                        "LINEAGE_STALE_READ", what, expected=expected, found=sorted(theirs), where=receipt.path
                    )


def _owner(kind: str) -> str:
    return kind.partition("/")[0]
