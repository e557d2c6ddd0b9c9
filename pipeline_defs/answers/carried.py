"""What sources say of records besides their content, from every domain that keeps it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from assets_data.lineage import Snapshot
from assets_data.stage import load
from pipeline_defs.catalogue import catalogue

Fields = Mapping[str, Sequence[str]]
"""Field -> its values."""


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
