"""Work on request as Dagster jobs, beside the graph: what is made appears in the asset catalogue as it is made."""

import dagster as dg
from pydantic import Field, create_model

from assets_data.domain import Domain, Job
from assets_data.lineage import resolve
from assets_data.lineage.queries.explain import explain
from assets_data.lineage.queries.tree import load_tree
from assets_data.stage import load
from pipeline_defs.answers.explain import EVIDENCE
from pipeline_defs.catalogue import Catalogue
from pipeline_defs.dagster.metadata import describe
from pipeline_defs.dagster.resources import StoreResource
from pipeline_defs.dagster.stage_config import StageConfig


@dg.op(description="Hashes every node that a name stands for, with all its ancestors; fails where one is broken.")
def verify_nodes(context: dg.OpExecutionContext, store: StoreResource) -> None:
    """Whole trees of the nodes from which no other named one descends."""
    opened = store.open()
    ids = {entry["snapshot"] for name in opened.all_names() if (entry := opened.pointer(name))}
    below = {parent for node in load_tree(opened, sorted(ids)).values() for parent in node.parents}
    roots = sorted(ids - below)
    broken: list[str] = []
    for snapshot_id in roots:
        tree = explain(opened, snapshot_id, evidence=EVIDENCE)
        if tree.broken is not None:
            broken.append(f"{tree.broken.kind} {tree.broken.id}: {tree.broken.fault}")
        context.log.info(f"{snapshot_id}: {len(tree.nodes)} nodes, {tree.hashed_bytes:,} bytes hashed")
    if broken:
        raise dg.Failure(f"{len(broken)} of {len(roots)} trees are broken: {'; '.join(broken)}")


@dg.job(
    name="verify_everything", description="Every byte and receipt in the lineage of a name of the store, hashed again."
)
def verify_everything() -> None:
    """As ``stemma explain`` of every name."""
    verify_nodes()


def requested_jobs(catalogue: Catalogue) -> list[dg.JobDefinition]:
    """A job for everything that a domain does on request."""
    return [_job(domain, job) for domain in catalogue.domains.values() for job in domain.jobs]


def _job(domain: Domain, job: Job) -> dg.JobDefinition:
    fields = {
        name: (kind, Field(default=default, description=says)) for name, (kind, default, says) in job.fields.items()
    }
    config_type = create_model(f"{job.name.title()}Config", __base__=StageConfig, **fields)  # type: ignore[call-overload]

    def work(context: dg.OpExecutionContext, store: StoreResource, config) -> None:
        preset = config.preset or next(iter(job.presets))
        asked = StageConfig(preset=preset, overrides=config.overrides)
        chosen = {name: getattr(config, name) for name in job.fields}
        made = load(job.run)(store.open(asked), resolve(job.presets, preset, config.overrides), **chosen)
        for name, snapshot in made.items():
            context.log_event(
                dg.AssetMaterialization(
                    asset_key=name.split("/"), metadata=describe(snapshot), tags={"dagster/data_version": snapshot.id}
                )
            )

    work.__annotations__["config"] = config_type
    op = dg.op(name=f"{domain.name}_{job.name}_work", description=job.says)(work)

    @dg.job(name=job.name, description=job.says)
    def made_job() -> None:
        op()

    return made_job
