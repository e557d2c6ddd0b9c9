"""Which split a record belongs to: a keyed function of its group's name, or of its own id, and of nothing else."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from assets_data.lineage import text_key64, uniform01
from newdomain.config import SplitConfig


def assign_splits(records: pa.Table, config: SplitConfig) -> np.ndarray:
    """str[n]: the split of each row of a ``records.parquet``."""
    names = records["group_id" if config.by == "group" else "record_id"].to_pylist()
    draw = uniform01(config.seed, "newdomain/split", text_key64(names))
    held_out = config.test_share + config.validation_share
    return np.select([draw < config.test_share, draw < held_out], ["test", "validation"], default="train")
