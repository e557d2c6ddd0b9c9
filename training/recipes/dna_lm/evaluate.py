"""The registered evaluation: the surprise of held-out bases, beside what counts say of the very same ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from assets_data.documents import read_registration
from assets_data.domains.genome.read import blocks
from assets_data.lineage import Snapshot
from training.findings import Evaluation, Measurement
from training.recipes.dna_lm.bootstrap import block_means
from training.recipes.dna_lm.data import WindowData
from training.recipes.dna_lm.inspection import ASKED
from training.recipes.dna_lm.model import DnaEncoder, base_nll
from training.registered import registered_rows
from training.resampling import interval95


def evaluate(model: DnaEncoder, data: WindowData, preflight: Snapshot) -> Evaluation:
    """Two measurements: by how many nats per base the model beats frequencies, and the best context counts; of each the
    lower bound of the 95% interval is judged. Raises GateError GATE_OTHER_ROWS.
    """
    registered = read_registration(preflight)["evaluation"]
    table = preflight.table(ASKED)
    row_K = registered_rows(data.test.row_keys, table["window_key"].to_numpy(), preflight)
    place_K = table["place"].to_numpy()
    own_K = _surprise(model, data, row_K, place_K)
    block_K = blocks(data.test.place_R[row_K] + place_K)
    scalars, judged = {"nll": float(own_K.mean())}, []
    for name in ("unigram", "context"):
        baseline_K = table[name].to_numpy()
        gain_K = baseline_K - own_K
        scalars |= {f"{name}_nll": float(baseline_K.mean()), f"gain_over_{name}": float(gain_K.mean())}
        bounds = interval95(block_means(gain_K, block_K, registered["resamples"], registered["seed"]))
        judged.append(Measurement.lower_bound(f"gain_over_{name}_low", name, bounds, len(own_K)))
    return Evaluation(measurements=judged, scalars=scalars, summary=_summary(scalars, judged, registered["context"]))


def _surprise(model: DnaEncoder, data: WindowData, row_K: np.ndarray, place_K: np.ndarray) -> np.ndarray:
    """float64[K]: nats of each base that is asked for (row and place in the test windows), all hidden at once."""
    device = next(model.parameters()).device
    asked_RW = torch.zeros(data.test.codes_RW.shape, dtype=torch.bool)
    asked_RW[torch.tensor(row_K), torch.tensor(place_K)] = True
    codes_RW = torch.from_numpy(data.test.codes_RW.astype(np.int64))
    own_K = np.empty(len(row_K))
    by_place = np.lexsort((place_K, row_K))  # the order in which a mask gives its bases
    own_K[by_place] = base_nll(model, codes_RW.to(device), asked_RW.to(device)).cpu().numpy()
    return own_K


def _summary(scalars: Mapping[str, float], judged: Sequence[Measurement], context: Sequence[int]) -> list[str]:
    left, right = context
    line = (
        f"  held-out surprise {scalars['nll']:.4f} nats a base; frequencies {scalars['unigram_nll']:.4f}, "
        f"counts between {left} and {right} neighbours {scalars['context_nll']:.4f}"
    )
    bounds = [(measured.threshold, *measured.interval) for measured in judged if measured.interval]
    return [line, *(f"  gain over {name}: 95% interval {low:+.4f} to {high:+.4f}" for name, low, high in bounds)]
