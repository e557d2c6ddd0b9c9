"""One Dagster run for many slices: what ``stemma run`` starts for the sliced stages of a chain.

A run per slice costs Dagster more than a small slice is worth, so slices go through in one run, one after the other,
each through all of the stages before the next begins. Every snapshot is its own materialisation event with its slice,
versions and metadata, and every check its own evaluation: the catalogue shows them as it shows those of a backfill. The
run's config names the slices by the digest of a set in the store. The first failure ends the run; what was made stays.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

import dagster as dg
from pydantic import Field

from assets_data.lineage.storage.look import one_look
from assets_data.stage import Stage
from pipeline_defs.catalogue import Catalogue
from pipeline_defs.dagster.checks import evaluation
from pipeline_defs.dagster.made import make_stage, materialization
from pipeline_defs.dagster.resources import StoreResource
from pipeline_defs.dagster.stage_config import StageConfig
from pipeline_defs.dagster.storage import stored_together
from pipeline_defs.inputs import point, read_slice_set

JOB, OP = "make_slices", "slices"
SLICES_A_RUN = 500
"""Enough that a run's own cost (a second) does not count; few enough that its page in the UI can be read."""
SAID_EVERY = 20  # slices between two lines of the run's log on how far it came

Event = dg.AssetMaterialization | dg.AssetCheckEvaluation


class SlicesConfig(dg.Config):
    """Which stages are made, parents first, for which slices."""

    stages: dict[str, dict[str, Any]] = Field(description="Kind of each stage to its preset and overrides, if any.")
    slices: str = Field(description="Digest of the set of slices to make, as `stemma run` wrote it to the store.")
    domain: str = Field(description="The domain of the slices.")


class CheckFailed(Exception):
    """A blocking check of one slice failed; the message names it."""


def slices_job(catalogue: Catalogue) -> dg.JobDefinition:
    """The job; its one op makes every stage of every slice."""

    @dg.op(name=OP, out={}, description="Makes the stages of its config for every slice of its set.")
    def make(context: dg.OpExecutionContext, store: StoreResource, config: SlicesConfig):
        stages = [catalogue.stage(kind) for kind in config.stages]
        names = read_slice_set(store.open(), config.slices)[config.domain]
        with one_look():
            for number, name in enumerate(names, 1):
                made = (_events(catalogue, stage, context, store, config.stages[stage.kind], name) for stage in stages)
                yield from _at_once(context.instance, chain.from_iterable(made))
                if number % SAID_EVERY == 0:
                    context.log.debug(f"{number} of {len(names)}: {name}")

    @dg.job(name=JOB, description="Many slices in one run: what `stemma run` starts. Needs a set that it wrote.")
    def job() -> None:
        make()

    return job


def _at_once(instance: dg.DagsterInstance, events: Iterable[Event]) -> Iterator[Event]:
    """The events of a slice, held back until its last stage was made and then stored together. What made them may fail:
    the events before that are stored, and then it is raised.
    """
    held, failed = list[Event](), None
    try:
        for event in events:
            held.append(event)
    except Exception as error:
        failed = error
    with stored_together(instance):
        yield from held
    if failed:
        raise failed


def _events(
    catalogue: Catalogue,
    stage: Stage,
    context: dg.OpExecutionContext,
    resource: StoreResource,
    asked: Mapping[str, Any],
    slice_name: str,
) -> Iterator[Event]:
    """Make one stage of one slice, and check it. Raises what the stage raises, and CheckFailed."""
    config = None if stage.presets is None else StageConfig(**asked)
    made = make_stage(catalogue, stage, context.instance, resource, config, slice_name)
    point(made.store, stage, slice_name, made.snapshot)
    yield materialization(stage, made, slice_name)
    shelf = resource.open()
    for check in stage.every_check:
        told = evaluation(check, shelf, stage, slice_name)
        yield told
        if not told.passed and told.severity == dg.AssetCheckSeverity.ERROR:
            why = told.description or "see its metadata"
            raise CheckFailed(f"{stage.kind}:{check.name} failed for {slice_name}: {why}")
