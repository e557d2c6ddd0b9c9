"""The asset factory: one Dagster asset per declared stage, of every domain and every recipe."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg

from assets_data.lineage import Snapshot, Store
from assets_data.lineage.receipts.code import code_version
from assets_data.stage import Stage, load
from pipeline_defs.catalogue import Catalogue
from pipeline_defs.dagster.figures import recipe_metadata
from pipeline_defs.dagster.metadata import describe, picture, published
from pipeline_defs.dagster.partitions import domain_slices, set_name
from pipeline_defs.dagster.resources import StoreResource
from pipeline_defs.dagster.stage_config import StageConfig, describe_fields, resolved
from pipeline_defs.inputs import read_inputs


def stage_assets(catalogue: Catalogue) -> list[dg.AssetsDefinition]:
    """The assets of all stages but those that are made on request only."""
    return [_asset(catalogue, stage) for stage in catalogue.stages.values() if not stage.on_request]


def _asset(catalogue: Catalogue, stage: Stage) -> dg.AssetsDefinition:
    domain = catalogue.sliced_by(stage)
    decorate = dg.asset(
        key=dg.AssetKey([stage.owner, stage.name]),
        group_name=stage.owner,
        partitions_def=domain_slices(domain) if domain else None,
        deps=[dg.AssetKey(given.kind.split("/")) for given in stage.inputs.values()],
        kinds=set(stage.tags),
        code_version=code_version(*stage.code),
        pool=stage.pool or None,
        description=f"{stage.says}\n\n{describe_fields(stage)}".strip(),
    )

    def configured(
        context: dg.AssetExecutionContext, store: StoreResource, config: StageConfig
    ) -> dg.MaterializeResult[Snapshot]:
        return _materialize(catalogue, stage, context, store, config)

    def plain(context: dg.AssetExecutionContext, store: StoreResource) -> dg.MaterializeResult[Snapshot]:
        return _materialize(catalogue, stage, context, store, None)

    return decorate(plain if stage.presets is None else configured)


def _materialize(
    catalogue: Catalogue,
    stage: Stage,
    context: dg.AssetExecutionContext,
    resource: StoreResource,
    config: StageConfig | None,
) -> dg.MaterializeResult[Snapshot]:
    """Read the stage's inputs, make its snapshot, and say what was made."""
    slice_name = context.partition_key if stage.sliced else ""
    if stage.source and stage.sliced:
        context.instance.add_dynamic_partitions(set_name(stage.owner), [slice_name])
    made = make_stage(catalogue, stage, context.instance, resource, config, slice_name)
    for name, given in made.inputs.items():
        if isinstance(given, Snapshot):
            context.log.info(f"read {name}: {given.kind} {given.id}")
    return published(made.snapshot, made.metadata)


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
    config: StageConfig | None,
    slice_name: str,
) -> Made:
    """Read a stage's inputs and make its snapshot, of one slice or (empty) whole; no name is moved to it yet."""
    asked, full = resolved(stage, config) if config else (None, None)
    store = resource.open(asked)
    many = [catalogue.stage(given.kind) for given in stage.inputs.values() if given.many]
    wanted = {domain.name for read in many if (domain := catalogue.sliced_by(read))}
    slices = {name for domain in wanted for name in resource.slices(domain, instance)}
    inputs = read_inputs(store, catalogue, stage, slice_name, slices)
    snapshot = stage.call(store, inputs, full, slice_name)
    return Made(snapshot, inputs, store, {**_figures(stage, store, snapshot), **describe(snapshot)})


def _figures(stage: Stage, store: Store, snapshot: Snapshot) -> dict[str, dg.MetadataValue]:
    drawn = load(stage.figures)(snapshot) if stage.figures else {}
    shown: dict[str, dg.MetadataValue] = {title: picture(png, title) for title, png in drawn.items()}
    return shown | recipe_metadata(stage, store, snapshot)
