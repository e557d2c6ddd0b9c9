"""The asset factory: one Dagster asset per declared stage, of every domain and every recipe."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg

from assets_data.domain import MANIFEST
from assets_data.lineage import Snapshot, Store
from assets_data.lineage.receipts.code import code_version
from assets_data.stage import Stage, load
from pipeline_defs.catalogue import Catalogue
from pipeline_defs.dagster import tags
from pipeline_defs.dagster.catalogued import asset_tags, definition_metadata, drawn_parents, owners
from pipeline_defs.dagster.figures import recipe_metadata
from pipeline_defs.dagster.launching import train_in_job
from pipeline_defs.dagster.metadata import describe, picture, published
from pipeline_defs.dagster.names import asset_key
from pipeline_defs.dagster.own import WITHDRAWN, made_by, note_made
from pipeline_defs.dagster.partitions import domain_slices, set_name
from pipeline_defs.dagster.resources import StoreResource
from pipeline_defs.dagster.stage_config import config_of, describe_presets, resolved
from pipeline_defs.inputs import Own, read_inputs, stage_name
from training.recipe import is_training

NONE = (None, None)


def stage_assets(catalogue: Catalogue) -> list[dg.AssetsDefinition]:
    """The assets of all stages but those that are made on request only."""
    return [_asset(catalogue, stage) for stage in catalogue.stages.values() if not stage.on_request]


def _asset(catalogue: Catalogue, stage: Stage) -> dg.AssetsDefinition:
    domain = catalogue.sliced_by(stage)
    decorate = dg.asset(
        key=asset_key(stage.kind),
        group_name=stage.owner,
        partitions_def=domain_slices(domain) if domain else None,
        deps=[asset_key(kind) for kind in drawn_parents(catalogue, stage)],
        kinds=set(stage.tags),
        owners=owners(stage),
        tags=asset_tags(stage),
        code_version=code_version(*stage.code),
        pool=stage.pool or None,
        description=f"{stage.says}\n\n{describe_presets(stage)}".strip(),
        metadata=definition_metadata(stage),
    )

    def configured(context: dg.AssetExecutionContext, store: StoreResource, config) -> dg.MaterializeResult[Snapshot]:
        return _materialize(catalogue, stage, context, store, config)

    def plain(context: dg.AssetExecutionContext, store: StoreResource) -> dg.MaterializeResult[Snapshot]:
        return _materialize(catalogue, stage, context, store, None)

    if stage.presets is None:
        return decorate(plain)
    configured.__annotations__["config"] = config_of(stage)
    return decorate(configured)


def _materialize(
    catalogue: Catalogue,
    stage: Stage,
    context: dg.AssetExecutionContext,
    resource: StoreResource,
    config: Any,
) -> dg.MaterializeResult[Snapshot]:
    """Read the stage's inputs, make its snapshot, and say what was made."""
    slice_name = context.partition_key if stage.sliced else ""
    if stage.source and stage.sliced:
        context.instance.add_dynamic_partitions(set_name(stage.owner), [slice_name])
    withdrawn = len(resource.open().withdrawn)
    own = made_by(context.instance, context.run, withdrawn)
    made = make_stage(catalogue, stage, context.instance, resource, config, slice_name, own)
    note_made(context.instance, context.run, stage_name(stage, slice_name), made.snapshot, withdrawn)
    for name, given in made.inputs.items():
        if isinstance(given, Snapshot):
            context.log.info(f"read {name}: {given.kind} {given.id}")
    tag_manifest(context, made.inputs)
    return published(made.snapshot, made.metadata | ({WITHDRAWN: withdrawn} if withdrawn else {}))


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
    inputs = read_inputs(store, catalogue, stage, slice_name, slices, own)
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


def tag_manifest(context: dg.AssetExecutionContext, inputs: Mapping[str, Any]) -> None:
    """The id of the dataset that a recipe's stage really reads, on its run: what was known before may have moved."""
    ids = [given.id for given in inputs.values() if isinstance(given, Snapshot) and given.kind.endswith(f"/{MANIFEST}")]
    if ids and context.run.tags.get(tags.MANIFEST) != ids[0]:
        context.instance.add_run_tags(context.run.run_id, {tags.MANIFEST: ids[0]})


def _figures(stage: Stage, store: Store, snapshot: Snapshot) -> dict[str, dg.MetadataValue]:
    drawn = load(stage.figures)(snapshot) if stage.figures else {}
    shown: dict[str, dg.MetadataValue] = {title: picture(png, title) for title, png in drawn.items()}
    return shown | recipe_metadata(stage, store, snapshot)
