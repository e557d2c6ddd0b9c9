"""Whether receipts are enough: every snapshot made again from them alone, in an empty store, has its id."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from assets_data.lineage import Store
from assets_data.lineage.queries.tree import load_tree
from pipeline_defs.answers.rebuild import rebuild_nodes


def replay_problems(store: Store, target: Store, names: Iterable[str]) -> Iterator[str]:
    """Snapshots among ``names``, and all their ancestors, that come out as another one in ``target``, and why."""
    pointed = {name: (store.pointer(name) or {})["snapshot"] for name in names}
    tree = load_tree(store, pointed.values())
    above = {parent for node in tree.values() for parent in node.parents}
    for key in dict.fromkeys(key for key in pointed.values() if key not in above):
        for step in rebuild_nodes(store, target, key):
            if not step["same"]:
                yield f"{step['kind']}: replayed from its receipt it differs in {step['parts']}"
