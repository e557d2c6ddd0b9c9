"""The rows a preflight registered, found again by their keys: row numbers move, keys do not."""

from __future__ import annotations

import numpy as np

from assets_data.lineage import GateError, Snapshot


def registered_rows(row_keys: np.ndarray, registered: np.ndarray, preflight: Snapshot) -> np.ndarray:
    """int64[n]: where each of the ``registered`` keys stands in ``row_keys``, in the order of registration.

    ``row_keys``: uint64[N] without repeats, of the split as it is now. Raises GateError GATE_OTHER_ROWS where one of
    the registered rows is not there any more.
    """
    order = np.argsort(row_keys, kind="stable")
    places = np.searchsorted(row_keys, registered, sorter=order)
    found = places < len(row_keys)
    rows = order[places[found]]
    if missing := len(registered) - np.count_nonzero(row_keys[rows] == registered[found]):
        what, action = f"{missing} registered rows are not in the split", "run the preflight again, and train under it"
        raise GateError("GATE_OTHER_ROWS", what, where=preflight.path, action=action)
    return rows
