"""The asset factory: one Dagster asset per declared stage, of every domain and every recipe."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import dagster as dg
from dagster._core.definitions.source_asset import SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION

from assets_data.domain import MANIFEST
from assets_data.lineage import Snapshot
from assets_data.lineage.receipts.code import code_version
from assets_data.lineage.storage.look import one_look
from assets_data.stage import Stage
from pipeline_defs.catalogue import Catalogue
from pipeline_defs.dagster import tags
from pipeline_defs.dagster.catalogued import asset_tags, definition_metadata, drawn_parents, owners
from pipeline_defs.dagster.made import Made, make_stage, materialization
from pipeline_defs.dagster.metadata import published
from pipeline_defs.dagster.names import asset_key
from pipeline_defs.dagster.own import WITHDRAWN, made_by, note_made
from pipeline_defs.dagster.partitions import domain_slices, set_name
from pipeline_defs.dagster.resources import StoreResource
from pipeline_defs.dagster.stage_config import config_of, describe_presets
from pipeline_defs.inputs import point, stage_name
from pipeline_defs.operations import operations

SAID_ALREADY = {SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION: True}
"""Of an output whose materialisations are written: Dagster writes none, where it would give all slices one version."""
SHOWN = 20  # slices that failed


class SlicesFailed(Exception):
    """Some slices of a run of many failed; the message has the first of them, each with its own error."""

    def __init__(self, failed: Mapping[str, Exception], of: int) -> None:
        lines = [f"{name}: {error}" for name, error in itertools.islice(failed.items(), SHOWN)]
        more = [f"and {len(failed) - SHOWN} more"] if len(failed) > SHOWN else []
        super().__init__("\n".join([f"{len(failed)} of {of} slices failed, the others were made:", *lines, *more]))


def stage_assets(catalogue: Catalogue) -> list[dg.AssetsDefinition]:
    """The assets of all stages but those that are made on request only."""
    return [_asset(catalogue, stage) for stage in catalogue.stages.values() if not stage.on_request]


def _asset(catalogue: Catalogue, stage: Stage) -> dg.AssetsDefinition:
    domain, most = catalogue.sliced_by(stage), operations().slices_per_run
    decorate = dg.asset(
        key=asset_key(stage.kind),
        group_name=stage.owner,
        partitions_def=domain_slices(domain) if domain else None,
        backfill_policy=dg.BackfillPolicy.multi_run(most) if domain and most > 1 else None,
        deps=[asset_key(kind) for kind in drawn_parents(catalogue, stage)],
        kinds=set(stage.tags),
        owners=owners(stage),
        tags=asset_tags(stage),
        code_version=code_version(*stage.code),
        pool=stage.pool or None,
        description=f"{stage.says}\n\n{describe_presets(stage)}".strip(),
        metadata=definition_metadata(stage),
    )

    def configured(context: dg.AssetExecutionContext, store: StoreResource, config) -> Iterator[Any]:
        yield from _materialize(catalogue, stage, context, store, config)

    def plain(context: dg.AssetExecutionContext, store: StoreResource) -> Iterator[Any]:
        yield from _materialize(catalogue, stage, context, store, None)

    if stage.presets is None:
        return decorate(plain)
    configured.__annotations__["config"] = config_of(stage)
    return decorate(configured)


def _materialize(
    catalogue: Catalogue, stage: Stage, context: dg.AssetExecutionContext, resource: StoreResource, config: Any
) -> Iterator[dg.MaterializeResult | dg.AssetMaterialization]:
    """Read the stage's inputs, make its snapshot, and say what was made; in a run of many slices, of each.

    There a slice that fails stops no other. Raises SlicesFailed at the end.
    """
    make = partial(_make, catalogue, stage, context, resource, config)
    if not (stage.sliced and context.has_partition_key_range):
        made = make(context.partition_key if stage.sliced else "")
        yield published(made.snapshot, made.metadata)
        return
    failed: dict[str, Exception] = {}
    with one_look():
        for name in context.partition_keys:
            try:
                made = make(name)
            except Exception as error:
                context.log.error(f"{name}: {error}")
                failed[name] = error
            else:
                point(made.store, stage, name, made.snapshot)
                yield materialization(stage, made, name)
    if failed:
        raise SlicesFailed(failed, len(context.partition_keys)) from next(iter(failed.values()))
    yield dg.MaterializeResult(metadata=SAID_ALREADY)


def _make(
    catalogue: Catalogue,
    stage: Stage,
    context: dg.AssetExecutionContext,
    resource: StoreResource,
    config: Any,
    slice_name: str,
) -> Made:
    """Make the stage of one slice or (empty) whole, and note it as what this run made itself."""
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
    return replace(made, metadata=made.metadata | ({WITHDRAWN: withdrawn} if withdrawn else {}))


def tag_manifest(context: dg.AssetExecutionContext, inputs: Mapping[str, Any]) -> None:
    """The id of the dataset that a recipe's stage really reads, on its run: what was known before may have moved."""
    ids = [given.id for given in inputs.values() if isinstance(given, Snapshot) and given.kind.endswith(f"/{MANIFEST}")]
    if ids and context.run.tags.get(tags.MANIFEST) != ids[0]:
        context.instance.add_run_tags(context.run.run_id, {tags.MANIFEST: ids[0]})
