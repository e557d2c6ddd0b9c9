"""Trajectories with their states, and the held-out ones beside: ``validation`` is watched, ``test`` decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from assets_data.domains.genome.read import STEPS, Trajectories, open_members, open_trajectories
from assets_data.lineage import DataError, Snapshot, Store
from training.data import TableRef
from training.recipes.geno_lewm.moving import Positions
from training.recipes.geno_lewm.state_table import read_states


@dataclass(frozen=True, kw_only=True)
class Rows(Trajectories):
    """Trajectories of one split. S is 4, the states; K is 3, the steps; D the width of a state."""

    states_RSD: np.ndarray
    """float32[R, S, D]: behind a row's last step the states repeat."""
    sigma_D: np.ndarray
    """float32[D]: deviation of the change over the training rows' steps: the unit of every error."""
    positions: Positions | None = None
    """What is known by position; None where the table is of pooled states alone."""

    @property
    def valid_RK(self) -> np.ndarray:
        """bool[R, K]: which steps there are."""
        return np.arange(STEPS)[None, :] < self.steps_R[:, None]

    @property
    def change_RKD(self) -> np.ndarray:
        """float32[R, K, D]: the state after each step less the state before all, in units of sigma."""
        return (self.states_RSD[:, 1:] - self.states_RSD[:, :1]) / self.sigma_D

    def last_change(self) -> np.ndarray:
        """float32[R, D]: the whole change of each row."""
        return self.change_RKD[np.arange(len(self.steps_R)), self.steps_R - 1]

    def last_carried(self) -> np.ndarray:
        """float32[R, D]: by position, the whole change that carrying alone makes, in units of sigma."""
        assert self.positions is not None
        last = self.positions.carried_RKD[np.arange(len(self.steps_R)), self.steps_R - 1]
        return (last - self.states_RSD[:, 0]) / self.sigma_D


@dataclass(frozen=True, kw_only=True)
class GenoData(Rows):
    """The training rows. The encoder and the table are members: a run never goes on under others."""

    members: Mapping[str, str]
    tables: Sequence[TableRef]
    validation: Rows
    test: Rows
    encoder: EncoderVerdict
    items_per_row: float = 1.0


@dataclass(frozen=True, slots=True)
class EncoderVerdict:
    """What the encoder's own gate says of it today, and why."""

    verdict: str
    reasons: Sequence[str]


def open_data(store: Store, inputs: Mapping[str, Snapshot], judged: EncoderVerdict | None = None) -> GenoData:
    """Every row, verified; without ``judged``, the encoder is judged by its own gate.

    Raises DataError ENCODER_CHANGED where the table was made by another encoder, and STATE_MISSING where it is of
    other rows.
    """
    trajectories = open_members(store, inputs["manifest"])["trajectories"]
    table = store.snapshot(inputs["state_table"].id)
    made_by = table.read_json("encoder.json")["checkpoint"]
    if made_by != inputs["encoder"].id:
        what, action = "the state table was made by another encoder", f"materialise {table.kind} again"
        raise DataError("ENCODER_CHANGED", what, expected=made_by, found=inputs["encoder"].id, action=action)
    train = open_trajectories(trajectories, "train")
    known = read_states(table, "train", train.row_keys)
    sigma = deviation(known["state"], train.steps_R)

    def rows(split: str) -> Rows:
        found = open_trajectories(trajectories, split)
        return Rows(**_fields(found), **_stated(read_states(table, split, found.row_keys)), sigma_D=sigma)

    return GenoData(
        **_fields(train),
        **_stated(known),
        sigma_D=sigma,
        members={"trajectories": trajectories.id, "encoder": inputs["encoder"].id, "state_table": table.id},
        tables=[TableRef(trajectories.id, "train.arrow")],
        validation=rows("validation"),
        test=rows("test"),
        encoder=judged or _judged(store, inputs),
    )


def deviation(states_RSD: np.ndarray, steps_R: np.ndarray) -> np.ndarray:
    """float32[D]: deviation of the change over all steps that there are; 1 where nothing changes."""
    valid = np.arange(STEPS)[None, :] < steps_R[:, None]
    changes = (states_RSD[:, 1:].astype(np.float64) - states_RSD[:, :1])[valid]
    found = changes.std(0) if len(changes) else np.ones(states_RSD.shape[2])
    return np.where(found > 1e-8, found, 1.0).astype(np.float32)


def _judged(store: Store, inputs: Mapping[str, Snapshot]) -> EncoderVerdict:
    """The encoder under the evaluation that its own preflight registered. Costs a second."""
    from training.recipes.geno_lewm.encoder_gate import judge_encoder

    return EncoderVerdict(*judge_encoder(store, inputs["manifest"], inputs["encoder"]))


def _stated(known: Mapping[str, np.ndarray]) -> dict[str, Any]:
    by_position = Positions(carried_RKD=known["carried"], flank_RKF=known["flank"]) if "carried" in known else None
    return {"states_RSD": known["state"], "positions": by_position}


def _fields(rows: Trajectories) -> dict[str, Any]:
    return {field.name: getattr(rows, field.name) for field in fields(Trajectories)}
