"""From what a file says to counts: checked, recovered exactly from logarithms, or refused with what it looks like."""

from __future__ import annotations

import numpy as np

from assets_data.lineage import DataError

SOME = 20
"""So many counts without a one among them are not what a cell is like."""
AROUND = 0.02
"""How far apart, relatively, sums over cells may lie to be called equal: what scaling leaves after rounding."""


def require_counts(values: np.ndarray, indptr: np.ndarray, where: str) -> np.ndarray:
    """int64 counts. Raises DataError CELL_NOT_COUNTS for a value that is not a whole number of at least 0, and says
    what the values look like: logarithms (log1p), logarithms of logarithms, or scaled counts.
    """
    numbers = values.astype(np.float64)
    if not np.isfinite(numbers).all():
        _refuse("a value is not a number", float(numbers[~np.isfinite(numbers)][0]), where)
    if (numbers < 0).any():
        _refuse("a value is negative: centred or scaled, not counted", float(numbers.min()), where)
    whole = np.rint(numbers)
    if (numbers != whole).any():
        _refuse(
            f"values are not whole numbers: {_looks_like(numbers, indptr)}", float(numbers[numbers != whole][0]), where
        )
    if len(whole) and whole.max() >= 2**32:
        _refuse("a count does not fit 32 bits", float(whole.max()), where)
    return whole.astype(np.int64)


def recover_counts(
    logs: np.ndarray, indptr: np.ndarray, totals: np.ndarray, scale: float, decimals: int, where: str
) -> np.ndarray:
    """int64: c = round(expm1(x) total / scale), for x = log1p(scale c / total) rounded to ``decimals`` (0: float32).

    Raises DataError CELL_RECOVERY unless every c gives its x again, within one unit of the last decimal, and neither
    c - 1 nor c + 1 does: then there is one integer behind each value. So scaled to another size, divided by another
    total, or twice a logarithm is refused.
    """
    exact = logs.astype(np.float64)
    if not np.isfinite(exact).all() or (exact < 0).any():
        what = "a logarithm of a count is a number of at least 0"
        raise DataError("CELL_RECOVERY", what, found=float(exact[~(exact >= 0)][0]), where=where)
    total = np.repeat(totals.astype(np.float64), np.diff(indptr))
    with np.errstate(over="ignore"):
        counts = np.rint(np.expm1(exact) * total / scale)
    unit = np.full(len(exact), 10.0**-decimals) if decimals else np.maximum(exact, 1) * 2.0**-21
    again, wrong = _apart(counts, exact, total, scale), np.zeros(len(exact), bool)
    wrong |= ~(again <= unit) | (counts < 1)
    for other in (-1, 1):
        wrong |= _apart(counts + other, exact, total, scale) <= again
    ambiguous = ~wrong & (
        (_apart(counts - 1, exact, total, scale) <= unit) | (_apart(counts + 1, exact, total, scale) <= unit)
    )
    if (bad := wrong | ambiguous).any():
        place = int(np.flatnonzero(bad)[0])
        what = f"{int(bad.sum()):,} of {len(exact):,} values come from no single count"
        what += f" as log1p({scale:g} c / total): {_looks_like(exact, indptr)}"
        action = "look at scale, decimals and total of cells.raw_cells.files, or give the layer of counts"
        found = f"{exact[place]:.6g} in a cell of total {total[place]:g}"
        raise DataError("CELL_RECOVERY", what, found=found, where=where, action=action)
    if len(counts) >= SOME and (common := int(np.gcd.reduce(counts.astype(np.int64)))) > 1:
        what = f"every count is a multiple of {common}: the logarithms are of another scale"
        action = f"try cells.raw_cells.files.scale={scale * common:g}"
        raise DataError("CELL_RECOVERY", what, expected="counts", found=f"scale {scale:g}", where=where, action=action)
    return counts.astype(np.int64)


def _apart(counts: np.ndarray, exact: np.ndarray, total: np.ndarray, scale: float) -> np.ndarray:
    return np.abs(np.log1p(scale * np.maximum(counts, 0) / total) - exact)


def _looks_like(values: np.ndarray, indptr: np.ndarray) -> str:
    """What values that are no counts may be, by what is equal in every cell once it is undone."""
    small = values.max(initial=0) < 30
    names = {"log1p applied twice": lambda x: np.expm1(np.expm1(x)), "log1p of scaled counts": np.expm1}
    for name, undo in names.items():
        with np.errstate(over="ignore"):
            if small and values.max(initial=0) < 4 + 26 * (undo is np.expm1) and _equal(_sums(undo(values), indptr)):
                return f"they look like {name}"
    if _equal(_sums(values, indptr)):
        return "they look like scaled counts"
    if small and len(values) and np.median(values) < 10:
        return "they may be log1p values of a part of the genes"
    return "they are no logarithms that are known here"


def _sums(values: np.ndarray, indptr: np.ndarray) -> np.ndarray:
    row = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    return np.bincount(row, values, minlength=len(indptr) - 1)


def _equal(sums: np.ndarray) -> bool:
    filled = sums[sums > 0]
    return len(filled) > 1 and bool(np.isfinite(filled).all()) and np.ptp(filled) <= AROUND * filled.mean()


def _refuse(what: str, found: float, where: str) -> None:
    action = "name the layer of counts (cells.raw_cells.files.layer), or recover=log1p where the logarithm is known"
    raise DataError("CELL_NOT_COUNTS", what, expected="counts", found=found, where=where, action=action)
