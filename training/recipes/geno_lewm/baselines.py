"""What needs no network: the change by class of edit, by ridge regression, by the nearest training row; by position,
the change that carrying the vectors along makes, and ridge regression on all that the predictor gets.

Fitted on training rows, in units of sigma. All of them take edits as if each were alone, and add up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from assets_data.domains.genome.read import EMPTY, KINDS
from training.recipes.geno_lewm.data import Rows

NEAR = 16
"""Offsets beyond this many bases are as this one."""
PENALTIES = (1.0, 10.0, 100.0, 1000.0)
Class = tuple[int, ...]


def classes(rows: Rows) -> list[list[Class]]:
    """Each step's class: kind and bases of an SNV, kind and lengths of the others."""
    deleted, inserted = rows.deleted_RKA, rows.inserted_RKA
    lengths = np.stack([(bases != EMPTY).sum(2) for bases in (deleted, inserted)], 2)
    found: list[list[Class]] = []
    for row, steps in enumerate(rows.steps_R):
        own = []
        for step in range(steps):
            kind = int(rows.kind_RK[row, step])
            snv = KINDS[kind] == "SNV"
            what = (deleted[row, step, 0], inserted[row, step, 0]) if snv else lengths[row, step]
            own.append((kind, int(what[0]), int(what[1])))
        found.append(own)
    return found


def class_mean(train: Rows, others: Rows) -> np.ndarray:
    """float64[R, D]: the mean change of each edit's class, of its kind where the class is new, over single edits."""
    sums: dict[Class, list[np.ndarray]] = defaultdict(list)
    change = train.change_RKD
    for row, own in enumerate(classes(train)):
        if len(own) == 1:
            sums[own[0]].append(change[row, 0])
            sums[own[0][:1]].append(change[row, 0])
    means = {key: np.mean(values, 0, dtype=np.float64) for key, values in sums.items()}
    none = np.zeros(change.shape[2])
    found = [sum((means.get(c, means.get(c[:1], none)) for c in own), none) for own in classes(others)]
    return np.array(found)


def features(rows: Rows) -> np.ndarray:
    """float64[R, F]: of each edit its offset with its substitution or kind, and by side the bases it brings and takes;
    added up over the row's edits.
    """
    count, places = len(rows.steps_R), 2 * NEAR + 1
    found = np.zeros((count, 20 * places + len(KINDS) * 3 * 10))
    place = np.clip(rows.offset_RK, -NEAR, NEAR) + NEAR
    side = np.sign(rows.offset_RK) + 1
    for step in range(rows.kind_RK.shape[1]):
        there = np.flatnonzero(rows.steps_R > step)
        kind = rows.kind_RK[there, step]
        first, second = rows.deleted_RKA[there, step, 0].astype(int), rows.inserted_RKA[there, step, 0].astype(int)
        what = np.where(kind == 0, first * 4 + second, 15 + kind)
        np.add.at(found, (there, what * places + place[there, step]), 1.0)
        begin = 20 * places + (kind * 3 + side[there, step]) * 10
        for number, bases in enumerate((rows.deleted_RKA, rows.inserted_RKA)):
            own = bases[there, step]
            for base in range(4):
                np.add.at(found, (there, begin + number * 4 + base), (own == base).sum(1))
            np.add.at(found, (there, begin + 8 + number), np.log1p((own != EMPTY).sum(1)))
    return found


def ridge(train: Rows, held_out: Rows, others: Rows, *beside: str) -> np.ndarray:
    """float64[R, D]: ridge regression (Hoerl & Kennard 1970) on :func:`features` and, where named, on the ``state``
    before all and on what is known by ``positions``; its penalty is the one of ``PENALTIES`` that is best on the
    held-out rows.
    """
    mean, spread = train.states_RSD[:, 0].mean(0), train.states_RSD[:, 0].std(0) + 1e-6

    def design(rows: Rows) -> np.ndarray:
        parts = [np.ones((len(rows.steps_R), 1)), features(rows)]
        if "state" in beside:
            parts.append((rows.states_RSD[:, 0] - mean) / spread)
        if "positions" in beside:
            parts += [rows.last_carried(), by_flanks(rows)]
        return np.hstack(parts)

    x, target = design(train), train.last_change().astype(np.float64)
    gram, moment = x.T @ x, x.T @ target
    watched, truth = design(held_out), held_out.last_change()
    fitted = [np.linalg.solve(gram + penalty * np.eye(len(gram)), moment) for penalty in PENALTIES]
    best = min(fitted, key=lambda weights: float(np.square(watched @ weights - truth).sum()))
    return design(others) @ best


def by_flanks(rows: Rows) -> np.ndarray:
    """float32[R, F]: the vectors beside each edit, added up over the row's edits."""
    assert rows.positions is not None
    return np.where(rows.valid_RK[..., None], rows.positions.flank_RKF, 0).sum(1)


def copy_nearest(train: Rows, others: Rows) -> np.ndarray:
    """float64[R, D]: the change of the single training edit of the same class, at the nearest offset, whose state is
    nearest; of the same kind where the class is new.
    """
    bank: dict[Class, list[int]] = defaultdict(list)
    for row, own in enumerate(classes(train)):
        if len(own) == 1:
            bank[own[0]].append(row)
            bank[own[0][:1]].append(row)
    rows_of = {key: np.array(rows) for key, rows in bank.items()}
    change, spread = train.change_RKD[:, 0], train.states_RSD[:, 0].std(0) + 1e-6
    source = train.states_RSD[:, 0] / spread
    found = np.zeros((len(others.steps_R), change.shape[1]))
    for row, step, chosen in _steps(others, rows_of):
        apart = np.abs(train.offset_RK[chosen, 0] - others.offset_RK[row, step])
        nearest = chosen[apart == apart.min()]
        distance = np.square(source[nearest] - others.states_RSD[row, 0] / spread).sum(1)
        found[row] += change[nearest[int(distance.argmin())]]
    return found


def _steps(rows: Rows, rows_of: dict[Class, np.ndarray]) -> Iterator[tuple[int, int, np.ndarray]]:
    for row, own in enumerate(classes(rows)):
        for step, what in enumerate(own):
            chosen = rows_of.get(what, rows_of.get(what[:1]))
            if chosen is not None:
                yield row, step, chosen


def squared_errors(train: Rows, held_out: Rows, test: Rows) -> dict[str, np.ndarray]:
    """float64[R] by name: each baseline's squared error of the whole change of every test row, over dimensions."""
    truth = test.last_change().astype(np.float64)
    predicted = {
        "no_change": np.zeros_like(truth),
        "class_mean": class_mean(train, test),
        "ridge": ridge(train, held_out, test),
        "ridge_with_state": ridge(train, held_out, test, "state"),
        "copy_nearest": copy_nearest(train, test),
    }
    if test.positions is not None:
        predicted["carried"] = test.last_carried()
        predicted["ridge_with_positions"] = ridge(train, held_out, test, "state", "positions")
    return {name: np.square(value - truth).sum(1) for name, value in predicted.items()}
