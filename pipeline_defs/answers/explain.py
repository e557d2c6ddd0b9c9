"""``stemma explain``: the whole tree of a node, every byte hashed again, and the first thing that is not as it was."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator
from typing import Any

from assets_data.lineage import Store
from assets_data.lineage.plain import plain
from assets_data.lineage.queries.explain import Story, explain, total_bytes
from assets_data.lineage.queries.tree import Node, load_tree
from assets_data.lineage.receipts.provenance import Provenance
from pipeline_defs.answers.answer import Answer, fault_document, short
from pipeline_defs.answers.nodes import find_home

BAR_FROM_BYTES = 1 << 28  # hashing less is over before a bar would be read


def explain_node(options: Namespace) -> Answer:
    """The answer for one node: tree, sources, code, environment, and the verdict."""
    story = _with_bar(*find_home(options.node))
    return Answer(document=story_document(story), lines=list(story_lines(story)), ok=story.broken is None)


def lineage_markdown(store: Store, snapshot_id: str) -> str:
    """The tree and what it stands on as a code block for Dagster's UI; nothing is hashed, so no verdict is given."""
    story = Story(root=snapshot_id, nodes=load_tree(store, [snapshot_id]), hashed_bytes=0)
    lines = [*_tree_lines(story, story.root, "", "", set()), "", *_foundation_lines(story)]
    return "\n".join(["```text", *(plain(line).replace("`", "'") for line in lines), "```"])


def story_document(story: Story) -> dict[str, Any]:
    """The story for programs: every node with its accounts, parents first."""
    return {
        "root": story.root,
        "ok": story.broken is None,
        "hashed_bytes": story.hashed_bytes,
        "broken": broken_document(story),
        "nodes": [_node_document(node) for node in story.nodes.values()],
    }


def broken_document(story: Story) -> dict[str, Any] | None:
    """The broken node nearest to the sources and its fault, for programs."""
    broken = story.broken
    if broken is None or broken.fault is None:
        return None
    return {"id": broken.id, "kind": broken.kind, **fault_document(broken.fault)}


def story_lines(story: Story) -> Iterator[str]:
    """The story for people: a tree that names each node once, then the verdict."""
    yield from _tree_lines(story, story.root, "", "", set())
    yield ""
    yield from _foundation_lines(story)
    if (broken := story.broken) is None or broken.fault is None:
        yield f"intact: {len(story.nodes)} nodes, {story.hashed_bytes:,} bytes hashed again"
        return
    fault = broken.fault
    yield f"BROKEN  {broken.kind}  {broken.id}"
    yield f"        [{fault.code}] {fault.what}"
    for name in ("expected", "found", "where"):
        if (value := getattr(fault, name)) is not None:
            yield f"        {name:<9}{value}"


def _with_bar(store: Store, snapshot_id: str) -> Story:
    total = total_bytes(store, snapshot_id)
    if total < BAR_FROM_BYTES:
        return explain(store, snapshot_id)
    from tqdm import tqdm

    with tqdm(total=total, unit="B", unit_scale=True, desc="hashing", disable=not sys.stderr.isatty()) as bar:
        return explain(store, snapshot_id, bar.update)


def _tree_lines(story: Story, node_id: str, lead: str, below: str, seen: set[str]) -> Iterator[str]:
    node = story.nodes[node_id]
    again = node_id in seen
    seen.add(node_id)
    size = f"  {node.snapshot.bytes:,} bytes" if node.snapshot else ""
    mark = f"  BROKEN [{node.fault.code}]" if node.fault else ""
    yield f"{lead}{node.kind}  {short(node_id)}{size}{'  (see above)' if again else mark}"
    if again:
        return
    for number, parent in enumerate(parents := node.parents, start=1):
        last = number == len(parents)
        yield from _tree_lines(
            story, parent, below + ("└─ " if last else "├─ "), below + ("   " if last else "│  "), seen
        )
    for source in _source_facts(node):
        yield f"{below}└─ source: {source}"


def _source_facts(node: Node) -> list[str]:
    """One line per account that read files from outside, else what the snapshot noted of its source."""
    facts = [f"{len(a.sources)} files named in receipt {short(a.id)}" for a in node.accounts if a.sources]
    if not node.parents and node.snapshot and "parts.json" in node.snapshot.files and not node.fault:
        notes = node.snapshot.read_json("parts.json")
        size = sum(part["bytes"] for part in notes["parts"])
        facts.append(f"{notes['origin']}, {len(notes['parts'])} files, {size:,} bytes, licence {notes['licence']}")
    return facts


def _foundation_lines(story: Story) -> Iterator[str]:
    """Commit, environment, preset and config: each distinct one once, the root's own config in full."""
    accounts = [account for node in story.nodes.values() for account in node.accounts]
    for fact in dict.fromkeys(_code_fact(account) for account in accounts):
        yield f"code         {fact}"
    for fact in dict.fromkeys(_environment_fact(account) for account in accounts):
        yield f"environment  {fact}"
    for fact in dict.fromkeys(_wish(account) for account in accounts if account.requested):
        yield f"asked        {fact}"
    for account in story.nodes[story.root].accounts[-1:]:
        for name, value in account.config.items():
            yield f"config       {name} = {value}"


def _wish(account: Provenance) -> str:
    overrides = ", ".join(f"{k}={v!r}" for k, v in account.requested.get("overrides", {}).items())
    return f"{account.stage}: preset {account.requested.get('preset')}  {overrides}".rstrip()


def _code_fact(account: Provenance) -> str:
    moved = f"; at the end another: {', '.join(f'{k} {v}' for k, v in account.ended.items())}" if account.ended else ""
    if account.commit is None:
        return f"no git checkout, sources {short(account.diff)}{moved}"
    state = f"modified: diff {short(account.diff)}" if account.dirty else "clean"
    return f"commit {account.commit}, {state}{moved}"


def _environment_fact(account: Provenance) -> str:
    facts = account.environment
    packages = f"{facts.get('packages')} packages, lock {short(account.lock)}"
    return f"{facts.get('platform')} python {facts.get('python')}, {packages}"


def _node_document(node: Node) -> dict[str, Any]:
    return {
        "id": node.id,
        "kind": node.kind,
        "ok": node.fault is None,
        "fault": fault_document(node.fault) if node.fault else None,
        "files": {name: dict(entry) for name, entry in node.snapshot.files.items()} if node.snapshot else {},
        "parents": node.parents,
        "sources": _source_parts(node),
        "accounts": [_account_document(account) for account in node.accounts],
    }


def _source_parts(node: Node) -> list[dict[str, Any]]:
    if not node.parents and node.snapshot and "parts.json" in node.snapshot.files and not node.fault:
        return node.snapshot.read_json("parts.json")["parts"]
    return []


def _account_document(account: Provenance) -> dict[str, Any]:
    return {
        "receipt": account.id,
        "stage": account.stage,
        "config": account.config,
        "arguments": account.arguments,
        "requested": account.requested,
        "seeds": account.seeds,
        "code_version": account.code_version,
        "commit": account.commit,
        "dirty": account.dirty,
        "diff": account.diff,
        "environment": account.environment,
        "ended": account.ended,
        "started": account.started,
        "finished": account.finished,
    }
