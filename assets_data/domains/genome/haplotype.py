"""Sequences with edits in them: the edited haplotype around an anchor, cut into windows of one length.

Coordinates are those of the reference, counted from 0, whatever was edited before. Of a circular sequence they go on
past its end and before its beginning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assets_data.domains.genome.alleles import Allele, core
from assets_data.lineage import DataError


@dataclass(frozen=True, slots=True)
class Contig:
    """A sequence in capital letters, and whether its end goes on with its beginning."""

    name: str
    bases: bytes
    circular: bool = False

    def segment(self, begin: int, end: int) -> bytes:
        """Bases ``begin`` to ``end``. Raises DataError WINDOW_OFF_CONTIG where a linear sequence has none."""
        length = len(self.bases)
        if begin >= 0 and end <= length:
            return self.bases[begin:end]
        if not self.circular or end - begin > length:
            what = "the window reaches beyond the sequence"
            raise DataError("WINDOW_OFF_CONTIG", what, expected=f"0 to {length}", found=(begin, end), where=self.name)
        return bytes(self.bases[place % length] for place in range(begin, end))


@dataclass(frozen=True, slots=True)
class Edit:
    """What is taken out of the reference, from ``start``, and what is put there: an allele without shared bases."""

    start: int
    deleted: bytes
    inserted: bytes

    @property
    def end(self) -> int:
        """The first reference base behind what is taken out."""
        return self.start + len(self.deleted)

    @property
    def growth(self) -> int:
        """How many bases longer the sequence becomes."""
        return len(self.inserted) - len(self.deleted)


@dataclass(frozen=True, slots=True)
class Step:
    """One edit as it is met: ``offset`` of its first base from the anchor before it, in bases of the haplotype then;
    ``shift``, by how many bases the anchor moves along the haplotype.
    """

    offset: int
    shift: int


def edit_of(allele: Allele) -> Edit:
    """The edit that an allele is."""
    start, deleted, inserted = core(*allele)
    return Edit(start, deleted.encode(), inserted.encode())


def require_edits(contig: Contig, edits: Sequence[Edit]) -> None:
    """Raise DataError VARIANT_REF_MISMATCH or EDITS_OVERLAP: each edit says what the reference says, and no two touch
    the same base or insert at the same place. An insertion right before or behind a deletion is no overlap.
    """
    for edit in edits:
        found = contig.segment(edit.start, edit.end) if edit.deleted else b""
        if found != edit.deleted:
            what = "the reference says something else there"
            where = f"{contig.name}:{edit.start + 1}"
            raise DataError(
                "VARIANT_REF_MISMATCH", what, expected=edit.deleted.decode(), found=found.decode(), where=where
            )
    for index, one in enumerate(edits):
        for other in edits[:index]:
            if overlap(one, other):
                where = f"{contig.name}:{one.start + 1} and {other.start + 1}"
                raise DataError("EDITS_OVERLAP", "two edits touch the same bases", where=where)


def overlap(one: Edit, other: Edit) -> bool:
    """Whether two edits touch the same base, or both insert before the same base."""
    if one.start == one.end and other.start == other.end:
        return one.start == other.start
    return one.start < other.end and other.start < one.end


def windows(contig: Contig, anchor: int, edits: Sequence[Edit], width: int) -> tuple[list[bytes], list[Step]]:
    """``len(edits) + 1`` windows of ``width`` bases, before the edits and after each of them, and each edit's step.

    Each window is cut from the edited haplotype, with the flanks that are really there, and has the anchor base at
    ``width // 2``. A replaced anchor base stays the anchor; of a deleted one it is the last kept base on its left.
    Raises what :func:`require_edits` raises, and DataError WINDOW_OFF_CONTIG.
    """
    placed = [Edit(_near(contig, edit.start, anchor), edit.deleted, edit.inserted) for edit in edits]
    require_edits(contig, placed)
    reach = width + sum(len(edit.deleted) for edit in placed)
    begin, end = anchor - reach, anchor + reach
    if not contig.circular:
        begin, end = max(0, begin), min(len(contig.bases), end)
    base = contig.segment(begin, end)
    found, steps = [], []
    for count in range(len(placed) + 1):
        index = _index(anchor, placed[:count]) - begin
        haplotype = _edited(base, begin, placed[:count])
        left = index - width // 2
        if left < 0 or left + width > len(haplotype):
            what = "the window reaches beyond the sequence"
            raise DataError("WINDOW_OFF_CONTIG", what, found=f"{contig.name}:{anchor + 1}", expected=f"{width} bases")
        found.append(haplotype[left : left + width])
        if count < len(placed):
            after = _index(anchor, placed[: count + 1]) - begin
            steps.append(Step(_place(placed[count], placed[:count]) - begin - index, after - index))
    return found, steps


def _near(contig: Contig, start: int, anchor: int) -> int:
    """A place of a circular sequence as that one of its numbers that is nearest to the anchor."""
    if not contig.circular:
        return start
    length = len(contig.bases)
    return start + round((anchor - start) / length) * length


def _edited(base: bytes, begin: int, edits: Sequence[Edit]) -> bytes:
    haplotype = bytearray(base)
    for edit in sorted(edits, key=lambda e: (e.start, e.end), reverse=True):
        haplotype[edit.start - begin : edit.end - begin] = edit.inserted
    return bytes(haplotype)


def _place(edit: Edit, before: Sequence[Edit]) -> int:
    """Where an edit begins once those before it are made."""
    return edit.start + sum(other.growth for other in before if other.end <= edit.start)


def _index(place: int, edits: Sequence[Edit]) -> int:
    """Where a reference base is once the edits are made; of a deleted one, the last kept base on its left."""
    for edit in edits:
        if edit.start <= place < edit.end:
            if not edit.inserted:
                return _index(edit.start - 1, edits)
            place_in = min(place - edit.start, len(edit.inserted) - 1)
            return _place(edit, edits) + place_in
    return place + sum(edit.growth for edit in edits if edit.end <= place)
