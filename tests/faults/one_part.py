"""One plain part on the loopback server: fetching it, and what is left when it is refused."""

import pytest

from assets_data.lineage import DataError
from tests.assets_data.sources.http.corpus import jsonl, rows, source_of

PART = "/corpus/a.jsonl"
DATA = jsonl(rows(1, 2000))  # about 400 kB: several blocks, and several ranges where a test asks for small ones


def fetched(store, server, **http):
    """The bytes of the one part, as kept."""
    (part,) = source_of(store, server, **http).parts("http-0")
    part.require_unchanged()
    return part.path.read_bytes()


def refusal(store, server, kind=DataError, **http):
    """The refusal's error; nothing is pinned then."""
    source = source_of(store, server, **http)
    with pytest.raises(kind) as error:
        source.parts("http-0")
    assert source.ledger.part("a.jsonl") is None and not source.ledger.cached("a.jsonl").exists()
    return error.value


def leftovers(store):
    """Temps and partials of the fetch."""
    return [path for path in (store.root / "fetch").rglob("*") if path.name.startswith((".tmp-", "partial-"))]
