"""Alleles of a file as rows of one edit each, or the reason why one cannot be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from assets_data.domains.genome.alleles import LETTERS, Allele, kind_of, normalize
from assets_data.domains.genome.fasta import Reference
from assets_data.domains.genome.haplotype import Step, edit_of, windows
from assets_data.domains.genome.read import ALLELE, EMPTY, KINDS, STEPS, N, Trajectories, encode
from assets_data.domains.genome.trajectories import padded
from assets_data.lineage import DataError

Row = tuple[str, Allele, list[bytes], Step]


def single_edit(references: Mapping[str, Reference], contig: str, allele: Allele, width: int) -> Row | str:
    """The windows before and after an allele (``pos`` from 0, as read), anchored at its first changed base; or the code
    of the reason why there are none.
    """
    pos, ref, alt = allele[0], allele[1].upper(), allele[2].upper()
    if contig not in references:
        return "CONTIG_UNKNOWN"
    if not ref or not alt or ref == alt or not LETTERS.issuperset(ref + alt):
        return "VARIANT_UNSUPPORTED"
    found = references[contig].contig
    if found.bases[pos : pos + len(ref)] != ref.encode():
        return "VARIANT_REF_MISMATCH"
    normal = normalize(found.bases, pos, ref, alt)
    edit = edit_of(normal)
    if max(len(edit.deleted), len(edit.inserted)) > ALLELE:
        return "VARIANT_UNSUPPORTED"
    try:
        both, (step,) = windows(found, edit.start, [edit], width)
    except DataError as error:
        return error.code
    if any((encode(window) >= N).any() for window in both):
        return "WINDOW_HOLDS_N"
    return contig, normal, both, step


def single_rows(rows: Sequence[Row]) -> Trajectories:
    """The rows as a recipe reads them; keys are their places."""
    count, edits = len(rows), [edit_of(allele) for _, allele, _, _ in rows]
    numbers = {name: np.zeros((count, STEPS), np.int64) for name in ("kind", "offset", "shift")}
    numbers["kind"][:, 0] = [KINDS.index(kind_of(*allele[1:])) for _, allele, _, _ in rows]
    numbers["offset"][:, 0] = [step.offset for *_, step in rows]
    numbers["shift"][:, 0] = [step.shift for *_, step in rows]
    bases = {name: np.full((count, STEPS, ALLELE), EMPTY, np.uint8) for name in ("deleted", "inserted")}
    for name, found in bases.items():
        found[:, 0] = [padded(getattr(edit, name)) for edit in edits]
    coded = np.stack([[encode(window) for window in both] for _, _, both, _ in rows])
    return Trajectories(
        row_keys=np.arange(count, dtype=np.uint64),
        steps_R=np.ones(count, np.int64),
        windows_RSW=np.concatenate([coded, coded[:, 1:], coded[:, 1:]], 1),
        kind_RK=numbers["kind"],
        offset_RK=numbers["offset"],
        shift_RK=numbers["shift"],
        deleted_RKA=bases["deleted"],
        inserted_RKA=bases["inserted"],
        place_R=np.array([allele[0] for _, allele, _, _ in rows], np.int64),
    )
