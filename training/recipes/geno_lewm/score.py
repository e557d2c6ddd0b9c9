"""What a checkpoint says of alleles that are in no table: how far they move the state, how far it was expected to move,
and how surprising the difference is. R rows of one edit each, D width of a state.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import torch

from assets_data.documents import read_facts
from assets_data.domains.genome.read import KINDS, Trajectories
from assets_data.lineage import DataError, Snapshot, Store, from_recorded
from assets_data.lineage.receipts.reader import read_receipt
from assets_data.stage import load
from training.recipes.dna_lm import RECIPE as DNA_LM
from training.recipes.dna_lm.model import MASK
from training.recipes.geno_lewm.config import StatesConfig
from training.recipes.geno_lewm.data import Rows
from training.recipes.geno_lewm.encoder import Encoder, carry, states
from training.recipes.geno_lewm.evaluate import predict
from training.recipes.geno_lewm.moving import Positions, places
from training.recipes.geno_lewm.state_table import OPENER
from training.stages import load_model

SCORES = {
    "change": "length of the change of the encoder's state, in units of the training changes' deviation",
    "predicted": "length of the change that the predictor expects",
    "surprise": "length of the difference of the two",
    "llr": "log-likelihood of ALT less that of REF under the encoder, in nats; single bases only",
}


Score = Callable[[Trajectories], dict[str, np.ndarray]]


def open_scorer(store: Store, checkpoint: Snapshot) -> Score:
    """``score(rows) -> {name: float64[R]}`` of rows of one edit each; ``llr`` is NaN for all but single bases.

    Raises what :func:`open_lengths` raises.
    """
    lengths = open_lengths(store, checkpoint, OPENER)
    base_model: Any = load_model(DNA_LM, parent_of(store, checkpoint, "encoder"))
    return lambda rows: {**lengths(rows), "llr": log_ratio(base_model, rows)}


def open_lengths(store: Store, checkpoint: Snapshot, opener: str) -> Score:
    """The scores that are lengths of changes of a state.

    Encoder, and how states are made, are those of the checkpoint's receipt. Raises DataError SCORE_PARENTS where it
    names none, and what reading them raises.
    """
    encoder, table = (parent_of(store, checkpoint, name) for name in ("encoder", "state_table"))
    contract = {name: value for name, value in table.read_json("encoder.json")["contract"].items() if name != "dims"}
    config = from_recorded(StatesConfig, contract)
    opened = load(opener)(encoder, config, torch.device("cpu"))
    from training.recipes.geno_lewm import RECIPE

    model: Any = load_model(RECIPE, checkpoint)
    sigma = np.array(read_facts(checkpoint)["model_inputs"]["sigma"], np.float32)

    def score(rows: Trajectories) -> dict[str, np.ndarray]:
        both = np.stack([states(opened, rows.windows_RSW[:, state], config) for state in (0, 1)], 1)
        known = {field.name: getattr(rows, field.name) for field in fields(Trajectories)}
        both = np.concatenate([both, both[:, 1:], both[:, 1:]], 1)
        positions = _positions(opened, rows, both.shape[2], config) if config.state == "positions" else None
        stated = Rows(**known, states_RSD=both, sigma_D=sigma, positions=positions)
        change, predicted = stated.change_RKD[:, 0], predict(model, stated)[:, 0]
        lengths = {"change": change, "predicted": predicted, "surprise": predicted - change}
        return {name: np.linalg.norm(value.astype(np.float64), axis=1) for name, value in lengths.items()}

    return score


def _positions(opened: Encoder, rows: Trajectories, dims: int, config: StatesConfig) -> Positions:
    found = places(rows, config.flank)
    return Positions.of(carry(opened, rows.windows_RSW[:, 0], found.carried_RKW, found.flank_RKP, config), dims)


def log_ratio(model: Any, rows: Trajectories, batch: int = 256) -> np.ndarray:
    """float64[R]: log P(ALT) - log P(REF) of the edited base, which is not shown; NaN for what is no single base."""
    found = np.full(len(rows.steps_R), np.nan)
    chosen = np.flatnonzero((rows.kind_RK[:, 0] == KINDS.index("SNV")) & (rows.steps_R == 1))
    for begin in range(0, len(chosen), batch):
        own = chosen[begin : begin + batch]
        codes = torch.from_numpy(rows.windows_RSW[own, 0].astype(np.int64))
        place = codes.shape[1] // 2 + rows.offset_RK[own, 0]
        which = torch.arange(len(own))
        codes[which, torch.from_numpy(place)] = MASK
        with torch.inference_mode():
            logs = model(codes)[which, torch.from_numpy(place)].log_softmax(-1).double().numpy()
        ref, alt = rows.deleted_RKA[own, 0, 0], rows.inserted_RKA[own, 0, 0]
        found[own] = logs[np.arange(len(own)), alt] - logs[np.arange(len(own)), ref]
    return found


def parent_of(store: Store, checkpoint: Snapshot, name: str) -> Snapshot:
    """The newest receipt's parent of that name."""
    parents = [parent for path in store.receipts(checkpoint.id) for parent in read_receipt(path).parents]
    found = [parent.id for parent in parents if parent.input == name]
    if not found:
        action = "score with a checkpoint that this store made"
        raise DataError(
            "SCORE_PARENTS", f"no receipt of the checkpoint names its {name}", found=checkpoint.id, action=action
        )
    return store.snapshot(f"sha256:{found[-1].removeprefix('sha256:')}")
