"""``<domain>_dataset``: from slices that are made to the dataset, and whatever else the recipes on it read.

Stages over all slices and stages of one slice take turns, each reading what the other made, so this job's one step
starts a run of its own for each turn, in its process: those runs carry its chain tag. What is up to date is not run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg
from pydantic import Field

from assets_data.stage import Stage
from pipeline_defs.catalogue import Catalogue
from pipeline_defs.dagster import tags
from pipeline_defs.dagster.resources import StoreResource
from pipeline_defs.home import stemma_root
from pipeline_defs.locks import ROOT_LOCK, hold
from pipeline_defs.operations import operations


class DatasetConfig(dg.Config):
    """Which slices make up the whole."""

    slices: list[str] = Field(default=[], description="Names of made slices; none: every one that is made.")


def dataset_jobs(known: Catalogue) -> list[dg.JobDefinition]:
    """One for each domain."""
    return [_job(known, domain) for domain in known.domains]


def dataset_job(domain: str) -> str:
    """The job's name."""
    return f"{domain}_dataset"


def dataset_op(domain: str) -> str:
    """The name of its one op, for run config."""
    return f"make_{domain}_dataset"


def data_stages(known: Catalogue, domain: str) -> list[Stage]:
    """All that lies between a domain's source and the recipes that retrain by themselves, parents first."""
    chosen = operations().recipes or known.recipes
    wanted = [known.domains[domain].manifest, *(f"{recipe}/preflight_report" for recipe in chosen)]
    stages = known.above(wanted)
    sliced = {stage.owner for stage in stages if stage.sliced}
    own = [s for s in stages if s.owner == domain or (s.owner in known.recipes and s.owner in sliced and s.sliced)]
    return [stage for stage in own if not stage.source]


def _job(known: Catalogue, domain: str) -> dg.JobDefinition:
    says = f"Makes the dataset of {domain} from its slices, and what the recipes on it read besides."

    def work(context: dg.OpExecutionContext, store: StoreResource, config: DatasetConfig) -> None:
        make_dataset(context, known, domain, config.slices)

    work.__annotations__.update(context=dg.OpExecutionContext, store=StoreResource, config=DatasetConfig)
    op = dg.op(name=dataset_op(domain), description=says)(work)

    @dg.job(name=dataset_job(domain), description=says)
    def made_job() -> None:
        op()

    return made_job


def make_dataset(context: dg.OpExecutionContext, known: Catalogue, domain: str, slices: list[str]) -> None:
    """Run every stage of the dataset that is not up to date. Raises ChainFailure with the first failing step."""
    from pipeline_defs.commands.chain import plan_stages, run_chain  # which need the code location, and are it

    store = StoreResource().open()
    whole = slices or store.names(known.domains[domain].source.kind)
    kinds = {stage.kind for stage in data_stages(known, domain)}
    settings: Mapping[str, Any] = operations().settings
    chain = plan_stages(domain, sorted(kinds), operations().preset, settings, kinds, context.run.tags.get(tags.CHAIN))
    with hold(stemma_root() / ROOT_LOCK, f"run {context.run_id[:8]} of {context.job_name}", say=context.log.info):
        run_chain(context.instance, chain, {domain: whole})
    context.log.info(f"the dataset of {domain} is made of {len(whole)} slices")
