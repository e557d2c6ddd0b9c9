"""A small real stage: what the store's tests publish."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from assets_data.lineage import Snapshot, Store, option


@dataclass(frozen=True, slots=True, kw_only=True)
class CountConfig:
    """How many rows to count up to."""

    rows: int = option(100, "rows in the table")
    start: int = option(0, "first value")


def make_counts(
    store: Store, config: CountConfig, parents: list[Snapshot] = (), before_publish=lambda path: None
) -> Snapshot:
    """Publish the numbers from start to start+rows, with their squares as a sidecar."""

    def build(writer):
        values = np.arange(config.start, config.start + config.rows)
        writer.write_table("numbers.arrow", pa.table({"value": values}))
        writer.write_json("squares.json", [int(v) ** 2 for v in values], sidecar=True)
        writer.splits = {"all": config.rows}
        before_publish(writer.path)

    return store.run_stage(
        name="test/counts",
        module="assets_data.lineage.storage.store",
        config=config,
        parents={"upstream": list(parents)},
        build=build,
    )
