"""Rows that need no download: three small CSV files of a curved relation between three numbers and a fourth.

Keyed draws and rounded numbers give the same bytes on every machine. Forty groups, each with rows in every file.
"""

from __future__ import annotations

import numpy as np

from assets_data.lineage import uniform01

SLICES = ("demo-0", "demo-1", "demo-2")
ROWS, GROUPS = 160, 40


def slice_names() -> frozenset[str]:
    """The slices that are always there."""
    return frozenset(SLICES)


def csv_bytes(slice_name: str) -> bytes:
    """A slice as the bytes of a CSV file."""
    index = np.arange(ROWS, dtype=np.uint64)
    draws = {name: uniform01(1, f"{slice_name}/{name}", index) for name in ("a", "b", "c", "noise")}
    a, b, c = (np.round(3 * draws[name] - 1.5, 4) for name in ("a", "b", "c"))
    y = np.round(np.sin(2 * a) + b * c + 0.1 * (draws["noise"] - 0.5), 4)
    lines = [f"g{i % GROUPS:02},{a[i]:.4f},{b[i]:.4f},{c[i]:.4f},{y[i]:.4f}" for i in range(ROWS)]
    return "\n".join(["group,a,b,c,y", *lines, ""]).encode()
