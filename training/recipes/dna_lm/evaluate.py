"""The registered evaluation: the surprise of held-out bases, beside what counts say of the very same ones."""

from __future__ import annotations

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
    row, place = (
        registered_rows(data.test.row_keys, table["window_key"].to_numpy(), preflight),
        table["place"].to_numpy(),
    )
    device = next(model.parameters()).device
    asked_RW = torch.zeros(data.test.codes_RW.shape, dtype=torch.bool)
    asked_RW[torch.tensor(row), torch.tensor(place)] = True
    codes_RW = torch.from_numpy(data.test.codes_RW.astype(np.int64))
    own = np.empty(len(row))
    by_place = np.lexsort((place, row))  # the order in which a mask gives its bases
    own[by_place] = base_nll(model, codes_RW.to(device), asked_RW.to(device)).cpu().numpy()
    found, scalars = [], {"nll": float(own.mean())}
    for name in ("unigram", "context"):
        baseline = table[name].to_numpy()
        means = block_means(
            baseline - own, blocks(data.test.place_R[row] + place), registered["resamples"], registered["seed"]
        )
        low, high = interval95(means)
        scalars |= {f"{name}_nll": float(baseline.mean()), f"gain_over_{name}": float((baseline - own).mean())}
        found.append(
            Measurement(name=f"gain_over_{name}_low", threshold=name, value=low, checks=len(own), interval=(low, high))
        )
    left, right = registered["context"]
    line = (
        f"  held-out surprise {scalars['nll']:.4f} nats a base; frequencies {scalars['unigram_nll']:.4f}, "
        f"counts between {left} and {right} neighbours {scalars['context_nll']:.4f}"
    )
    intervals = [
        f"  gain over {m.threshold}: 95% interval {m.interval[0]:+.4f} to {m.interval[1]:+.4f}"
        for m in found
        if m.interval
    ]
    return Evaluation(measurements=found, scalars=scalars, summary=[line, *intervals])
