"""Whether states by position help with insertions and deletions, where the pooled state is weak: a trial, beside.

What slides into a window is not in the mean of the bases around the anchor. Here the same predictor also attends to the
encoder's vector of every base within 24 of the anchor, of the window *before* the edits; targets, loss, data, order of
updates and their number are the demo's. Skill is the share of the error of predicting no change that is taken away, on
test rows; ridge regression gets the same vectors, so that what it gains is seen as well.
Usage: ``python -m benchmarks.geno_indels ROOT [ROOT...]``: stores that ``benchmarks.geno_lewm`` left, one per fold.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from assets_data.domains.genome.read import KINDS
from assets_data.lineage import Store
from assets_data.lineage.receipts.reader import read_receipt
from benchmarks.geno_variants import newest
from benchmarks.result import save
from training.recipes.geno_lewm.baselines import features
from training.recipes.geno_lewm.batches import batch_of
from training.recipes.geno_lewm.config import STATES, demo
from training.recipes.geno_lewm.data import EncoderVerdict, GenoData, Rows, open_data
from training.recipes.geno_lewm.encoder import open_encoder
from training.recipes.geno_lewm.losses import change_loss
from training.recipes.geno_lewm.model import Predictor

REACH, HEADS = 24, 4
PENALTIES = (100.0, 1000.0, 10000.0)


class Attending(Predictor):
    """The predictor, with attention to the bases' vectors before each of its layers."""

    def __init__(self, config: Any, dims: int, width: int) -> None:
        super().__init__(config, dims)
        inner = config.d_model
        self.base, self.place = nn.Linear(width, inner), nn.Embedding(2 * REACH + 1, inner)
        self.before, self.between = nn.LayerNorm(inner), nn.LayerNorm(inner)
        self.look = nn.MultiheadAttention(inner, HEADS, batch_first=True)

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """float[B, K, D]."""
        edits = (batch[name] for name in ("offset", "shift", "kind", "deleted", "inserted"))
        state_BH = self.state(self.scale(batch["state"]))
        x_BTH = torch.cat([state_BH[:, None], self.actions(*edits) + state_BH[:, None]], 1)
        x_BTH = x_BTH + self.step.weight[: x_BTH.shape[1]]
        bases_BPH = self.before(self.base(batch["bases"].float()) + self.place.weight)
        for layer in self.layers:
            seen, _ = self.look(self.between(x_BTH), bases_BPH, bases_BPH, need_weights=False)
            x_BTH = layer(x_BTH + seen)
        return self.last(self.norm(x_BTH[:, 1:])).cumsum(1)


def bases_of(encoder: Any, rows: Rows) -> Tensor:
    """float16[R, 49, D]: the encoder's vector of each base around the anchor, before the edits."""
    windows, found = rows.windows_RSW[:, 0], []
    middle = windows.shape[1] // 2
    with torch.inference_mode():
        for begin in range(0, len(windows), 256):
            hidden = encoder.hidden(torch.from_numpy(windows[begin : begin + 256].astype(np.int64)))
            found.append(hidden[:, middle - REACH : middle + REACH + 1].half())
    return torch.cat(found)


def trained(model: nn.Module, data: GenoData, bases: Tensor) -> nn.Module:
    """The demo's updates on the training rows."""
    train, draw = demo().train, np.random.default_rng(0)
    optimizer = torch.optim.AdamW(model.parameters(), train.optimizer.lr, weight_decay=train.optimizer.weight_decay)
    epochs = -(-train.updates * train.batch_rows // len(data.row_keys))
    order = np.concatenate([draw.permutation(len(data.row_keys)) for _ in range(epochs)])
    for update in range(train.updates):
        share = min(1.0, (update + 1) / train.schedule.warmup) * (0.5 + 0.5 * np.cos(np.pi * update / train.updates))
        optimizer.param_groups[0]["lr"] = train.optimizer.lr * share
        rows = order[update * train.batch_rows : (update + 1) * train.batch_rows]
        batch = {**batch_of(data, rows), "bases": bases[rows]}
        optimizer.zero_grad()
        change_loss(model(batch), batch, demo().loss)["loss"].backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return model.eval()


def errors_of(model: nn.Module, rows: Rows, bases: Tensor) -> np.ndarray:
    """float64[R]: squared error of the whole change."""
    found = []
    with torch.no_grad():
        for begin in range(0, len(rows.row_keys), 512):
            own = np.arange(begin, min(begin + 512, len(rows.row_keys)))
            found.append(model({**batch_of(rows, own), "bases": bases[own]}))
    last = torch.cat(found).numpy()[np.arange(len(rows.steps_R)), rows.steps_R - 1]
    return np.square(last.astype(np.float64) - rows.last_change()).sum(1)


def ridge_errors(data: GenoData, bases: dict[str, Tensor]) -> np.ndarray:
    """The same of ridge regression on edits, pooled state and the bases' vectors; its penalty is the best held out."""
    mean, spread = data.states_RSD[:, 0].mean(0), data.states_RSD[:, 0].std(0) + 1e-6

    def design(rows: Rows, name: str) -> np.ndarray:
        flat = bases[name].float().numpy().reshape(len(rows.steps_R), -1)
        parts = [np.ones((len(flat), 1)), features(rows), (rows.states_RSD[:, 0] - mean) / spread, flat]
        return np.hstack(parts).astype(np.float32)

    x, watched = design(data, "train"), design(data.validation, "validation")
    gram, moment = x.T @ x, x.T @ data.last_change()
    fitted = [np.linalg.solve(gram + p * np.eye(len(gram), dtype=np.float32), moment) for p in PENALTIES]
    best = min(fitted, key=lambda w: float(np.square(watched @ w - data.validation.last_change()).sum()))
    return np.square(design(data.test, "test") @ best - data.test.last_change().astype(np.float64)).sum(1)


def fold(root: Path) -> dict[str, Any]:
    """Skill by number of edits and by kind, of the predictor as it is, of the attending one, of ridge."""
    store = Store(root)
    checkpoint, manifest = newest(store)
    parents = {p.input: p.id for path in store.receipts(checkpoint.id) for p in read_receipt(path).parents}
    read = {
        name: store.snapshot(f"sha256:{parents[name].removeprefix('sha256:')}") for name in ("encoder", "state_table")
    }
    data = open_data(store, {"manifest": manifest, **read}, EncoderVerdict("pass", []))
    encoder = open_encoder(read["encoder"], STATES["demo"](), torch.device("cpu"))
    bases = {"train": bases_of(encoder, data), "validation": bases_of(encoder, data.validation)}
    bases["test"] = bases_of(encoder, data.test)
    test, errors, seconds = data.test, {"ridge with positions": ridge_errors(data, bases)}, {}
    dims, width = data.states_RSD.shape[2], bases["train"].shape[2]
    for name in ("pooled", "positions"):
        torch.manual_seed(0)
        began = time.process_time()
        model = Predictor(demo().model, dims) if name == "pooled" else Attending(demo().model, dims, width)
        errors[name] = errors_of(trained(model, data, bases["train"]), test, bases["test"])
        seconds[name] = round(time.process_time() - began, 1)
    base = np.square(test.last_change().astype(np.float64)).sum(1)
    groups = {f"{steps} edits": test.steps_R == steps for steps in (1, 2, 3)}
    groups |= {f"1 edit, {kind}": (test.steps_R == 1) & (test.kind_RK[:, 0] == n) for n, kind in enumerate(KINDS)}
    skills = {
        group: {name: round(float(1 - value[own].sum() / base[own].sum()), 4) for name, value in errors.items()}
        for group, own in groups.items()
    }
    return {"cpu_s": seconds, "skill": skills}


def main() -> None:
    """Fold by fold; the file is written anew after each."""
    torch.set_num_threads(1)
    figures: dict[str, Any] = {}
    for number, root in enumerate(sys.argv[1:]):
        figures[f"fold {number}"] = fold(Path(root))
        save("geno_indels", ["numpy", "torch"], figures)


if __name__ == "__main__":
    main()
