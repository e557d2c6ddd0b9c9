"""Which records tables name: few are noted as the tables are hashed, and what is noted is what the tables say."""

import hashlib

import numpy as np
import pyarrow as pa
import pytest

from assets_data.lineage.identity.digests import digest_file, table_digest
from assets_data.lineage.identity.tables import TableFile
from assets_data.lineage.queries import record_lookup
from assets_data.lineage.queries.record_lookup import FEW, RecordLookup


def ids(*numbers):
    return [hashlib.sha256(bytes([number % 251, number // 251])).hexdigest() for number in numbers]


def as_rows(hexes):
    return np.frombuffer(bytes.fromhex("".join(sorted(hexes))), np.uint8).reshape(-1, 32)


@pytest.fixture
def published(store):
    """A snapshot of tables, each with these records."""

    def make(name="test/tables", **tables):
        def build(writer):
            for stem, numbers in tables.items():
                writer.write_table(f"{stem}.parquet", pa.table({"record_id": pa.array(ids(*numbers), pa.string())}))

        module = "assets_data.lineage.storage.store"
        arguments = {stem: list(numbers) for stem, numbers in tables.items()}
        return store.run_stage(name=name, module=module, config={}, parents={}, arguments=arguments, build=build)

    return make


@pytest.fixture
def opened(monkeypatch):
    paths, begin = [], TableFile.__init__
    monkeypatch.setattr(
        TableFile, "__init__", lambda table, path, *data: paths.append(path) or begin(table, path, *data)
    )
    return paths


@pytest.mark.parametrize("count", [0, 1, FEW - 1, FEW, FEW + 1, 3 * FEW])
@pytest.mark.parametrize("small", [True, False])
def test_a_table_is_read_again_only_if_it_names_more_than_a_few(published, opened, count, small):
    snapshot, lookup = published(a=range(count)), RecordLookup()
    data = snapshot.file("a.parquet").read_bytes() if small else None
    assert lookup.digest(snapshot, "a.parquet", data) == table_digest(snapshot.file("a.parquet"))
    before = len(opened)
    assert np.array_equal(lookup.sample(snapshot, "a.parquet"), as_rows(ids(*range(count))))
    assert (len(opened) > before) == (count > FEW)


def test_what_is_kept_is_bounded_and_what_is_not_kept_is_read(published, opened, monkeypatch):
    monkeypatch.setattr(record_lookup, "KEPT", 2)
    monkeypatch.setattr(record_lookup, "SAME", 2)
    tables = {f"t{n}": [n, n + 10] for n in range(5)}
    snapshot, lookup = published(**tables), RecordLookup()
    for name in snapshot.files:
        path = snapshot.file(name)
        assert lookup.digest(snapshot, name, path.read_bytes()) == table_digest(path)
        assert len(lookup._few) <= 2 and len(lookup._same) <= 2
    opened.clear()
    for stem, numbers in tables.items():
        assert np.array_equal(lookup.sample(snapshot, f"{stem}.parquet"), as_rows(ids(*numbers)))
    assert len(opened) == 3


def test_of_many_records_as_many_evenly_spaced_ones_are_taken(published, monkeypatch):
    monkeypatch.setattr(record_lookup, "SAMPLED", 40)
    snapshot = published(a=range(100))
    assert np.array_equal(RecordLookup().sample(snapshot, "a.parquet"), as_rows(ids(*range(0, 100, 2))))


def test_equal_bytes_of_another_suffix_say_something_else(store, published):
    table = published(a=[1, 2]).file("a.parquet").read_bytes()

    def build(writer):
        for name in ("a.bin", "b.parquet"):
            writer.part(name).write_bytes(table)

    module = "assets_data.lineage.storage.store"
    both = store.run_stage(name="test/both", module=module, config={}, parents={}, build=build)
    lookup = RecordLookup()
    assert lookup.digest(both, "a.bin", table) == digest_file(both.file("a.bin"))
    assert lookup.digest(both, "b.parquet", table) == table_digest(both.file("b.parquet"))


@pytest.mark.parametrize("hashed", [True, False])
def test_what_no_parent_names_is_left(published, hashed):
    one, two, lookup = published(a=[1, 2], b=[3]), published("test/others", c=range(5, 5 + 2 * FEW)), RecordLookup()
    for snapshot in (one, two) if hashed else ():
        for name in snapshot.files:
            lookup.digest(snapshot, name)
    wanted = as_rows(ids(1, 3, 4, 6, 900))
    assert np.array_equal(lookup.left(wanted, [one, two]), as_rows(ids(4, 900)))
    assert np.array_equal(lookup.left(wanted, [two]), as_rows(ids(1, 3, 4, 900)))
    assert not len(lookup.left(as_rows(ids(2)), [one]))
