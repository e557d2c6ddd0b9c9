"""The rows a run trains on, with the held-out ones beside: ``validation`` is watched, ``test`` decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from assets_data.lineage import Snapshot, Store
from newdomain.read import Rows, open_rows, open_slices
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
    """Verified and memory-mapped."""
    slices = open_slices(store, inputs["manifest"])
    train = open_rows(slices, "train")
    return RegressionData(
        row_keys=train.row_keys,
        features_ND=train.features_ND,
        target_N=train.target_N,
        records=train.records,
        members={f"rows/{name}": snapshot.id for name, snapshot in slices.items()},
        tables=[TableRef(snapshot.id, "train.arrow") for snapshot in slices.values()],
        validation=open_rows(slices, "validation"),
        test=open_rows(slices, "test"),
        own_features=train.features_ND.shape[1],
    )
