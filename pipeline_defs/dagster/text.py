"""The text domain as assets: raw slice, tokenizer, triples, walk corpus, manifest. One call into a room each."""

import dagster as dg

from assets_data.domains.text.config import PRESETS as TEXT
from assets_data.domains.text.walks.config import PRESETS as WALKS
from assets_data.lineage import Snapshot
from assets_data.lineage.receipts.code import code_version
from assets_data.sources.config import PRESETS as SOURCES
from pipeline_defs.dagster.metadata import picture, published
from pipeline_defs.dagster.partitions import slices
from pipeline_defs.dagster.resources import StoreResource
from pipeline_defs.dagster.stage_config import StageConfig, describe_fields

GROUP = "text"


@dg.asset(
    key_prefix=GROUP,
    group_name=GROUP,
    partitions_def=slices,
    kinds={"parquet"},
    code_version=code_version("assets_data.domains.text.raw_slice"),
    description=f"One slice of the source, as compressed records with ids and origins.\n\n{describe_fields(SOURCES)}",
)
def raw_slice(
    context: dg.AssetExecutionContext, store: StoreResource, config: StageConfig
) -> dg.MaterializeResult[Snapshot]:
    from assets_data.domains.text.raw_slice import make_raw_slice

    context.instance.add_dynamic_partitions(slices.name or "", [context.partition_key])
    return published(make_raw_slice(store.open(config), context.partition_key, config.resolve(SOURCES)))


@dg.asset(
    key_prefix=GROUP,
    group_name=GROUP,
    ins={"raw": dg.AssetIn([GROUP, "raw_slice"])},
    kinds={"tokenizers"},
    code_version=code_version("assets_data.domains.text.tokenizer"),
    description=(
        "Byte-level BPE over the training split of the slices at hand, trained once and pinned from then on; "
        f"`retrain` is the explicit way to another one.\n\n{describe_fields(TEXT)}"
    ),
)
def tokenizer(store: StoreResource, raw: dict[str, Snapshot], config: StageConfig) -> dg.MaterializeResult[Snapshot]:
    from assets_data.domains.text.tokenizer import make_tokenizer

    return published(make_tokenizer(store.open(config), list(raw.values()), config.resolve(TEXT)))


@dg.asset(
    key_prefix=GROUP,
    group_name=GROUP,
    ins={"raw": dg.AssetIn([GROUP, "raw_slice"])},
    kinds={"polars", "parquet"},
    code_version=code_version("assets_data.domains.text.duplicates"),
    description=(
        "Which record owns a text over all slices, and which are left out in its favour. A slice's triples depend on "
        f"its own list alone.\n\n{describe_fields(TEXT)}"
    ),
)
def duplicates(store: StoreResource, raw: dict[str, Snapshot], config: StageConfig) -> dg.MaterializeResult[Snapshot]:
    from assets_data.domains.text.duplicates import make_duplicates

    return published(make_duplicates(store.open(config), raw, config.resolve(TEXT)))


@dg.asset(
    key_prefix=GROUP,
    group_name=GROUP,
    partitions_def=slices,
    ins={"raw": dg.AssetIn([GROUP, "raw_slice"])},
    kinds={"polars", "arrow"},
    code_version=code_version("assets_data.domains.text.triples"),
    description=(
        "Cleaned, deduplicated, tokenized windows as leak-free (encoder, decoder, labels) views, split by document."
        f"\n\n{describe_fields(TEXT)}"
    ),
)
def triples(
    store: StoreResource, raw: Snapshot, tokenizer: Snapshot, duplicates: Snapshot, config: StageConfig
) -> dg.MaterializeResult[Snapshot]:
    from assets_data.domains.text.triples import make_triples

    return published(make_triples(store.open(config), raw, tokenizer, config.resolve(TEXT), duplicates))


@dg.asset(
    key_prefix=GROUP,
    group_name=GROUP,
    kinds={"numba", "arrow"},
    code_version=code_version("assets_data.domains.text.walks.corpus"),
    description=(
        "Exact random walks with planted long-range rules over the token-transition graph of all slices."
        f"\n\n{describe_fields(WALKS)}"
    ),
)
def walk_corpus(
    store: StoreResource, triples: dict[str, Snapshot], tokenizer: Snapshot, config: StageConfig
) -> dg.MaterializeResult[Snapshot]:
    from assets_data.domains.text.walks.corpus import make_walk_corpus

    return published(make_walk_corpus(store.open(config), list(triples.values()), tokenizer, config.resolve(WALKS)))


@dg.asset(
    key_prefix=GROUP,
    group_name=GROUP,
    kinds={"json"},
    code_version=code_version("assets_data.domains.text.manifest"),
    description="One id over the tokenizer, every slice's triples and the walk corpus; what a recipe trains on.",
)
def dataset_manifest(
    store: StoreResource, triples: dict[str, Snapshot], tokenizer: Snapshot, walk_corpus: Snapshot
) -> dg.MaterializeResult[Snapshot]:
    from assets_data.domains.text.manifest import make_dataset_manifest

    return published(make_dataset_manifest(store.open(), triples, tokenizer, walk_corpus))


@dg.asset(
    key_prefix=GROUP,
    group_name=GROUP,
    ins={"raw": dg.AssetIn([GROUP, "raw_slice"])},
    kinds={"polars", "matplotlib"},
    code_version=code_version("assets_data.domains.text.quality_summary"),
    description="Lengths, drop reasons and tokens per document, per slice and in total, as tables and pictures.",
)
def quality_summary(
    store: StoreResource, raw: dict[str, Snapshot], triples: dict[str, Snapshot]
) -> dg.MaterializeResult[Snapshot]:
    from assets_data.domains.text.quality_summary import make_quality_summary
    from pipeline_defs.dagster.plots import quality_figure

    summary = make_quality_summary(store.open(), raw, triples)
    return published(summary, quality=picture(quality_figure(summary), "lengths and drop reasons"))


ASSETS = [raw_slice, tokenizer, duplicates, triples, walk_corpus, dataset_manifest, quality_summary]
