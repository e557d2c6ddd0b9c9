"""One allele, in one spelling: the one that every spelling of the same change comes to.

An allele is ``(pos, ref, alt)`` on a sequence, ``pos`` counted from 0, ``ref`` and ``alt`` of at least one base each.
The normal form is that of Tan, Abecasis & Kang 2015 ("Unified representation of genetic variants"): as far left as it
goes, no base more than needed, one anchor base where one side would be empty. Nothing is moved over an N or past base
0; there the anchor is the base behind.
"""

from __future__ import annotations

import hashlib

from assets_data.domains.genome.read import KINDS

Allele = tuple[int, str, str]
SNV, INS, DEL, MNV, INDEL = KINDS
LETTERS = frozenset("ACGT")


def normalize(sequence: bytes, pos: int, ref: str, alt: str) -> Allele:
    """The normal form of an allele whose ``ref`` is what ``sequence`` (capital letters) says there; ``ref != alt``.

    Idempotent, and the edited sequence is the same. Costs the bases moved.
    """
    while ref[-1] == alt[-1]:
        if min(len(ref), len(alt)) > 1:
            ref, alt = ref[:-1], alt[:-1]
            continue
        if pos == 0 or (before := chr(sequence[pos - 1])) not in LETTERS:
            break
        pos, ref, alt = pos - 1, before + ref[:-1], before + alt[:-1]
    while min(len(ref), len(alt)) > 1 and ref[0] == alt[0]:
        pos, ref, alt = pos + 1, ref[1:], alt[1:]
    return pos, ref, alt


def core(pos: int, ref: str, alt: str) -> Allele:
    """The change alone, without what both sides share: ``(start, deleted, inserted)``; one of them may be empty."""
    front = 0
    while front < min(len(ref), len(alt)) and ref[front] == alt[front]:
        front += 1
    pos, ref, alt = pos + front, ref[front:], alt[front:]
    while ref and alt and ref[-1] == alt[-1]:
        ref, alt = ref[:-1], alt[:-1]
    return pos, ref, alt


def kind_of(ref: str, alt: str) -> str:
    """SNV, INS, DEL, MNV or INDEL, by the change alone: an anchor base more or less is no other kind."""
    if len(ref) == 1 == len(alt):
        return SNV
    _, deleted, inserted = core(0, ref, alt)
    if not deleted or not inserted:
        return INS if inserted else DEL
    if len(deleted) == len(inserted):
        return SNV if len(deleted) == 1 else MNV
    return INDEL


def record_id(contig_digest: str, pos: int, ref: str, alt: str) -> str:
    """64 hex characters: SHA-256 of the canonical JSON of a normalised allele and the digest of its sequence."""
    document = f'{{"alt":"{alt}","contig":"{contig_digest}","pos":{pos},"ref":"{ref}"}}'
    return hashlib.sha256(document.encode()).hexdigest()
