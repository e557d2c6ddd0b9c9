"""Where the bases of a window come from once it is edited.

An encoder's vector of a base far from an edit stays what it was; the base's place is another. What slides in beside the
anchor is therefore known before the edited window is encoded: it lies further out in the window before. R rows, K
steps, W bases of a window, P bases beside an edit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assets_data.domains.genome.read import EMPTY, STEPS, N, Trajectories


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Places in the window before all edits, 0 to W - 1. A base that was put in is at W and its code (A, C, G, T), and
    W + N is what lay outside the window. Behind a row's last step places repeat.
    """

    carried_RKW: np.ndarray
    """int16[R, K, W]: of every base of the window after each step."""
    flank_RKP: np.ndarray
    """int16[R, K, P]: of the bases left of each edit, nearest first, then right of it, as it is met."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Positions:
    """What the vectors before all edits say of each step; D the width of a state, F of all that lies beside an edit."""

    carried_RKD: np.ndarray
    """float32[R, K, D]: the state that they make at their new places."""
    flank_RKF: np.ndarray
    """float32[R, K, F]: those beside the edit, end to end."""

    @classmethod
    def of(cls, values_RKN: np.ndarray, dims: int) -> Positions:
        """What ``encoder.carry`` gives, for states of width ``dims``."""
        return cls(carried_RKD=values_RKN[..., :dims], flank_RKF=values_RKN[..., dims:])


def places(rows: Trajectories, flank: int) -> Places:
    """Where the bases of every row come from; ``flank`` is how many on each side of an edit."""
    count, _, width = rows.windows_RSW.shape
    unknown = width + N
    carried = np.full((count, STEPS, width), unknown, np.int16)
    beside = np.full((count, STEPS, 2 * flank), unknown, np.int16)
    outside = np.full(width, unknown, np.int16)
    start = np.concatenate([outside, np.arange(width, dtype=np.int16), outside])
    for row in range(count):
        haplotype, anchor = start, width + width // 2
        for step in range(int(rows.steps_R[row])):
            deleted, inserted = rows.deleted_RKA[row, step], rows.inserted_RKA[row, step]
            left = anchor + int(rows.offset_RK[row, step])
            right = left + int((deleted != EMPTY).sum())
            beside[row, step:, :flank] = haplotype[left - flank : left][::-1]
            beside[row, step:, flank:] = haplotype[right : right + flank]
            new = inserted[inserted != EMPTY].astype(np.int16) + width
            haplotype = np.concatenate([haplotype[:left], new, haplotype[right:]])
            anchor += int(rows.shift_RK[row, step])
            carried[row, step:] = haplotype[anchor - width // 2 :][:width]
    return Places(carried_RKW=carried, flank_RKP=beside)
