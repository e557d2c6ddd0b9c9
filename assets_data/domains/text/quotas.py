"""How much of each source a mix takes, and which rows: exact shares, keyed choices. Knows numbers, no files."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import numpy as np

from assets_data.lineage import mix64
from assets_data.lineage.identity.sorted_sets import found_in


def apportion(total: int, weights: Mapping[str, float]) -> dict[str, int]:
    """Whole numbers that sum to ``total``, in proportion to positive weights, by largest remainder (Hamilton's method).

    Exact: a weight is the decimal number it is written as. Of equal remainders the name that sorts first is served.
    """
    shares = _shares(weights)
    quotas = {name: int(total * share) for name, share in shares.items()}
    by_remainder = sorted(shares, key=lambda name: (quotas[name] - total * shares[name], name))
    for name in by_remainder[: total - sum(quotas.values())]:
        quotas[name] += 1
    return quotas


def largest_total(available: Mapping[str, int], weights: Mapping[str, float]) -> int:
    """The largest total of which :func:`apportion` gives no name more than is ``available`` of it."""
    return min((int(available[name] / share) for name, share in _shares(weights).items()), default=0)


def choose(keys: np.ndarray, sizes: np.ndarray, quota: int, seed: int) -> np.ndarray:
    """int64[n]: how often each row is taken so that their ``sizes`` add up to ``quota``, or pass it by less than a row.

    Every row is taken as often as the whole source goes into the quota; for what is left, rows are taken once more in
    the order of the keyed mix of (seed, row key). With sizes of 1 the count is exact. Needs a row of a size above 0.
    """
    rounds, left = divmod(quota, int(sizes.sum()))
    times = np.full(len(keys), rounds, np.int64)
    if not left:
        return times
    order = np.argsort(mix64(seed, "mix/choice", keys), kind="stable")
    before = np.cumsum(sizes[order]) - sizes[order]
    times[order[before < left]] += 1
    return times


def distinct_keys(keys: np.ndarray) -> np.ndarray:
    """uint64[n]: each key as it is where it first stands, and mixed with the repeat's number where it stands again."""
    ranked = np.sort(keys)
    shared = np.flatnonzero(found_in(keys, ranked[1:][ranked[1:] == ranked[:-1]]))
    order = shared[np.argsort(keys[shared], kind="stable")]
    ranked = keys[order]
    repeat = (np.arange(len(order)) - np.searchsorted(ranked, ranked, side="left")).astype(np.uint64)
    distinct = keys.copy()
    mixed = mix64(0, "mix/repeat", ranked ^ mix64(0, "mix/repeat_number", repeat))
    distinct[order] = np.where(repeat == 0, ranked, mixed)
    return distinct


def _shares(weights: Mapping[str, float]) -> dict[str, Fraction]:
    exact = {name: Fraction(str(weight)) for name, weight in weights.items()}
    return {name: weight / sum(exact.values()) for name, weight in exact.items()}
