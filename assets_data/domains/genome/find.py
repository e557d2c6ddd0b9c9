"""From an allele as people write it to its record: ``MT:3243 A>G``, ``3243A>G``, or a part of a spelling."""

from __future__ import annotations

import re
from collections.abc import Iterable

from assets_data.domains.genome.variants import TABLE
from assets_data.lineage import Snapshot

_ALLELE = re.compile(r"(?:(?P<contig>[\w.]+):)?(?:m\.)?(?P<pos>\d+)[ :]*(?P<ref>[ACGT]+)[>:](?P<alt>[ACGT]+)")


def find_allele(snapshots: Iterable[Snapshot], wanted: str) -> dict[bytes, tuple[str, str]]:
    """Record -> ``(place, what it says)`` of every allele that is so written, in normal form or as read."""
    found: dict[bytes, tuple[str, str]] = {}
    meant = _ALLELE.fullmatch(wanted.strip())
    for snapshot in snapshots:
        if snapshot.kind != "genome/variants" or meant is None:
            continue
        spelled = ":".join(meant[name] for name in ("pos", "ref", "alt"))
        for row in snapshot.table(TABLE).to_pylist():
            names = {
                f"{row['pos'] + 1}:{row['ref']}:{row['alt']}",
                *(s.partition(":")[2] for s in row["spellings"].split()),
            }
            if spelled in names and meant["contig"] in (None, row["contig"]):
                where = f"{row['contig']}:{row['pos'] + 1}"
                found[bytes.fromhex(row["record_id"])] = (where, f"{row['ref']}>{row['alt']} {row['label']}".strip())
    return found
