"""Trajectories by keyed draws: an anchor, and one to three edits near it, with exact quotas of steps and kinds.

Item i of an epoch is a pure function of (seed, split, epoch, i) and of what may be drawn. An observed allele is chosen
as the one with the least digest of (item, allele), so that taking an allele out changes the items that chose it and no
others (rendezvous hashing: Thaler & Ravishankar 1998).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from assets_data.domains.genome.alleles import DEL, INS, MNV, SNV, Allele, kind_of, normalize
from assets_data.domains.genome.config import TrajectoriesConfig
from assets_data.domains.genome.haplotype import Contig, edit_of, overlap
from assets_data.domains.genome.read import KINDS, REACH
from assets_data.lineage import DataError, mix64

ATTEMPTS = 1000
_BASES = "ACGT"


@dataclass(frozen=True, slots=True)
class Drawn:
    """One edit: an allele in normal form, and the record it comes from, if anyone observed it."""

    allele: Allele
    record: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """One trajectory: an anchor and its edits, in the order they are made."""

    contig: str
    anchor: int
    edits: tuple[Drawn, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """What may be drawn: ``anchors`` as ``(sequence, place)``; ``observed`` SNVs by sequence and place, with records;
    ``barred`` alleles, which have a label.
    """

    contigs: Mapping[str, Contig]
    anchors: Sequence[tuple[str, int]]
    observed: Mapping[tuple[str, int], Sequence[Drawn]]
    barred: frozenset[tuple[str, Allele]]


@dataclass(frozen=True, slots=True)
class Plan:
    """The quotas of one epoch: steps of each item, and kind of each step; ``observed`` says which SNVs are alleles."""

    steps: np.ndarray
    kinds: np.ndarray
    observed: np.ndarray


def quotas(shares: Sequence[float], total: int) -> np.ndarray:
    """int64[n]: whole numbers that add up to ``total``, by largest remainder; equal remainders by place."""
    exact = np.array(shares, np.float64) / sum(shares) * total
    counts = np.floor(exact).astype(np.int64)
    rest = np.argsort(-(exact - counts), kind="stable")[: total - counts.sum()]
    counts[rest] += 1
    return counts


def plan(config: TrajectoriesConfig, split: str, epoch: int, count: int) -> Plan:
    """Exact quotas in keyed order. Steps are int64[count]; the others [count, 3], used as far as steps go."""
    stream = f"trajectories/{split}/{epoch}"
    steps = _dealt(config.seed, f"{stream}/steps", quotas(config.steps, count)) + 1
    place = np.flatnonzero(np.arange(3)[None, :] < steps[:, None])
    kinds, observed = np.zeros(count * 3, np.int64), np.zeros(count * 3, bool)
    kinds[place] = _dealt(config.seed, f"{stream}/kinds", quotas(config.kinds, len(place)))
    snvs = place[kinds[place] == KINDS.index(SNV)]
    shares = (1 - config.observed, config.observed)
    observed[snvs] = _dealt(config.seed, f"{stream}/observed", quotas(shares, len(snvs))).astype(bool)
    return Plan(steps, kinds.reshape(-1, 3), observed.reshape(-1, 3))


def draw_item(config: TrajectoriesConfig, pool: Pool, quota: Plan, split: str, epoch: int, number: int) -> Item:
    """Item ``number``. Raises DataError TRAJECTORY_NONE when nothing fits in a thousand attempts."""
    steps = int(quota.steps[number])
    asked = [(KINDS[quota.kinds[number, k]], bool(quota.observed[number, k])) for k in range(steps)]
    for attempt in range(ATTEMPTS):
        key = f"{config.seed}/{split}/{epoch}/{number}/{attempt}"
        contig, anchor = pool.anchors[_Draws(key).below(len(pool.anchors))]
        edits: list[Drawn] = []
        for step, (kind, observed) in enumerate(asked):
            own = f"{key}/{step}"
            drawn = _observed(own, pool, contig, anchor) if observed else _made(own, config, pool, contig, anchor, kind)
            if drawn is None or any(_clash(drawn, other) for other in edits):
                break
            edits.append(drawn)
        if len(edits) == steps:
            return Item(contig, anchor, tuple(edits))
    action = "give more variants, or make trajectories.observed smaller"
    raise DataError(
        "TRAJECTORY_NONE", "no edits of these kinds fit around any anchor", found=asked, where=split, action=action
    )


def _observed(key: str, pool: Pool, contig: str, anchor: int) -> Drawn | None:
    near = [d for place in range(anchor - REACH, anchor + REACH + 1) for d in pool.observed.get((contig, place), ())]
    return min(near, key=lambda d: hashlib.sha256(f"{key}/{d.record}".encode()).digest(), default=None)


def _made(key: str, config: TrajectoriesConfig, pool: Pool, contig: str, anchor: int, kind: str) -> Drawn | None:
    """A drawn edit of a kind whose normal form begins within reach of the anchor; None where this draw gave none."""
    draws, sequence = _Draws(key), pool.contigs[contig].bases
    place = anchor - REACH + draws.below(2 * REACH + 1)
    if not 1 <= place < len(sequence) - 2 * config.longest:
        return None
    ref, alt = _spelled(draws, sequence, place, kind, config.longest)
    if ref == alt or "N" in ref:
        return None
    allele = normalize(sequence, place, ref, alt)
    start = edit_of(allele).start
    fits = kind_of(*allele[1:]) == kind and abs(start - anchor) <= REACH and (contig, allele) not in pool.barred
    return Drawn(allele) if fits else None


def _spelled(draws: _Draws, sequence: bytes, place: int, kind: str, longest: int) -> tuple[str, str]:
    """``(ref, alt)`` at ``place``: of an insertion or deletion with the base before the change as its anchor."""
    if kind == SNV:
        ref = chr(sequence[place])
        return ref, _BASES[(_BASES.find(ref) + 1 + draws.below(3)) % 4]
    if kind == MNV:
        length = 2 + draws.below(2)
        return sequence[place : place + length].decode(), draws.bases(length)
    length = draws.geometric(longest)
    if kind == INS:
        ref = chr(sequence[place])
        return ref, ref + draws.bases(length)
    ref = sequence[place : place + length + 1].decode()
    if kind == DEL:
        return ref, ref[0]
    return ref[:longest], draws.bases(draws.geometric(longest))


def _clash(one: Drawn, other: Drawn) -> bool:
    return overlap(edit_of(one.allele), edit_of(other.allele))


class _Draws:
    """Numbers from a key, one after the other."""

    def __init__(self, key: str) -> None:
        self._bytes, self._at = hashlib.shake_128(key.encode()).digest(128), 0

    def below(self, bound: int) -> int:
        """Uniform in 0 to bound - 1, to one part in four billion."""
        self._at += 4
        return int.from_bytes(self._bytes[self._at - 4 : self._at], "big") * bound >> 32

    def bases(self, length: int) -> str:
        """Uniform bases."""
        return "".join(_BASES[self.below(4)] for _ in range(length))

    def geometric(self, longest: int) -> int:
        """1, 2, 3, ... with half the chance each time, ``longest`` at most."""
        bits = self.below(1 << longest)
        return min(longest, longest - bits.bit_length() + 1)


def _dealt(seed: int, stream: str, counts: np.ndarray) -> np.ndarray:
    """int64[sum of counts]: each number as often as its count says, in keyed order."""
    total = int(counts.sum())
    dealt = np.empty(total, np.int64)
    dealt[np.argsort(mix64(seed, stream, np.arange(total, dtype=np.uint64)), kind="stable")] = np.repeat(
        np.arange(len(counts)), counts
    )
    return dealt
