"""Making a stage's snapshot from what its inputs stand for now, and what Dagster is told of it."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster._core.definitions.data_version import (
    CODE_VERSION_TAG,
    DATA_VERSION_IS_USER_PROVIDED_TAG,
    DATA_VERSION_TAG,
    DEFAULT_DATA_VERSION,
    NULL_EVENT_POINTER,
    get_input_data_version_tag,
    get_input_event_pointer_tag,
)

from assets_data.lineage import Snapshot, Store
from assets_data.lineage.receipts.code import code_version
from assets_data.lineage.storage.look import rarely_collected
from assets_data.stage import Stage, load
from pipeline_defs.catalogue import Catalogue
from pipeline_defs.dagster.figures import recipe_metadata
from pipeline_defs.dagster.launching import train_in_job
from pipeline_defs.dagster.metadata import describe, picture
from pipeline_defs.dagster.names import asset_key
from pipeline_defs.dagster.resources import StoreResource
from pipeline_defs.dagster.stage_config import resolved
from pipeline_defs.inputs import Own, read_inputs
from training.recipe import is_training

NONE = (None, None)


@dataclass(frozen=True, slots=True)
class Made:
    """What a stage made, from what, in which store, and what Dagster shows of it."""

    snapshot: Snapshot
    inputs: Mapping[str, Any]
    store: Store
    metadata: dict[str, Any]


def make_stage(
    catalogue: Catalogue,
    stage: Stage,
    instance: dg.DagsterInstance,
    resource: StoreResource,
    config: Any,
    slice_name: str,
    own: Mapping[str, Own] | None = None,
) -> Made:
    """Read a stage's inputs and make its snapshot, of one slice or (empty) whole; no name is moved to it yet.

    ``own``: what the run made itself, see :func:`~pipeline_defs.inputs.read_inputs`.
    """
    asked, full = resolved(stage, config, recorded_source(catalogue, stage, resource, slice_name)) if config else NONE
    store = resource.open(asked)
    many = [catalogue.stage(given.kind) for given in stage.inputs.values() if given.many]
    wanted = {domain.name for read in many if (domain := catalogue.sliced_by(read))}
    slices = {name for domain in wanted for name in resource.slices(domain, instance)}
    with rarely_collected() if many else nullcontext():  # a training reads few snapshots, and its garbage may be large
        inputs = read_inputs(store.looking(), catalogue, stage, slice_name, slices, own)
        if resource.launcher != "inline" and is_training(stage):
            train_in_job(stage, store, inputs, resource.processes, resource.parallel, resource.launcher)
        snapshot = stage.call(store, inputs, full, slice_name)
    return Made(snapshot, inputs, store, {**_figures(stage, store, snapshot), **describe(snapshot)})


def recorded_source(catalogue: Catalogue, stage: Stage, resource: StoreResource, slice_name: str) -> dict[str, Any]:
    """The settings that a registered slice's own source was recorded with, for a run that names no source of its own.

    So a slice that a sensor registered is made from the UI or by a backfill without typing them.
    """
    domain = catalogue.domains.get(stage.owner)
    if not (stage.source and stage.sliced and domain and domain.recorded):
        return {}
    return load(domain.recorded)(resource.open(), slice_name)


def materialization(stage: Stage, made: Made, slice_name: str) -> dg.AssetMaterialization:
    """The event of one slice in a run of many, of which Dagster would write one and the same of all."""
    tags = _versions(stage, made.inputs, made.snapshot)
    return dg.AssetMaterialization(asset_key(stage.kind), partition=slice_name, metadata=made.metadata, tags=tags)


def _versions(stage: Stage, inputs: Mapping[str, Any], snapshot: Snapshot) -> dict[str, str]:
    """The tags by which Dagster tells stale from fresh, as it writes them itself for a run of one slice."""
    tags = {
        CODE_VERSION_TAG: code_version(*stage.code),
        DATA_VERSION_TAG: snapshot.id,
        DATA_VERSION_IS_USER_PROVIDED_TAG: "true",
    }
    for name, given in stage.inputs.items():
        key, read = asset_key(given.kind), inputs.get(name)
        version = read.id if isinstance(read, Snapshot) else DEFAULT_DATA_VERSION.value
        tags |= {get_input_data_version_tag(key): version, get_input_event_pointer_tag(key): NULL_EVENT_POINTER}
    return tags


def _figures(stage: Stage, store: Store, snapshot: Snapshot) -> dict[str, dg.MetadataValue]:
    drawn = load(stage.figures)(snapshot) if stage.figures else {}
    shown: dict[str, dg.MetadataValue] = {title: picture(png, title) for title, png in drawn.items()}
    return shown | recipe_metadata(stage, store, snapshot)
