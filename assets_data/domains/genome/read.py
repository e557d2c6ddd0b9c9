"""Reading what the domain published. Recipes import this: numpy, pyarrow and the lineage room only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import pyarrow as pa

from assets_data.documents import read_manifest
from assets_data.lineage import Snapshot, Store

SPLITS = ("train", "validation", "test")
KINDS = ("SNV", "INS", "DEL", "MNV", "INDEL")
BASES = "ACGTN"
"""The code of a base is its place here; anything but A, C, G and T is N."""
N = 4
STEPS = 3
"""Most edits of a trajectory."""
ALLELE = 16
"""Most bases that an edit takes out, and most that it puts in."""
EMPTY = 5
"""The code of no base, behind the bases of an allele."""
REACH = 12
"""Farthest that an edit of a trajectory begins from its anchor, in bases of the reference."""

_CODES = np.full(256, N, np.uint8)
_CODES[np.frombuffer(BASES.encode(), np.uint8)] = np.arange(5)
_LETTERS = np.frombuffer(BASES.encode(), np.uint8)


def encode(bases: bytes) -> np.ndarray:
    """uint8[n]: the codes of capital letters."""
    return _CODES[np.frombuffer(bases, np.uint8)]


def decode(codes: np.ndarray) -> str:
    """The letters of codes."""
    return _LETTERS[codes].tobytes().decode()


def reverse_complement(codes: np.ndarray) -> np.ndarray:
    """Codes of the other strand, read in its own direction, along the last axis; N stays N, above it too."""
    turned = codes[..., ::-1]
    return np.where(turned < N, 3 - turned, turned).astype(codes.dtype)


class Layout(TypedDict):
    """What a reader of windows and trajectories must know (width, kinds), and of a slice of variants (the rest)."""

    width: int
    kinds: dict[str, dict[str, int]]
    source: str
    origin: str
    licence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Windows of the reference in one split."""

    row_keys: np.ndarray
    """uint64[R]: the order's keys."""
    codes_RW: np.ndarray
    """uint8[R, W]."""
    place_R: np.ndarray
    """int64[R]: where windows begin, as one number over all sequences; see :func:`blocks`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trajectories:
    """Windows before and after each of up to three edits, in one split. Behind a row's last step all repeats or is 0.

    S is 4, the states; K is 3, the steps; A is ``ALLELE``.
    """

    row_keys: np.ndarray
    """uint64[R]: the order's keys."""
    steps_R: np.ndarray
    """int64[R]: 1 to 3."""
    windows_RSW: np.ndarray
    """uint8[R, S, W]: before, and after each step; the anchor is at W // 2."""
    kind_RK: np.ndarray
    """int64[R, K]: places in ``KINDS``."""
    offset_RK: np.ndarray
    """int64[R, K]: of the edit's first base from the anchor, in the haplotype it is made in."""
    shift_RK: np.ndarray
    """int64[R, K]: bases by which the anchor moves."""
    deleted_RKA: np.ndarray
    """uint8[R, K, A]: codes, then ``EMPTY``."""
    inserted_RKA: np.ndarray
    """uint8[R, K, A]: codes, then ``EMPTY``."""
    place_R: np.ndarray
    """int64[R]: where anchors lie, as one number over all sequences; see :func:`blocks`."""


def open_members(store: Store, manifest: Snapshot) -> dict[str, Snapshot]:
    """``reference``, ``split``, ``windows`` and ``trajectories``, and ``variants/<slice>``, verified.

    Raises IntegrityError when a member is gone or changed.
    """
    members: Mapping[str, str] = read_manifest(manifest)["members"]
    return {name: store.snapshot(member) for name, member in members.items()}


def open_windows(snapshot: Snapshot, split: str) -> Windows:
    """One split of a ``genome/windows``."""
    table = snapshot.table(f"{split}.arrow")
    return Windows(
        row_keys=table["row_key"].to_numpy(),
        codes_RW=_matrix(table["codes"]),
        place_R=_places(table["contig"], table["start"]),
    )


def open_trajectories(snapshot: Snapshot, split: str) -> Trajectories:
    """One split of a ``genome/trajectories``."""
    table = snapshot.table(f"{split}.arrow")

    def steps(name: str) -> np.ndarray:
        return np.stack([table[f"{name}_{step}"].to_numpy().astype(np.int64) for step in range(1, STEPS + 1)], 1)

    def alleles(name: str) -> np.ndarray:
        return np.stack([_matrix(table[f"{name}_{step}"]) for step in range(1, STEPS + 1)], 1)

    return Trajectories(
        row_keys=table["row_key"].to_numpy(),
        steps_R=table["steps"].to_numpy().astype(np.int64),
        windows_RSW=np.stack([_matrix(table[f"window_{state}"]) for state in range(STEPS + 1)], 1),
        kind_RK=steps("kind"),
        offset_RK=steps("offset"),
        shift_RK=steps("shift"),
        deleted_RKA=alleles("deleted"),
        inserted_RKA=alleles("inserted"),
        place_R=_places(table["contig"], table["anchor"]),
    )


def _matrix(column: pa.ChunkedArray) -> np.ndarray:
    """uint8[R, W] of equally long lists."""
    combined = column.combine_chunks()
    flat = combined.flatten().to_numpy()
    return flat.reshape(len(combined), -1) if len(combined) else flat.reshape(0, 1)


def blocks(places: np.ndarray, width: int = 100) -> np.ndarray:
    """int64[n]: equal where places lie in the same ``width`` bases of the same sequence: what lies close is alike."""
    return places // _FAR * _FAR + places % _FAR // width


_FAR = 1 << 32


def _places(contigs: pa.ChunkedArray, places: pa.ChunkedArray) -> np.ndarray:
    names = contigs.to_pylist()
    number = {name: index for index, name in enumerate(sorted(set(names)))}
    return np.array([number[name] for name in names], np.int64) * _FAR + places.to_numpy()
