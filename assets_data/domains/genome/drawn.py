"""Alleles that nobody carries: keyed draws of every kind, spelled as files spell them, not always in normal form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from assets_data.domains.genome.calls import Call
from assets_data.domains.genome.fasta import Reference, edited
from assets_data.lineage import uniform01

SLICES = ("drawn-0", "drawn-1")
_BASES = "ACGT"


def draw_calls(references: Mapping[str, Reference], slice_name: str, count: int, seed: int) -> Iterator[Call]:
    """``count`` alleles in ascending order on the sequences that are edited; every 20th is labelled.

    A third of the indels are spelled with bases on the right that are not needed.
    """
    index = np.arange(count, dtype=np.uint64)
    draws = {
        name: uniform01(seed, f"{slice_name}/{name}", index) for name in ("contig", "place", "kind", "size", "base")
    }
    contigs = edited(references.values())
    found: list[Call] = []
    for item in range(count):
        contig = contigs[int(draws["contig"][item] * len(contigs))].contig
        place = 20 + int(draws["place"][item] * (len(contig.bases) - 40))
        ref, alt = _allele(contig.bases, place, *(float(draws[name][item]) for name in ("kind", "size", "base")))
        if ref != alt and set(ref + alt) <= set(_BASES):
            label = ("P", "B")[item // 20 % 2] if item % 20 == 0 else ""
            found.append(
                Call(0, contig.name, place, ref, alt, int(draws["size"][item] * 50), float(draws["base"][item]), label)
            )
    found.sort(key=lambda call: (call.contig, call.pos))
    yield from (call._replace(line=line) for line, call in enumerate(found, 1))


def _allele(bases: bytes, place: int, kind: float, size: float, base: float) -> tuple[str, str]:
    length = 1 + int(size * 4)
    first, tail = chr(bases[place]), bases[place + 1 : place + 3].decode() if base < 1 / 3 else ""
    inserted = "".join(_BASES[int(base * 4 ** (step + 1)) % 4] for step in range(length))
    if kind < 0.7:
        return first, _BASES[int(base * 4)]
    if kind < 0.85:
        return first + tail, first + inserted + tail
    deleted = bases[place : place + 1 + length].decode()
    rest = bases[place + 1 + length : place + 3 + length].decode() if tail else ""
    return deleted + rest, first + rest
