"""``stemma explain``: the whole tree of a node, every byte hashed again, and the first thing that is not as it was."""

from __future__ import annotations

import contextlib
import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from assets_data.documents import SourceNotes, read_source_notes
from assets_data.lineage import Store
from assets_data.lineage.queries.evidence import binding
from assets_data.lineage.queries.explain import Tree, explain
from assets_data.lineage.queries.tree import Node, load_tree, was_sealed
from assets_data.lineage.receipts.receipt import Receipt
from assets_data.lineage.storage.look import rarely_collected
from pipeline_defs.answers.answer import Answer, fault_document, plain, settings_in_words, short
from pipeline_defs.answers.nodes import find_home
from training.evidence import contradictions

EVIDENCE = (contradictions,)
"""What else receipts and files must agree on, besides what every kind of snapshot must."""
BAR_FROM_BYTES = 1 << 28  # hashing less is over before a bar would be read


@rarely_collected()
def explain_node(options: Namespace) -> Answer:
    """The answer for one node: tree, sources, code, environment, and the verdict."""
    tree = _with_bar(*find_home(options.node))
    return Answer(document=tree_document(tree), lines=list(report_lines(tree)), ok=tree.broken is None)


def lineage_markdown(store: Store, snapshot_id: str) -> str:
    """The tree, its code and environments as a code block for Dagster's UI. Nothing is hashed: no verdict is given."""
    tree = Tree(root=snapshot_id, nodes=load_tree(store, [snapshot_id]), hashed_bytes=0)
    lines = [*_tree_lines(tree, tree.root, "", "", set()), "", *_foundation_lines(tree)]
    return "\n".join(["```text", *(plain(line).replace("`", "'") for line in lines), "```"])


def tree_document(tree: Tree) -> dict[str, Any]:
    """The tree for programs: every node with its receipts, parents first."""
    return {
        "root": tree.root,
        "ok": tree.broken is None,
        "hashed_bytes": tree.hashed_bytes,
        "broken": broken_document(tree),
        "nodes": [_node_document(node) for node in tree.nodes.values()],
    }


def broken_document(tree: Tree) -> dict[str, Any] | None:
    """The broken node nearest to the sources and its fault, for programs."""
    broken = tree.broken
    if broken is None or broken.fault is None:
        return None
    return {"id": broken.id, "kind": broken.kind, **fault_document(broken.fault)}


def tree_lines(tree: Tree) -> Iterator[str]:
    """The tree alone, for people: each node named once."""
    yield from _tree_lines(tree, tree.root, "", "", set())


def report_lines(tree: Tree) -> Iterator[str]:
    """The tree for people: a tree that names each node once, then the verdict."""
    yield from _tree_lines(tree, tree.root, "", "", set())
    yield ""
    yield from _foundation_lines(tree)
    if (broken := tree.broken) is None or broken.fault is None:
        yield f"intact: {len(tree.nodes)} nodes, {tree.hashed_bytes:,} bytes hashed again"
        if gone := [node for node in tree.nodes.values() if node.deletion]:
            receipts = ", ".join(sorted({node.deletion["receipt"][:12] for node in gone if node.deletion}))
            yield f"{len(gone)} of them were deleted on purpose (deletions/{receipts}): known by id and receipt"
        yield from _binding_lines(tree)
        return
    fault = broken.fault
    yield f"BROKEN  {broken.kind}  {broken.id}"
    yield f"        [{fault.code}] {fault.what}"
    for name in ("expected", "found", "where"):
        if (value := getattr(fault, name)) is not None:
            yield f"        {name:<9}{value}"


def _binding_lines(tree: Tree) -> Iterator[str]:
    """What holds the files of how many nodes, and the receipts that nothing names."""
    counts = Counter(binding(node) for node in tree.nodes.values())
    for (schema, words), count in sorted(counts.items(), reverse=True):
        yield f"        {count} nodes bound by receipts of schema {schema}: {words}"
    for node in tree.nodes.values():
        for receipt in sorted(node.extra):
            yield f"        extra: receipt {short(receipt)} of {node.kind} {short(node.id)} is named by nothing here"


def _with_bar(store: Store, snapshot_id: str) -> Tree:
    with contextlib.ExitStack() as stack:

        def bar(total: int) -> Callable[[int], object]:
            if total < BAR_FROM_BYTES:
                return lambda done: None
            from tqdm import tqdm

            shown = tqdm(total=total, unit="B", unit_scale=True, desc="hashing", disable=not sys.stderr.isatty())
            return stack.enter_context(shown).update

        return explain(store, snapshot_id, bar, EVIDENCE)


def _tree_lines(tree: Tree, node_id: str, lead: str, below: str, seen: set[str]) -> Iterator[str]:
    node = tree.nodes[node_id]
    again = node_id in seen
    seen.add(node_id)
    size = f"  {node.snapshot.bytes:,} bytes" if node.snapshot else ""
    mark = f"  BROKEN [{node.fault.code}]" if node.fault else "  deleted on purpose" if node.deletion else ""
    mark += "  sealed" if was_sealed(node) else ""
    yield f"{lead}{node.kind}  {short(node_id)}{size}{'  (see above)' if again else mark}"
    if again:
        return
    for number, parent in enumerate(parents := node.parents, start=1):
        last = number == len(parents)
        yield from _tree_lines(
            tree, parent, below + ("└─ " if last else "├─ "), below + ("   " if last else "│  "), seen
        )
    for source in _source_facts(node):
        yield f"{below}└─ source: {source}"


def _source_facts(node: Node) -> list[str]:
    """One line per receipt that read files from outside, else what the snapshot noted of its source."""
    facts = [f"{len(a.sources)} files named in receipt {short(a.id)}" for a in node.receipts if a.sources]
    if notes := _notes(node):
        size = sum(part["bytes"] for part in notes["parts"])
        facts.append(f"{notes['origin']}, {len(notes['parts'])} files, {size:,} bytes, licence {notes['licence']}")
    return facts


def _foundation_lines(tree: Tree) -> Iterator[str]:
    """Commit, environment, preset and config: each distinct one once, the root's own config in full."""
    receipts = [receipt for node in tree.nodes.values() for receipt in node.receipts]
    for fact in dict.fromkeys(_code_fact(receipt) for receipt in receipts):
        yield f"code         {fact}"
    for fact in dict.fromkeys(_environment_fact(receipt) for receipt in receipts):
        yield f"environment  {fact}"
    for fact in dict.fromkeys(_wish(receipt) for receipt in receipts if receipt.requested):
        yield f"asked        {fact}"
    for receipt in tree.nodes[tree.root].receipts[-1:]:
        for name, value in settings_in_words(receipt.config):
            yield f"config       {name} = {value}"


def _wish(receipt: Receipt) -> str:
    overrides = ", ".join("=".join(setting) for setting in settings_in_words(receipt.requested.get("overrides", {})))
    return f"{receipt.stage}: preset {receipt.requested.get('preset')}  {overrides}".rstrip()


def _code_fact(receipt: Receipt) -> str:
    moved = f"; at the end another: {', '.join(f'{k} {v}' for k, v in receipt.ended.items())}" if receipt.ended else ""
    if receipt.commit is None:
        return f"no git checkout, sources {short(receipt.diff)}{moved}"
    state = f"modified: diff {short(receipt.diff)}" if receipt.dirty else "clean"
    return f"commit {receipt.commit}, {state}{moved}"


def _environment_fact(receipt: Receipt) -> str:
    facts = receipt.environment
    packages = f"{facts.get('packages')} packages, lock {short(receipt.lock)}"
    return f"{facts.get('platform')} python {facts.get('python')}, {packages}"


def _node_document(node: Node) -> dict[str, Any]:
    return {
        "id": node.id,
        "kind": node.kind,
        "ok": node.fault is None,
        "sealed": was_sealed(node),
        "fault": fault_document(node.fault) if node.fault else None,
        "files": {name: dict(entry) for name, entry in node.snapshot.files.items()} if node.snapshot else {},
        "parents": node.parents,
        "sources": _source_parts(node),
        "bound": {"schema": binding(node)[0], "by": binding(node)[1]},
        "extra": sorted(node.extra),
        "receipts": [_receipt_document(receipt) for receipt in node.receipts],
    }


def _source_parts(node: Node) -> list[dict[str, Any]]:
    notes = _notes(node)
    return notes["parts"] if notes else []


def _notes(node: Node) -> SourceNotes | None:
    """What a source that is whole noted of what it read."""
    return read_source_notes(node.snapshot) if node.snapshot and not node.parents and not node.fault else None


def _receipt_document(receipt: Receipt) -> dict[str, Any]:
    return {
        "receipt": receipt.id,
        "stage": receipt.stage,
        "config": receipt.config,
        "arguments": receipt.arguments,
        "requested": receipt.requested,
        "seeds": receipt.seeds,
        "code_version": receipt.code_version,
        "commit": receipt.commit,
        "dirty": receipt.dirty,
        "diff": receipt.diff,
        "environment": receipt.environment,
        "ended": receipt.ended,
        "started": receipt.started,
        "finished": receipt.finished,
    }
