"""Slices that recorded sources offer by now: what a sensor asks for, tick by tick."""

from __future__ import annotations

from assets_data.lineage import StemmaError, Store, digest_json
from assets_data.sources.files import FilesSource
from assets_data.sources.recorded import local_sources

RECORDED = "recorded"  # what is over HTTP is pinned when it is recorded


def grown_slices(store: Store, most: int) -> tuple[dict[str, str], list[str]]:
    """``({slice: state}, warnings)``: every recorded slice, at most ``most`` new ones of each source over HTTP.

    The state of a slice is another one once its files are: paths, sizes and times, for nothing is read here. Sources
    whose slices are cut by count or size are left to ``stemma slices add``, for cutting fetches them. One server or
    folder that is not there is a warning and does not hold up the others.
    """
    from assets_data.sources.http.source import recorded_sources

    found: dict[str, str] = {}
    warnings: list[str] = []
    for source in recorded_sources(store):
        if not (source.http.count or source.http.size):
            try:
                source.add(most, whole_only=True)
            except StemmaError as error:
                warnings.append(f"{source.http.index_url}: {error}")
        found |= dict.fromkeys((plan.name for plan in source.ledger.slices()), RECORDED)
    for local in local_sources(store):
        try:
            found |= _states(local)
        except (StemmaError, OSError) as error:
            warnings.append(f"{local.root}: {error}")
    return found, warnings


def _states(source: FilesSource) -> dict[str, str]:
    states: dict[str, str] = {}
    for name, paths in source.slices().items():
        facts = [(path, (source.root / path).stat()) for path in paths]
        listed = [[path, fact.st_size, str(fact.st_mtime_ns)] for path, fact in facts]  # nanoseconds are no JSON number
        if listed:
            states[name] = digest_json(listed).removeprefix("sha256:")[:16]
    return states
