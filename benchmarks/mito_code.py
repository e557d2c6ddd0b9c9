"""What a change means under the vertebrate mitochondrial code (NCBI table 2), and MitoTIP's scores of tRNA alleles."""

from __future__ import annotations

import gzip
from functools import cache

import numpy as np

from assets_data.domains.genome.sources import mitomap_folder

CODE = dict(
    zip(
        (a + b + c for a in "TCAG" for b in "TCAG" for c in "TCAG"),
        "FFLLSSSSYY**CCWWLLLLPPPPHHQQRRRRIIMMTTTTNNKKSS**VVVVAAAADDEEGGGG",
        strict=True,
    )
)
GENES = {
    "ND1": (3307, 4262), "ND2": (4470, 5511), "COX1": (5904, 7445), "COX2": (7586, 8269), "ATP8": (8366, 8572),
    "ATP6": (8527, 9207), "COX3": (9207, 9990), "ND3": (10059, 10404), "ND4L": (10470, 10766), "ND4": (10760, 12137),
    "ND5": (12337, 14148), "CYB": (14747, 15887),
}  # fmt: skip
"""First and last base, from 1, of the genes on the light strand (NC_012920.1); ND6 lies on the other."""
ND6 = (14149, 14673)
RNA = (
    (577, 3304),
    (5512, 5903),
    (7446, 7585),
    (8295, 8364),
    (9991, 10058),
    (10405, 10469),
    (12138, 12336),
    (14674, 14742),
    (15888, 16023),
)
"""Stretches of tRNA and rRNA genes between and beside the others, from 1."""
_OTHER = {"A": "T", "C": "G", "G": "C", "T": "A"}


def consequences(alleles: list[tuple[int, str, str]], bases: bytes) -> np.ndarray:
    """0: elsewhere or the same amino acid; 1: RNA gene; 2: another amino acid; 3: a stop, or a shifted frame."""
    return np.array([_consequence(pos, ref, alt, bases.decode()) for pos, ref, alt in alleles], float)


def _consequence(pos: int, ref: str, alt: str, bases: str) -> float:
    place, worst = pos + 1, 0.0
    inside = [span for span in (*GENES.values(), ND6) if span[0] <= place <= span[1]]
    for span in inside:
        if len(ref) != len(alt):
            worst = max(worst, 3.0 if (len(ref) - len(alt)) % 3 else 2.0)
            continue
        worst = max(worst, *(_codon(place + i, alt[i], span, bases) for i in range(len(alt)) if ref[i] != alt[i]))
    if not inside and any(first <= place <= last for first, last in RNA):
        worst = 1.0
    return worst


def _codon(place: int, alt: str, span: tuple[int, int], bases: str) -> float:
    first, last = span
    backwards = span == ND6
    number = (last - place) if backwards else (place - first)
    start = number // 3 * 3
    places = [last - start - i if backwards else first + start + i for i in range(3)]
    if min(places) < first or max(places) > last:
        return 0.0  # an unfinished stop codon, completed by the tail of the messenger
    before = [bases[p - 1] for p in places]
    after = [alt if p == place else bases[p - 1] for p in places]
    if backwards:
        before, after = [_OTHER.get(b, b) for b in before], [_OTHER.get(b, b) for b in after]
    one, other = CODE.get("".join(before), "?"), CODE.get("".join(after), "?")
    return 0.0 if one == other else 3.0 if "*" in (one, other) else 2.0


def mitotip(alleles: list[tuple[int, str, str]]) -> np.ndarray:
    """MitoTIP's score; the least of all where it has none."""
    table = _mitotip()
    least = min(table.values()) - 1
    return np.array([table.get((pos + 1, ref, alt), least) for pos, ref, alt in alleles])


@cache
def _mitotip() -> dict[tuple[int, str, str], float]:
    found = {}
    with gzip.open(mitomap_folder("") / "mitotip_scores.vcf.gz", "rt") as file:
        for line in file:
            if not line.startswith("#"):
                _, pos, _, ref, alt, _, _, info, *_ = line.split("\t")
                found[int(pos), ref, alt] = float(info.partition("MitoTip_score=")[2].partition(";")[0])
    return found
