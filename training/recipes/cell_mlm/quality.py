"""How well embeddings keep types together and batches apart: the usual scores of single-cell integration.

NMI and ARI of k-means clusters (k types, the best of ten starts) with the labels; average silhouette widths by label
and as 1 - |width| by batch; the share of each type that is connected in the graph of 15 nearest neighbours: together
0.6 bio + 0.4 batch (Luecken et al. 2022, scib). Types of fewer than three cells are left out. Numpy only.
"""

from __future__ import annotations

import numpy as np

from assets_data.lineage import mix64

STARTS, TURNS, NEIGHBOURS, LEAST = 10, 50, 15, 3


def embedding_quality(cells_ND: np.ndarray, labels: np.ndarray, batches: np.ndarray) -> dict[str, float]:
    """``nmi``, ``ari``, ``asw_label``, ``asw_batch``, ``connectivity`` and ``total``; nothing with under two types."""
    _, inverse, times = np.unique(labels, return_inverse=True, return_counts=True)
    kept = times[inverse] >= LEAST
    cells, labels, batches = (
        cells_ND[kept].astype(np.float64),
        inverse[kept],
        np.unique(batches, return_inverse=True)[1][kept],
    )
    if len(np.unique(labels)) < 2:
        return {}
    cells = (cells - cells.mean(0)) / (cells.std() + 1e-12)
    apart = _distances(cells)
    clusters = _k_means(cells, len(np.unique(labels)))
    scores = {
        "nmi": mutual_information(clusters, labels),
        "ari": adjusted_rand(clusters, labels),
        "asw_label": (_silhouette(apart, labels) + 1) / 2,
        "connectivity": _connectivity(apart, labels),
    }
    mixed = [
        1 - abs(_silhouette(apart[np.ix_(of, of)], batches[of]))
        for label in np.unique(labels)
        if len(np.unique(batches[of := labels == label])) > 1
    ]
    scores["asw_batch"] = float(np.mean(mixed)) if mixed else float("nan")
    bio = np.mean([scores[name] for name in ("nmi", "ari", "asw_label")])
    batch = np.nanmean([scores["asw_batch"], scores["connectivity"]])
    return {**{name: float(value) for name, value in scores.items()}, "total": float(0.6 * bio + 0.4 * batch)}


def mutual_information(one: np.ndarray, other: np.ndarray) -> float:
    """Normalised by the mean of the two entropies."""
    table = _contingency(one, other) / len(one)
    rows, columns = table.sum(1), table.sum(0)
    filled = table > 0
    shared = (table[filled] * np.log(table[filled] / np.outer(rows, columns)[filled])).sum()
    mean = -(rows @ np.log(rows) + columns @ np.log(columns)) / 2
    return float(shared / mean) if mean > 0 else 1.0


def adjusted_rand(one: np.ndarray, other: np.ndarray) -> float:
    """Agreement on pairs, corrected for chance (Hubert & Arabie 1985)."""
    table = _contingency(one, other)
    pairs = lambda counts: (counts * (counts - 1) / 2).sum()  # noqa: E731
    both, rows, columns = pairs(table), pairs(table.sum(1)), pairs(table.sum(0))
    expected = rows * columns / (len(one) * (len(one) - 1) / 2)
    most = (rows + columns) / 2
    return float((both - expected) / (most - expected)) if most != expected else 1.0


def _contingency(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    one, other = (np.unique(values, return_inverse=True)[1] for values in (one, other))
    width = int(other.max()) + 1
    return (
        np.bincount(one * width + other, minlength=(int(one.max()) + 1) * width).reshape(-1, width).astype(np.float64)
    )


def _distances(cells: np.ndarray) -> np.ndarray:
    squares = np.square(cells).sum(1)
    apart = np.sqrt(np.maximum(squares[:, None] + squares[None] - 2 * cells @ cells.T, 0))
    np.fill_diagonal(apart, 0)
    return apart


def _k_means(cells: np.ndarray, number: int) -> np.ndarray:
    """Lloyd's algorithm from ten keyed draws of cells, the one of least inertia."""
    best, least = np.zeros(len(cells), np.int64), np.inf
    for start in range(STARTS):
        drawn = np.argsort(mix64(start, "cells/k-means", np.arange(len(cells), dtype=np.uint64)))[:number]
        centres, clusters = cells[drawn], best
        for _ in range(TURNS):
            away = np.square(cells).sum(1)[:, None] - 2 * cells @ centres.T + np.square(centres).sum(1)
            clusters = away.argmin(1)
            moved = [cells[clusters == k].mean(0) if (clusters == k).any() else centres[k] for k in range(number)]
            if np.allclose(moved, centres):
                break
            centres = np.array(moved)
        inertia = float(np.square(cells - centres[clusters]).sum())
        if inertia < least:
            best, least = clusters, inertia
    return best


def _silhouette(apart: np.ndarray, labels: np.ndarray) -> float:
    """Mean of (b - a) / max(a, b): a within the own group, b to the nearest other; 0 for a cell alone."""
    names, place, times = np.unique(labels, return_inverse=True, return_counts=True)
    if len(names) < 2:
        return 0.0
    sums = np.stack([apart[:, place == k].sum(1) for k in range(len(names))], 1)
    rows = np.arange(len(labels))
    own = sums[rows, place] / np.maximum(times[place] - 1, 1)
    means = sums / times
    means[rows, place] = np.inf
    other = means.min(1)
    width = np.where(times[place] > 1, (other - own) / np.maximum(np.maximum(own, other), 1e-12), 0)
    return float(width.mean())


def _connectivity(apart: np.ndarray, labels: np.ndarray) -> float:
    """The mean, over types, of the share of cells in the largest component of their part of the neighbour graph."""
    near = np.argsort(apart, axis=1, kind="stable")[:, 1 : NEIGHBOURS + 1]
    linked = np.zeros(apart.shape, bool)
    linked[np.arange(len(apart))[:, None], near] = True
    linked |= linked.T
    return float(np.mean([_largest(linked[np.ix_(of, of)]) for k in np.unique(labels) if (of := labels == k).any()]))


def _largest(linked: np.ndarray) -> float:
    left, most = np.ones(len(linked), bool), 0
    while left.any():
        reached = np.zeros(len(linked), bool)
        front = np.zeros(len(linked), bool)
        front[np.flatnonzero(left)[0]] = True
        while front.any():
            reached |= front
            front = linked[front].any(0) & ~reached
        most, left = max(most, int(reached.sum())), left & ~reached
    return most / len(linked)
