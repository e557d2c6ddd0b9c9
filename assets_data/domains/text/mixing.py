"""Mixing on request: sources by name, the mix itself, and whether recipes are to train on it from now on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from assets_data.documents import read_layout, read_manifest
from assets_data.domains.text.read import TriplesLayout
from assets_data.lineage import DataError, Snapshot, Store


def mix_job(
    store: Store, config: Any, sources: Mapping[str, Sequence[str]] | None = None, dataset: bool = False
) -> dict[str, Snapshot]:
    """Make the mix, let ``text/mix`` stand for it and, with ``dataset``, ``text/dataset_manifest`` for its manifest."""
    mix = mix_sources(store, sources or {}, config)
    made = {"text/mix": mix}
    return {**made, "text/dataset_manifest": adopt_mix(store, mix)} if dataset else made


def find_sources(store: Store, nodes: Mapping[str, Sequence[str]]) -> dict[str, list[Snapshot]]:
    """The verified snapshots of each source. Without ``nodes``: the triples that the dataset manifest at hand names,
    grouped by what is before the last dash of a slice's name (``stdlib-0`` belongs to ``stdlib``).

    Raises DataError STORE_NOTHING_THERE, or MIX_SOURCES where a node has no place in a mix.
    """
    if not nodes:
        members = read_manifest(store.pointed("text/dataset_manifest"))["members"]["triples"]
        grouped: dict[str, list[str]] = defaultdict(list)
        for name, member in members.items():
            grouped[name.rpartition("-")[0] or name].append(member)
        nodes = grouped
    return {name: [_find(store, node) for node in group] for name, group in nodes.items()}


def mix_sources(store: Store, nodes: Mapping[str, Sequence[str]], config: Any) -> Snapshot:
    """Make the mix and let ``text/mix`` stand for it."""
    from assets_data.domains.text.mix import make_mix

    snapshot = make_mix(store, find_sources(store, nodes), config)
    store.point("text/mix", snapshot)
    return snapshot


def adopt_mix(store: Store, mix: Snapshot) -> Snapshot:
    """The dataset manifest over the mix; ``text/dataset_manifest`` stands for it now."""
    from assets_data.domains.text.manifest import make_dataset_manifest

    tokenizer = store.snapshot(read_layout(mix, TriplesLayout)["tokenizer"])
    manifest = make_dataset_manifest(store, {"mix": mix}, tokenizer)
    store.point("text/dataset_manifest", manifest)
    return manifest


def named_sources(settings: Sequence[str]) -> dict[str, list[str]]:
    """``NAME=NODE[,NODE]`` settings by name; a name given twice gathers all its nodes. Raises DataError MIX_SOURCES."""
    nodes: dict[str, list[str]] = defaultdict(list)
    for setting in settings:
        name, equals, group = setting.partition("=")
        if not (name and equals and all(group.split(","))):
            raise DataError("MIX_SOURCES", "a source is NAME=NODE[,NODE]", found=setting)
        nodes[name] += group.split(",")
    return dict(nodes)


def _find(store: Store, node: str) -> Snapshot:
    return store.snapshot(node) if node.startswith("sha256:") else store.pointed(node)
