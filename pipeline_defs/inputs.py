"""What a stage is given: the snapshots that its inputs stand for in a store now, and which slices are at hand."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from assets_data.lineage import DataError, Snapshot, Store
from assets_data.lineage.identity.digests import digest_json, load_json
from assets_data.lineage.storage import atomic
from assets_data.stage import Stage
from pipeline_defs.catalogue import Catalogue

FOLDER = "slice_sets"  # below the store's root


@dataclass(frozen=True, slots=True)
class Own:
    """What a run made itself: a snapshot's id, and the receipt of that making."""

    id: str
    receipt: Path | None


def read_inputs(
    store: Store,
    catalogue: Catalogue,
    stage: Stage,
    slice_name: str,
    slices: Collection[str],
    own: Mapping[str, Own] | None = None,
) -> dict[str, Any]:
    """The stage's inputs by name: a verified snapshot, or a mapping from slice name for all ``slices`` that are there.

    ``own`` is what the same run made, by published name: it stands for that name, whoever moved it since.
    Raises DataError STORE_NOTHING_THERE for a snapshot that was never published.
    """
    inputs: dict[str, Any] = {}
    for name, given in stage.inputs.items():
        if given.many:
            there = [key for key in store.names(given.kind) if key in slices]
            inputs[name] = {key: store.pointed(f"{given.kind}/{key}") for key in there}
        else:
            published = stage_name(catalogue.stage(given.kind), slice_name)
            made = (own or {}).get(published)
            inputs[name] = replace(store.snapshot(made.id), receipt=made.receipt) if made else store.pointed(published)
    return inputs


def stage_name(stage: Stage, slice_name: str) -> str:
    """The name that a stage's snapshot, of one slice or whole, is published under."""
    return f"{stage.kind}/{slice_name}" if stage.sliced else stage.kind


def point(store: Store, stage: Stage, slice_name: str, snapshot: Snapshot) -> None:
    """Let the stage's name stand for what it made."""
    store.point(stage_name(stage, slice_name), snapshot)


def write_slice_set(store: Store, slices: dict[str, list[str]]) -> str:
    """Keep which slices of each domain make up a whole; returns the digest that a run's config names."""
    digest = digest_json(slices)
    path = store.root / FOLDER / f"{digest.removeprefix('sha256:')}.json"
    if not path.is_file():
        atomic.write_json(path, slices)
    return digest


def read_slice_set(store: Store, digest: str) -> dict[str, list[str]]:
    """The slices of each domain again. Raises DataError SLICE_SET_UNKNOWN."""
    path = store.root / FOLDER / f"{digest.removeprefix('sha256:')}.json"
    if not path.is_file():
        raise DataError("SLICE_SET_UNKNOWN", "no such set of slices in this store", found=digest, where=path.parent)
    return load_json(path.read_bytes(), path)
