"""What stock Dagster calls stale on the worlds of ``lineage_status``: its own resolver over the records of its own runs.

Every stage is an asset with its code version, a sliced one partitioned by slice. Content that changes outside is, in
the reading most favourable to Dagster, an observable source of the stage's own, observed before the first run and at
every change; without it Dagster would see no change of content at all. Config is in none of its records.
"""

import dataclasses
from collections import defaultdict
from hashlib import sha256

from dagster import (
    AssetKey,
    AssetMaterialization,
    AssetObservation,
    AssetsDefinition,
    DagsterInstance,
    DataVersion,
    Definitions,
    EventLogRecord,
    SourceAsset,
    StaticPartitionsDefinition,
    asset,
    observable_source_asset,
)
from dagster._core.definitions.data_version import (
    CODE_VERSION_TAG,
    DATA_VERSION_IS_USER_PROVIDED_TAG,
    DATA_VERSION_TAG,
    SKIP_PARTITION_DATA_VERSION_DEPENDENCY_THRESHOLD,
    CachingStaleStatusResolver,
    StaleStatus,
    compute_logical_data_version,
    get_input_data_version_tag,
    get_input_event_pointer_tag,
)
from dagster._core.loader import LoadingContextForTest

from benchmarks.lineage_worlds import World


def statuses(world: World) -> dict[str, bool]:
    """Whether stock Dagster calls each name of ``world`` fresh; one never made is not."""
    with DagsterInstance.ephemeral() as instance:
        Records(instance, world).replay()
        graph = Definitions(assets=assets_of(world)).resolve_asset_graph()
        resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
        return {name: resolver.get_status(*address(name)) is StaleStatus.FRESH for name in world.reads}


def assets_of(world: World) -> list[AssetsDefinition | SourceAsset]:
    """The asset of every stage as it would be loaded now, and the observable source of its content."""
    made: list[AssetsDefinition | SourceAsset] = []
    for stage, names in stages_of(world).items():
        slices = StaticPartitionsDefinition([n.partition("/")[2] for n in names]) if "/" in names[0] else None

        @observable_source_asset(name=source_of(stage), partitions_def=slices)
        def content():
            return DataVersion("")

        @asset(name=stage, deps=parents_of(world, stage), code_version=world.code[names[0]], partitions_def=slices)
        def body() -> None: ...

        made += [content, body]
    return made


def address(name: str) -> tuple[AssetKey, str | None]:
    """The asset and the partition, None for a whole stage, that stand for ``name``."""
    stage, _, part = name.partition("/")
    return AssetKey(stage), part or None


def source_of(stage: str) -> str:
    return f"{stage}_content"


def stages_of(world: World) -> dict[str, list[str]]:
    stages = defaultdict(list)
    for name in world.reads:
        stages[name.partition("/")[0]].append(name)
    return stages


def parents_of(world: World, stage: str) -> list[str]:
    return [*world.reads[stages_of(world)[stage][0]], source_of(stage)]


class Records:
    """The events that Dagster's execution would have left of a world's history."""

    def __init__(self, instance: DagsterInstance, world: World) -> None:
        self.instance = instance
        self.world = world
        self.content: dict[str, int] = defaultdict(int)
        self.stages = stages_of(world)
        self.sliced = {stage for stage, names in self.stages.items() if "/" in names[0]}
        self.sliced |= {source_of(stage) for stage in self.sliced}
        self.parents = {stage: parents_of(world, stage) for stage in self.stages}
        self.versions: dict[str, dict[str, str]] = defaultdict(dict)
        self.latest: dict[str, EventLogRecord] = {}

    def replay(self) -> None:
        for name in self.world.reads:
            self.observe(name)
        for name, code in self.world.history:
            if code is None:
                self.content[name] += 1
                self.observe(name)
            else:
                self.materialize(name, code)

    def observe(self, name: str) -> None:
        stage, _, part = name.partition("/")
        tags = {DATA_VERSION_TAG: str(self.content[name]), DATA_VERSION_IS_USER_PROVIDED_TAG: "true"}
        self._report(AssetObservation(source_of(stage), partition=part or None, tags=tags))

    def materialize(self, name: str, code: str) -> None:
        stage, _, part = name.partition("/")
        inputs = {AssetKey(other): self._read(other, part) for other in self.parents[stage]}
        versions = {key: version for key, (version, _) in inputs.items()}
        version = compute_logical_data_version(code, versions)
        tags = {CODE_VERSION_TAG: code, DATA_VERSION_TAG: version.value}
        for key, (read, pointer) in inputs.items():
            tags |= {get_input_data_version_tag(key): read.value, get_input_event_pointer_tag(key): str(pointer)}
        self.versions[stage][part] = version.value
        self._report(AssetMaterialization(stage, partition=part or None, tags=tags))

    def _read(self, other: str, part: str) -> tuple[DataVersion, int]:
        if other not in self.latest:
            record = self.instance.get_latest_data_version_record(AssetKey(other))
            assert record
            self.latest[other] = record
        record = self.latest[other]
        made = self.versions[other]
        keys = [part] if part else sorted(made)
        if other in self.sliced and len(keys) < SKIP_PARTITION_DATA_VERSION_DEPENDENCY_THRESHOLD:
            joined = "".join(made[key] for key in keys if key in made)
            return DataVersion(sha256(joined.encode()).hexdigest()), record.storage_id
        tags = record.event_log_entry.tags or {}
        return DataVersion(tags[DATA_VERSION_TAG]), record.storage_id

    def _report(self, event: AssetMaterialization | AssetObservation) -> None:
        self.latest.pop(event.asset_key.to_user_string(), None)
        self.instance.report_runless_asset_event(event)
