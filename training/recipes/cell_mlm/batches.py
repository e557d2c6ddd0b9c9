"""Tokens to tensors: what is shown to the model, and what it is asked for. One batch per family and task."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from assets_data.domains.cells.read import Vocabulary
from training.recipes.cell_mlm.config import CellMlmConfig
from training.recipes.cell_mlm.tokens import (
    Preprocessing,
    Ranked,
    Tokens,
    disguise,
    hide,
    preprocessing,
    row_of,
    tokenize,
    total_bins,
)


def make_batch(
    cells: Ranked, vocabulary: Vocabulary, config: CellMlmConfig, rows: np.ndarray, epochs: np.ndarray, held_out: bool
) -> dict[str, Tensor]:
    """What a model of this config is shown of some cells, with targets. CPU tensors; pads are gene 0 and not valid."""
    seed, family = config.train.seed, config.model.family
    with_zeros = family == "mae" or (family == "encoder" and config.objective.task == "values")
    tokens = tokenize(cells, rows, epochs, vocabulary, config.tokens, seed, zeros=with_zeros)
    prepared = preprocessing(config.tokens, vocabulary.document)
    if family == "autoregressive":
        bins_BT = prepared.bin(tokens.counts_BT, tokens.values_BT)
        return {**show(tokens, prepared), **_tensors(bins=bins_BT), "order": _order_of(tokens, len(vocabulary.keys))}
    hidden_BT = hide(tokens, epochs, vocabulary, config.objective.mask_share, seed)
    if family == "mae":
        return _autoencoder(tokens, hidden_BT, prepared)
    if config.objective.task == "genes":
        shown_BT, masked_BT = tokens.genes_BT, hidden_BT
        if not held_out:
            shown_BT, masked_BT = disguise(tokens, hidden_BT, epochs, vocabulary, config.objective, seed)
        return _hidden_genes(tokens, hidden_BT, shown_BT, masked_BT, prepared, len(vocabulary.keys))
    batch = show(tokens, prepared, hidden_BT)
    return {**batch, **_targets(tokens, hidden_BT, prepared)}


def show(tokens: Tokens, prepared: Preprocessing, masked_BT: np.ndarray | None = None) -> dict[str, Tensor]:
    """The tokens as tensors. Of values there is what the tokenizer tells: with ``rank_value`` nothing, as places tell;
    those of ``masked_BT`` are hidden: no bin, count or value of them is in the batch.
    """
    valid_BT = tokens.valid_BT
    hidden_BT = np.zeros_like(valid_BT) if masked_BT is None else masked_BT
    shown = {
        "genes": np.maximum(tokens.genes_BT, 0),
        "valid": valid_BT,
        "masked": hidden_BT,
        "totals": total_bins(tokens.totals_B),
    }
    if prepared.tokens.tokenizer != "rank_value":
        open_BT = valid_BT & ~hidden_BT
        counts_BT = np.where(open_BT, tokens.counts_BT, 0)
        values_BT = np.where(open_BT, tokens.values_BT, np.float32(0))
        shown |= {"counts": counts_BT, "values": values_BT, "bins": prepared.bin(counts_BT, values_BT)}
    return _tensors(**shown)


def _hidden_genes(
    tokens: Tokens,
    hidden_BT: np.ndarray,
    shown_BT: np.ndarray,
    masked_BT: np.ndarray,
    prepared: Preprocessing,
    genes: int,
) -> dict[str, Tensor]:
    """Names are hidden, and none of a hidden place is in the batch. ``taken``: genes in sight, which are no answer."""
    batch = show(tokens, prepared, masked_BT)
    names_BT = np.where(masked_BT | ~tokens.valid_BT, 0, shown_BT)
    seen_BT = tokens.valid_BT & ~hidden_BT
    taken_BG = np.zeros((len(names_BT), genes), bool)
    taken_BG.reshape(-1)[row_of(seen_BT) * genes + tokens.genes_BT[seen_BT]] = True
    more = _tensors(genes=names_BT, hidden_names=masked_BT, taken=taken_BG)
    return {**batch, **more, **_asked(tokens, hidden_BT)}


def _asked(tokens: Tokens, hidden_BT: np.ndarray) -> dict[str, Tensor]:
    """Where the hidden genes are (flat in [B, T]), whose they are, and which."""
    return _tensors(where=np.flatnonzero(hidden_BT), cell=row_of(hidden_BT), answer=tokens.genes_BT[hidden_BT])


def _targets(tokens: Tokens, hidden_BT: np.ndarray, prepared: Preprocessing) -> dict[str, Tensor]:
    """The hidden genes, and how often they were counted."""
    counts, values = tokens.counts_BT[hidden_BT], tokens.values_BT[hidden_BT]
    log_totals_B = np.log(np.maximum(tokens.totals_B, 1)).astype(np.float32)
    more = _tensors(
        answer_count=counts,
        answer_bin=prepared.bin(counts, values),
        answer_value=values,
        log_total=log_totals_B[row_of(hidden_BT)],
    )
    return {**_asked(tokens, hidden_BT), **more}


def _autoencoder(tokens: Tokens, hidden_BT: np.ndarray, prepared: Preprocessing) -> dict[str, Tensor]:
    """The visible genes alone, moved together by one gather; the hidden ones likewise, as what is asked for."""
    visible, hidden = _gathered(tokens, tokens.valid_BT & ~hidden_BT), _gathered(tokens, hidden_BT)
    asked_valid_BH = hidden.valid_BT
    targets = _targets(hidden, asked_valid_BH, prepared)
    asked = _tensors(asked=np.maximum(hidden.genes_BT, 0), asked_valid=asked_valid_BH)
    return {**show(visible, prepared), **asked, **targets}


def _gathered(tokens: Tokens, chosen_BT: np.ndarray) -> Tokens:
    """The chosen places of every cell, in their order, pads last."""
    width = max(1, int(chosen_BT.sum(1).max(initial=0)))
    order_BT = np.argsort(~chosen_BT, axis=1, kind="stable")[:, :width]
    kept_BT = np.take_along_axis(chosen_BT, order_BT, 1)

    def taken(values_BT: np.ndarray, pad: Any) -> np.ndarray:
        return np.where(kept_BT, np.take_along_axis(values_BT, order_BT, 1), pad)

    return Tokens(
        genes_BT=taken(tokens.genes_BT, -1),
        counts_BT=taken(tokens.counts_BT, 0),
        totals_B=tokens.totals_B,
        keys_B=tokens.keys_B,
    )


def _order_of(tokens: Tokens, genes: int) -> Tensor:
    """int64[B, G]: the place at which a gene comes, or the number of places: a gene that came is no answer any more."""
    order_BG = np.full((len(tokens.genes_BT), genes), tokens.genes_BT.shape[1], np.int64)
    row, column = np.nonzero(tokens.valid_BT)
    order_BG[row, tokens.genes_BT[row, column]] = column
    return torch.from_numpy(order_BG)


def _tensors(**arrays: np.ndarray) -> dict[str, Tensor]:
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
