"""``stemma mix``: sources by name, the mix's settings, and whether recipes are to train on it from now on."""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from assets_data.lineage import Snapshot, Store


def add_parsers(commands: Any) -> None:
    """Add ``mix`` to the subparsers of ``stemma``."""
    parser = commands.add_parser("mix", help="mix triples of several sources by weights and quotas")
    parser.add_argument(
        "--source",
        action="append",
        default=[],
        metavar="NAME=NODE[,NODE]",
        help="triples, mixes or dataset manifests, by name or id; without any, slices are grouped by name",
    )
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=JSON", help='e.g. weights={"qa": 3}')
    parser.add_argument("--dataset", action="store_true", help="make it what text/dataset_manifest stands for")
    parser.set_defaults(command=_mix)


def find_sources(store: Store, nodes: Mapping[str, Sequence[str]]) -> dict[str, list[Snapshot]]:
    """The verified snapshots of each source. Without ``nodes``: the slices' triples, grouped by what is before the last
    dash of a slice's name (``stdlib-0`` belongs to ``stdlib``). Raises DataError STORE_NOTHING_THERE."""
    if not nodes:
        grouped: dict[str, list[str]] = defaultdict(list)
        for name in store.names("text/triples"):
            grouped[name.rpartition("-")[0] or name].append(f"text/triples/{name}")
        nodes = grouped
    return {name: [_find(store, node) for node in group] for name, group in nodes.items()}


def mix_sources(store: Store, nodes: Mapping[str, Sequence[str]], config: Any) -> Snapshot:
    """Make the mix and let ``text/mix`` stand for it."""
    from assets_data.domains.text.mix import make_mix

    snapshot = make_mix(store, find_sources(store, nodes), config)
    store.point("text/mix", snapshot)
    return snapshot


def adopt_mix(store: Store, mix: Snapshot) -> Snapshot:
    """The dataset manifest over the mix and the walk corpus at hand; ``text/dataset_manifest`` stands for it now."""
    from assets_data.domains.text.manifest import make_dataset_manifest

    tokenizer = store.snapshot(mix.read_json("layout.json")["tokenizer"])
    manifest = make_dataset_manifest(store, {"mix": mix}, tokenizer, store.pointed("text/walk_corpus"))
    store.point("text/dataset_manifest", manifest)
    return manifest


def _find(store: Store, node: str) -> Snapshot:
    return store.snapshot(node) if node.startswith("sha256:") else store.pointed(node)


def _mix(options: argparse.Namespace) -> int:
    from assets_data.domains.text.mix import PRESETS
    from assets_data.lineage import resolve
    from pipeline_defs.answers.nodes import default_store
    from pipeline_defs.commands.settings import parse_overrides

    nodes = {name: group.split(",") for name, _, group in (source.partition("=") for source in options.source)}
    overrides = parse_overrides(f"mix.{setting}" for setting in options.set).get("mix", {})
    store = Store(default_store().root, {"preset": "demo", "overrides": overrides})
    snapshot = mix_sources(store, nodes, resolve(PRESETS, "demo", overrides))
    print(f"text/mix  {snapshot.id}  {snapshot.content['splits']}")
    if options.dataset:
        print(f"text/dataset_manifest  {adopt_mix(store, snapshot).id}")
    return 0
