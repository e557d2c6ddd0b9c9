"""What sources say of records besides their content, from every domain that keeps it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from assets_data.lineage import Snapshot
from assets_data.stage import load
from pipeline_defs.catalogue import catalogue

Fields = Mapping[str, Sequence[str]]
"""Field -> its values."""
SHOWN = 5
"""Values of a field that a report names."""


def carried_fields(snapshots: Iterable[Snapshot], records: Collection[bytes]) -> dict[bytes, Fields]:
    """Record -> what is kept beside it; only the records of which something is."""
    read = list(snapshots)
    found: dict[bytes, Fields] = {}
    for domain in catalogue().domains.values() if records else ():
        if domain.carried:
            found |= load(domain.carried)(read, records)
    return found


def in_words(fields: Fields) -> Iterator[str]:
    """A line per field: ``meta.source: web | books``."""
    return (f"{name}: {' | '.join(values)}" for name, values in fields.items())


def tally(snapshots: Iterable[Snapshot]) -> Iterator[tuple[str, str]]:
    """``("rows by meta.source", "web 120, books 40, and 3 more")`` for every field that sources among these keep."""
    read = list(snapshots)
    for domain in catalogue().domains.values():
        for name, values in load(domain.tally)(read).items() if domain.tally else ():
            most = sorted(values.items(), key=lambda entry: (-entry[1], entry[0]))
            rest = [f"and {len(most) - SHOWN} more"] if len(most) > SHOWN else []
            yield f"rows by {name}", ", ".join([f"{value} {count:,}" for value, count in most[:SHOWN]] + rest)
