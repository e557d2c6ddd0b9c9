"""Slices that recorded HTTP sources offer by now: what a sensor asks for, tick by tick."""

from __future__ import annotations

from assets_data.lineage import StemmaError, Store


def grown_slices(store: Store, most: int) -> tuple[set[str], list[str]]:
    """``(names, warnings)``: every recorded slice, at most ``most`` new ones of each source among them.

    Sources whose slices are cut by count or size are left to ``stemma slices add``, for cutting fetches them. One
    server that is down is a warning and does not hold up the others.
    """
    from assets_data.sources.http.source import recorded_sources

    names: set[str] = set()
    warnings: list[str] = []
    for source in recorded_sources(store):
        if not (source.http.count or source.http.size):
            try:
                source.add(most, whole_only=True)
            except StemmaError as error:
                warnings.append(f"{source.http.index_url}: {error}")
        names |= {plan.name for plan in source.ledger.slices()}
    return names, warnings
