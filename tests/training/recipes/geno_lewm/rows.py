"""Rows of made-up states and edits, and the recipe's data over them."""

import numpy as np

from assets_data.domains.genome.read import ALLELE, EMPTY
from training.recipes.geno_lewm.data import Rows, deviation
from training.recipes.geno_lewm.moving import Positions

DIMS, FLANK = 6, 8


def made_rows(count=60, seed=0, effect=1.0, flank=0) -> Rows:
    """Rows of one to three edits whose change is a function of kind, offset and bases, and a little of the state. With
    a ``flank`` they are by position: carrying makes half of every change.
    """
    random = np.random.default_rng(seed)
    steps = random.integers(1, 4, count)
    kind = random.integers(0, 5, (count, 3))
    offset = random.integers(-12, 13, (count, 3))
    deleted, inserted = (np.full((count, 3, ALLELE), EMPTY, np.uint8) for _ in range(2))
    deleted[..., 0], inserted[..., 0] = random.integers(0, 4, (count, 3)), random.integers(0, 4, (count, 3))
    source = random.normal(size=(count, DIMS))
    way = np.random.default_rng(99).normal(size=(5, DIMS)), np.random.default_rng(98).normal(size=(4, DIMS))
    own = effect * (way[0][kind] * np.exp(-np.abs(offset)[..., None] / 6) + 0.3 * way[1][inserted[..., 0]])
    states = np.concatenate([source[:, None], source[:, None] + own.cumsum(1)], 1).astype(np.float32)
    for row, last in enumerate(steps):
        states[row, last + 1 :] = states[row, last]
    half = (states[:, :1] + states[:, 1:]) / 2
    beside = random.normal(size=(count, 3, flank)).astype(np.float32)
    return Rows(
        positions=Positions(carried_RKD=half, flank_RKF=beside) if flank else None,
        row_keys=np.arange(count, dtype=np.uint64),
        steps_R=steps,
        windows_RSW=np.zeros((count, 4, 8), np.uint8),
        kind_RK=kind,
        offset_RK=offset,
        shift_RK=np.zeros((count, 3), np.int64),
        deleted_RKA=deleted,
        inserted_RKA=inserted,
        place_R=np.arange(count) * 10,
        states_RSD=states,
        sigma_D=deviation(states, steps),
    )
