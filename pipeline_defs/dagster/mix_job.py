"""The mix as a Dagster job, beside the chain: it runs when somebody asks, and says in the asset catalogue what it made.

Not an asset of the graph: materialising everything must not copy every row once more.
"""

import dagster as dg
from pydantic import Field

from assets_data.domains.text.mix import PRESETS
from assets_data.lineage import Snapshot
from pipeline_defs.commands.mix import adopt_mix, mix_sources
from pipeline_defs.dagster.metadata import describe
from pipeline_defs.dagster.resources import StoreResource
from pipeline_defs.dagster.stage_config import StageConfig, describe_fields


class MixRunConfig(StageConfig):
    """Settings of the mix, its sources, and what is to become of it."""

    sources: dict[str, list[str]] = Field(
        default={},
        description="Source name to names or ids of triples, mixes or manifests; empty: slices grouped by name.",
    )
    dataset: bool = Field(
        default=False,
        description="Let text/dataset_manifest stand for the mix, so that recipes train on it until it is made again.",
    )


@dg.op(
    name="mix_triples",
    description=(
        "Rows of several sources in exact shares, interleaved by keys, as one set of triples; its receipt names every "
        f"source.\n\n{describe_fields(PRESETS)}"
    ),
)
def mix_op(context: dg.OpExecutionContext, store: StoreResource, config: MixRunConfig) -> None:
    snapshot = mix_sources(store.open(config), config.sources, config.resolve(PRESETS))
    context.log_event(_materialised("mix", snapshot))
    if config.dataset:
        context.log_event(_materialised("dataset_manifest", adopt_mix(store.open(), snapshot)))


@dg.job(name="mix", description="Mix triples by weights and quotas; optionally train on the result from then on.")
def mix_job() -> None:
    mix_op()


def _materialised(asset: str, snapshot: Snapshot) -> dg.AssetMaterialization:
    return dg.AssetMaterialization(
        asset_key=["text", asset], metadata=describe(snapshot), tags={"dagster/data_version": snapshot.id}
    )


JOBS = [mix_job]
