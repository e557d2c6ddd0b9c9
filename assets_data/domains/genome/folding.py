"""Spellings of one allele folded into one row, in batches; of a sorted file only what lies close together is held."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from assets_data.domains.genome.alleles import kind_of
from assets_data.domains.genome.calls import Call, merge_labels
from assets_data.lineage import DataError

SCHEMA = pa.schema(
    [
        ("record_id", pa.string()),
        ("contig", pa.string()),
        ("pos", pa.int64()),  # from 0
        ("ref", pa.string()),
        ("alt", pa.string()),
        ("kind", pa.string()),
        ("count", pa.int64()),  # -1: not known
        ("frequency", pa.float64()),  # a fraction; -1: not known
        ("label", pa.string()),  # "" : none
        ("spellings", pa.string()),  # line:position from 1:ref:alt, as read; several with a blank between
    ]
)
HELD = 1 << 13
"""Alleles held before the first are written; about a kilobyte each."""
FARTHEST = 10_000
"""Bases that a later line may still reach back: no repeat that alleles are moved along is longer."""


@dataclass(slots=True)
class _Row:
    record: str
    normal: Call
    spellings: dict[tuple[int, str, str], Call] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    label: str = ""


class Folding:
    """Counts how many alleles were folded into another spelling, or were there twice."""

    def __init__(self) -> None:
        self.folded = 0
        self._held: dict[tuple[str, int, str, str], _Row] = {}
        self._written: dict[str, int] = {}

    def batches(self, alleles: Iterator[tuple[str, Call, Call]]) -> Iterator[pa.Table]:
        """Tables of distinct alleles; those of one table in the order of contig and place.

        Raises DataError VARIANT_ORDER when a line reaches back behind what was written.
        """
        most = 2 * HELD
        for record, normal, call in alleles:
            self._add(record, normal, call)
            if len(self._held) >= most:
                yield self._flush(call)
                most = 2 * max(HELD, len(self._held))  # where alleles lie denser than that, more of them are held
        yield self._table(list(self._held.values()))

    def _add(self, record: str, normal: Call, call: Call) -> None:
        key = (normal.contig, normal.pos, normal.ref, normal.alt)
        if (row := self._held.get(key)) is None:
            if normal.pos < self._written.get(normal.contig, 0):
                what, where = "the file is not sorted", f"line {call.line}: {call.contig}:{call.pos + 1}"
                raise DataError("VARIANT_ORDER", what, where=where, action="sort it, as by bcftools sort")
            row = self._held[key] = _Row(record, normal)
        else:
            self.folded += 1
        spelling = (call.pos, call.ref.upper(), call.alt.upper())
        twin = row.spellings.get(spelling)
        if twin is None or call.count > twin.count:  # the very same allele twice is no second observation
            row.spellings[spelling] = call
        row.lines.append(f"{call.line}:{call.pos + 1}:{call.ref}:{call.alt}")
        if call.label != row.label:
            row.label = merge_labels((row.label, call.label))

    def _flush(self, call: Call) -> pa.Table:
        """Write what no later line of a sorted file can reach."""
        bound = call.pos - FARTHEST
        done = [key for key in self._held if key[0] != call.contig or key[1] < bound]
        for contig in {key[0] for key in done}:
            self._written[contig] = bound if contig == call.contig else 1 << 62
        return self._table([self._held.pop(key) for key in done])

    def _table(self, rows: list[_Row]) -> pa.Table:
        rows.sort(key=lambda row: (row.normal.contig, row.normal.pos, row.normal.ref, row.normal.alt))
        columns = [
            [row.record for row in rows],
            *([row.normal[place] for row in rows] for place in (1, 2, 3, 4)),
            [kind_of(row.normal.ref, row.normal.alt) for row in rows],
            [_total(row.spellings.values(), 5) for row in rows],
            [_total(row.spellings.values(), 6) for row in rows],
            [row.label for row in rows],
            [" ".join(row.lines) for row in rows],
        ]
        return pa.table([pa.array(column, kind) for column, kind in zip(columns, SCHEMA.types, strict=True)], SCHEMA)


def _total(calls: object, place: int) -> float:
    """Spellings of one allele were counted apart, so their numbers add up; -1 where none is known."""
    known = [call[place] for call in calls if call[place] >= 0]  # type: ignore[attr-defined]
    return sum(known) if known else -1
