"""What hidden genes are predicted by without a model, in nats: how frequent genes are at a rank, and like cells.

Both know what the model knows: which genes are in sight and so no answer, and at which rank the hidden one stands. The
settings of the nearest neighbours are the best of a small grid on the validation cells. Shapes: K targets, G genes.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from training.recipes.cell_mlm.data import CellData, Split
from training.recipes.cell_mlm.rank_neighbours import adjacent_weights, pair_shares
from training.recipes.cell_mlm.tokens import BUCKETS, rank_bucket

GRID = {"width": (4.0, 12.0, 40.0), "mixed": (0.2, 0.4, 0.7)}
POWERS = (0.25, 0.5, 0.75, 1.0)
MOST_TRAINING = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Hidden:
    """The targets of some cells: which gene stands hidden at which rank of which cell, and what is in sight."""

    cell_K: np.ndarray
    place_K: np.ndarray
    answer_K: np.ndarray
    before_K: np.ndarray
    after_K: np.ndarray
    """The genes in sight that rank next before and after; -1 where there is none."""
    taken_BG: np.ndarray


def rank_frequencies(ranks_NG: np.ndarray) -> np.ndarray:
    """float64[buckets, G]: how often training cells have a gene at a rank, plus a fiftieth of its overall share."""
    row, gene = np.nonzero(ranks_NG >= 0)
    buckets = rank_bucket(ranks_NG[row, gene])
    genes = ranks_NG.shape[1]
    counts = np.bincount(buckets * genes + gene, minlength=BUCKETS * genes).reshape(BUCKETS, genes).astype(np.float64)
    overall = counts.sum(0) + 0.5
    return counts + 0.02 * overall / overall.sum() * np.maximum(counts.sum(1, keepdims=True), 1) + 1e-6


def rank_matrix(split: Split, rows: np.ndarray) -> np.ndarray:
    """int32[n, G]: the rank of every gene in some cells; -1 where it has no count."""
    lengths, genes, _ = split.cells.rows.take(rows)
    row = np.repeat(np.arange(len(rows)), lengths)
    ranks_NG = np.full((len(rows), len(split.vocabulary.keys)), -1, np.int32)
    ranks_NG[row, genes] = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return ranks_NG


def baseline_scores(
    data: CellData, hidden: Hidden, watched: Hidden, neighbours: int, exact: bool
) -> dict[str, np.ndarray]:
    """``{"frequency", "knn"}``, with ``"adjacent"`` where ranks are ``exact``: float64[K, 2] each, nats of the answer
    and its place among all.
    """
    rows = np.arange(min(len(data.cells), MOST_TRAINING))
    ranks_NG = rank_matrix(data, rows)
    frequencies = rank_frequencies(ranks_NG)
    like = Neighbours(ranks_NG, neighbours)
    settings = [dict(zip(GRID, values, strict=True)) for values in itertools.product(*GRID.values())]
    best = (
        min(settings, key=lambda s: like.scores(watched, frequencies, **s)[:, 0].mean())
        if len(watched.cell_K)
        else settings[4]
    )
    found = {
        "frequency": _scores(frequencies[rank_bucket(hidden.place_K)], hidden),
        "knn": like.scores(hidden, frequencies, **best),
    }
    return {**found, "adjacent": _adjacent(hidden, watched, ranks_NG, frequencies)} if exact else found


def _adjacent(hidden: Hidden, watched: Hidden, ranks_NG: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
    """The genes next in rank, their weight the best on the watched cells; see ``rank_neighbours``."""
    pairs = pair_shares(ranks_NG)

    def scores(of: Hidden, power: float) -> np.ndarray:
        likely_KG = frequencies[rank_bucket(of.place_K)]
        return _scores(adjacent_weights(of.before_K, of.after_K, likely_KG, pairs, power), of)

    power = min(POWERS, key=lambda p: scores(watched, p)[:, 0].mean()) if len(watched.cell_K) else 0.5
    return scores(hidden, power)


class Neighbours:
    """Training cells that have in common what is in sight of a cell, and the genes they have near the hidden rank."""

    def __init__(self, ranks_NG: np.ndarray, number: int) -> None:
        self._ranks_NG, self._number = ranks_NG, min(number, len(ranks_NG))
        self._has_NG = (ranks_NG >= 0).astype(np.float32)
        self._norm_N = np.sqrt(np.maximum(self._has_NG.sum(1), 1))

    def scores(self, hidden: Hidden, frequencies: np.ndarray, width: float, mixed: float) -> np.ndarray:
        """As :func:`baseline_scores`; ``mixed`` is the weight of the frequencies, ``width`` that of the rank window."""
        alike_BN = hidden.taken_BG.astype(np.float32) @ self._has_NG.T / self._norm_N
        chosen_BM = np.argsort(-alike_BN, axis=1, kind="stable")[:, : self._number]
        found = [np.empty((0, 2))]
        for cell in np.unique(hidden.cell_K):
            of = hidden.cell_K == cell
            ranks_MG = self._ranks_NG[chosen_BM[cell]]
            apart = ranks_MG[None] - hidden.place_K[of][:, None, None]
            near_KG = (np.exp(-np.square(apart / width)) * (ranks_MG >= 0)).sum(1)
            one = Hidden(
                cell_K=np.zeros(of.sum(), np.int64),
                place_K=hidden.place_K[of],
                answer_K=hidden.answer_K[of],
                before_K=hidden.before_K[of],
                after_K=hidden.after_K[of],
                taken_BG=hidden.taken_BG[cell][None],
            )
            likely = frequencies[rank_bucket(one.place_K)]
            found.append(_scores((1 - mixed) * _shares(near_KG, one) + mixed * _shares(likely, one), one))
        return np.concatenate(found)


def _shares(weights_KG: np.ndarray, hidden: Hidden) -> np.ndarray:
    """Weights of the genes that are not in sight, as shares of 1."""
    free_KG = np.where(hidden.taken_BG[hidden.cell_K], 0, weights_KG)
    return free_KG / np.maximum(free_KG.sum(1, keepdims=True), 1e-300)


def _scores(weights_KG: np.ndarray, hidden: Hidden) -> np.ndarray:
    shares_KG = _shares(weights_KG, hidden)
    answer_K = shares_KG[np.arange(len(shares_KG)), hidden.answer_K]
    nats_K = -np.log(np.maximum(answer_K, 1e-12))
    return np.stack([nats_K, (shares_KG > answer_K[:, None]).sum(1)], 1)


def frequency_nats(data: CellData, order_BG: np.ndarray, genes_BT: np.ndarray, valid_BT: np.ndarray) -> np.ndarray:
    """float64[K]: nats of every next gene by the frequency at its rank, over the genes that have not come."""
    frequencies = rank_frequencies(rank_matrix(data, np.arange(min(len(data.cells), MOST_TRAINING))))
    row, place = np.nonzero(valid_BT)
    free_KG = np.where(order_BG[row] < place[:, None], 0, frequencies[rank_bucket(place)])
    return -np.log(free_KG[np.arange(len(row)), genes_BT[row, place]] / free_KG.sum(1))


def hidden_of(batches: list[Mapping[str, np.ndarray]]) -> Hidden:
    """The targets of some batches as numpy arrays, cells numbered through."""
    begins = np.cumsum([0, *(len(batch["taken"]) for batch in batches)])
    width = max((batch["taken"].shape[1] for batch in batches), default=0)
    beside = [_beside(batch) for batch in batches]
    none = np.empty(0, np.int64)
    return Hidden(
        cell_K=np.concatenate([none, *(b["cell"] + begin for b, begin in zip(batches, begins, strict=False))]),
        place_K=np.concatenate([none, *(b["where"] % b["genes"].shape[1] for b in batches)]),
        answer_K=np.concatenate([none, *(b["answer"] for b in batches)]),
        before_K=np.concatenate([none, *(before for before, _ in beside)]),
        after_K=np.concatenate([none, *(after for _, after in beside)]),
        taken_BG=np.concatenate([np.empty((0, width), bool), *(b["taken"] for b in batches)]),
    )


def _beside(batch: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The genes in sight next before and after each target; -1 where there is none."""
    seen_BT = batch["valid"] & ~batch["hidden_names"]
    width = seen_BT.shape[1]
    places = np.broadcast_to(np.arange(width), seen_BT.shape)
    before_BT = np.maximum.accumulate(np.where(seen_BT, places, -1), 1)
    after_BT = np.minimum.accumulate(np.where(seen_BT, places, width)[:, ::-1], 1)[:, ::-1]
    row, place = batch["where"] // width, batch["where"] % width
    before, after = before_BT[row, place], after_BT[row, place]
    genes = batch["genes"]
    return (
        np.where(before >= 0, genes[row, np.maximum(before, 0)], -1),
        np.where(after < width, genes[row, np.minimum(after, width - 1)], -1),
    )
