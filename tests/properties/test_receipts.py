"""Receipts: whatever a build says is read back, field by field, and no other spelling of it is taken."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assets_data.lineage import IntegrityError, Store, digest_bytes
from assets_data.lineage.receipts.byproducts import file_digests
from assets_data.lineage.receipts.reader import read_receipt
from assets_data.lineage.receipts.receipt import RECEIPT_SCHEMAS, SourcePart
from assets_data.lineage.receipts.writer import Build, predicate, public_uri, write_receipt
from tests.assets_data.lineage.stages import CountConfig, make_counts
from tests.properties.documents import INTEGERS, OBJECTS, meaning

WORDS = st.from_regex(r"[a-z][a-z_]{0,8}", fullmatch=True)
HEX = st.binary(min_size=1, max_size=4).map(lambda data: digest_bytes(data).removeprefix("sha256:"))
LOGINS, QUERIES = st.sampled_from(["", "user:secret@"]), st.sampled_from(["", "?key=secret"])
URIS = st.builds("https://{}{}/{}{}".format, LOGINS, WORDS, WORDS, QUERIES)
SOURCES = st.lists(st.builds(SourcePart, name=st.text(min_size=1), sha256=HEX, uri=URIS), max_size=3)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("receipts"))
    return store, [make_counts(store, CountConfig(rows=rows)) for rows in (1, 2, 3)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    st.fixed_dictionaries({"config": OBJECTS, "arguments": OBJECTS, "requested": OBJECTS}),
    st.dictionaries(WORDS.filter(lambda word: word != "source"), st.lists(st.integers(0, 2), max_size=3), max_size=3),
    st.dictionaries(WORDS, INTEGERS, max_size=3),
    SOURCES,
    HEX,
)
def test_every_field_is_read_back_as_it_was_written(made, outside, parents, seeds, sources, version):
    store, snapshots = made
    given_parents = {name: [snapshots[i] for i in places] for name, places in parents.items()}
    said = {"stage": snapshots[0].kind, "code_version": f"sha256:{version}", "seeds": seeds, "sources": sources}
    build = Build(parents=given_parents, **said, **outside)
    found = read_receipt(write_receipt(store.root / "receipts", predicate(build), snapshots[0]))
    assert (found.subject, found.stage, found.code_version) == (snapshots[0].id, build.stage, build.code_version)
    assert {name: meaning(getattr(found, name)) for name in outside} == {n: meaning(v) for n, v in outside.items()}
    assert [(p.input, p.kind, p.id) for p in found.parents] == [
        (name, snapshot.kind, snapshot.id) for name, group in given_parents.items() for snapshot in group
    ]
    by_id = {snapshot.id: snapshot.receipt.stem for snapshot in snapshots}
    assert all(parent.receipts == (by_id[parent.id],) for parent in found.parents)
    assert dict(found.files) == file_digests(snapshots[0]) and found.schema == RECEIPT_SCHEMAS[-1]
    assert dict(found.seeds) == seeds
    cleaned = [(source.name, source.sha256, public_uri(source.uri)) for source in sources]
    assert [(source.name, source.sha256, source.uri) for source in found.sources] == cleaned
    assert "secret" not in json.dumps([source.uri for source in found.sources])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.data())
def test_a_receipt_with_any_byte_changed_is_refused(made, data):
    path = made[1][0].receipt
    original = path.read_bytes()
    place = data.draw(st.integers(0, len(original) - 1))
    value = data.draw(st.integers(0, 255).filter(lambda byte: byte != original[place]))
    try:
        path.write_bytes(original[:place] + bytes([value]) + original[place + 1 :])
        with pytest.raises(IntegrityError, match="RECEIPT_DIGEST"):
            read_receipt(path)
    finally:
        path.write_bytes(original)
    assert read_receipt(path).subject == made[1][0].id
