"""The rows a run trains on, with the held-out ones beside: ``validation`` is watched, ``test`` decides. Their last
feature is the teacher's prediction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from assets_data.lineage import DataError, Snapshot, Store
from newdomain.read import SPLITS, Rows, open_rows, open_slices
from training.data import TableRef


@dataclass(frozen=True, kw_only=True)
class RegressionData(Rows):
    """The training rows. ``members`` are the ids of all that was read besides the manifest; ``tables`` say where the
    training rows are stored, in the order of ``row_keys``: with them a record's steps can be named years later.
    """

    members: Mapping[str, str]
    tables: Sequence[TableRef]
    validation: Rows
    test: Rows
    own_features: int
    """How many of the features are the rows' own: what the baseline may see, too."""
    items_per_row: float = 1.0


def open_data(store: Store, inputs: Mapping[str, Snapshot]) -> RegressionData:
    """Verified and memory-mapped. The teacher is a member: a run never goes on under another one."""
    slices = open_slices(store, inputs["manifest"])
    splits = {split: _with_teacher(open_rows(slices, split), inputs["teacher_table"], split) for split in SPLITS}
    train, teachers = splits["train"], ("teacher", "teacher_table")
    return RegressionData(
        row_keys=train.row_keys,
        features_ND=train.features_ND,
        target_N=train.target_N,
        records=train.records,
        members={
            **{f"rows/{name}": snapshot.id for name, snapshot in slices.items()},
            **{name: store.snapshot(inputs[name].id).id for name in teachers},  # every byte of them verified
        },
        tables=[TableRef(snapshot.id, "train.arrow") for snapshot in slices.values()],
        validation=splits["validation"],
        test=splits["test"],
        own_features=train.features_ND.shape[1] - 1,
    )


def read_predictions(table: Snapshot, split: str, rows: Rows) -> np.ndarray:
    """float32[N]: the teacher's prediction for each of ``rows``. Raises DataError NEWRECIPE_TEACHER_ROWS when the table
    is of other rows.
    """
    found = table.table(f"{split}.arrow")
    if not np.array_equal(found["row_key"].to_numpy(), rows.row_keys):
        action = "materialise newrecipe/teacher_table again"
        raise DataError("NEWRECIPE_TEACHER_ROWS", "the table is of other rows", where=table.path, action=action)
    return found["prediction"].to_numpy()


def _with_teacher(rows: Rows, table: Snapshot, split: str) -> Rows:
    predicted_N = read_predictions(table, split, rows)
    return replace(rows, features_ND=np.hstack([rows.features_ND, predicted_N[:, None]]))
