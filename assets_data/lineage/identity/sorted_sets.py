"""Ascending arrays as sets."""

from __future__ import annotations

import numpy as np


def found_in(keys: np.ndarray, table: np.ndarray) -> np.ndarray:
    """bool[n]: which of ``keys`` stand in ``table``, an ascending array of the same type."""
    places = np.searchsorted(table, keys)
    found = places < len(table)
    found[found] = table[places[found]] == keys[found]
    return found
