"""A world as stock Dagster would know it: its assets, and the events that Dagster's own runs leave of its history.

Every stage is an asset with its code version, a sliced one partitioned by slice. Data versions are Dagster's own, of
code version and input data versions; it records no config. Where content changes outside, in the reading most
favourable to Dagster, somebody has made it an observable source that is observed before the first run and at every
change: without one Dagster sees no change of content at all.
"""

from collections import Counter
from hashlib import sha256

from dagster import (
    AssetKey,
    AssetMaterialization,
    AssetObservation,
    AssetsDefinition,
    DagsterInstance,
    DataVersion,
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
    compute_logical_data_version,
    get_input_data_version_tag,
    get_input_event_pointer_tag,
)

from benchmarks.lineage_worlds import World


def assets_of(world: World) -> list[AssetsDefinition | SourceAsset]:
    """The asset of every stage as it would be loaded now, and the observable sources of what changes outside."""
    made: list[AssetsDefinition | SourceAsset] = []
    inputs = _inputs(world)
    for stage, names in world.stages().items():
        slices = StaticPartitionsDefinition([n.partition("/")[2] for n in names]) if "/" in names[0] else None

        @asset(name=stage, deps=inputs[stage], code_version=world.code[names[0]], partitions_def=slices)
        def body() -> None: ...

        @observable_source_asset(name=_source(stage), partitions_def=slices)
        def outside() -> DataVersion:
            return DataVersion("observations come from the history")

        made += [body, outside] if _source(stage) in inputs[stage] else [body]
    return made


def address(name: str) -> tuple[str, str | None]:
    """The asset and the partition, None for a whole stage, that stand for ``name``."""
    stage, _, part = name.partition("/")
    return stage, part or None


class Records:
    """Writes the events of a world's history into an instance without running anything."""

    def __init__(self, instance: DagsterInstance, world: World) -> None:
        self.instance, self.world = instance, world
        self._inputs = _inputs(world)
        sliced = [stage for stage, names in world.stages().items() if "/" in names[0]]
        self._sliced = {*sliced, *map(_source, sliced)}
        self._versions: dict[str, dict[str, str]] = {}
        self._latest: dict[str, EventLogRecord] = {}
        self._observed = Counter[str]()

    def replay(self) -> None:
        """Write the whole history, oldest first."""
        for name in dict.fromkeys(name for name, code in self.world.history if code is None):
            self.observe(name)
        for name, code in self.world.history:
            if code is None:
                self.observe(name)
            else:
                self.materialize(name, code)

    def observe(self, name: str) -> None:
        """What is outside is another one than at the last observation."""
        stage, part = address(name)
        self._observed[name] += 1
        tags = {DATA_VERSION_TAG: str(self._observed[name]), DATA_VERSION_IS_USER_PROVIDED_TAG: "true"}
        self._report(AssetObservation(_source(stage), partition=part, tags=tags))

    def materialize(self, name: str, code: str) -> None:
        """A run has made ``name`` with ``code`` of what stands for its inputs."""
        stage, part = address(name)
        read = {AssetKey(other): self._read(other, part) for other in self._inputs[stage]}
        made = compute_logical_data_version(code, {key: version for key, (version, _) in read.items()})
        tags = {CODE_VERSION_TAG: code, DATA_VERSION_TAG: made.value}
        for key, (version, pointer) in read.items():
            tags |= {get_input_data_version_tag(key): version.value, get_input_event_pointer_tag(key): str(pointer)}
        self._versions.setdefault(stage, {})[part or ""] = made.value
        self._report(AssetMaterialization(stage, partition=part, tags=tags))

    def _read(self, other: str, part: str | None) -> tuple[DataVersion, int]:
        """The data version that a run records for an input, and the storage id of the input's latest event."""
        if other not in self._latest:
            record = self.instance.get_latest_data_version_record(AssetKey(other))
            assert record is not None
            self._latest[other] = record
        record, made = self._latest[other], self._versions.get(other, {})
        parts = [part] if part else sorted(made)
        if other in self._sliced and len(parts) < SKIP_PARTITION_DATA_VERSION_DEPENDENCY_THRESHOLD:
            joined = "".join(made[one] for one in parts if one in made)  # observations of partitions do not enter
            return DataVersion(sha256(joined.encode()).hexdigest()), record.storage_id
        return DataVersion((record.event_log_entry.tags or {})[DATA_VERSION_TAG]), record.storage_id

    def _report(self, event: AssetMaterialization | AssetObservation) -> None:
        self._latest.pop(event.asset_key.to_user_string(), None)
        self.instance.report_runless_asset_event(event)


def _inputs(world: World) -> dict[str, list[str]]:
    """The assets that each stage's asset depends on; what changes outside is one of them."""
    changing = {name.partition("/")[0] for name, code in world.history if code is None}
    return {
        stage: [*world.reads[names[0]], *([_source(stage)] if stage in changing else [])]
        for stage, names in world.stages().items()
    }


def _source(stage: str) -> str:
    return f"{stage}_source"
