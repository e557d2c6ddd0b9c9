"""Slices over HTTP: recorded once, their own parts on the wire only, the same records as from files."""

import dataclasses

import pytest

from assets_data.domains.text.raw_slice import make_raw_slice
from assets_data.lineage import ConfigError, DataError, Store, digest_bytes
from assets_data.lineage.receipts.reader import read_document
from assets_data.sources.config import FilesConfig, SourceConfig
from assets_data.sources.sources import open_source, slice_names
from tests.assets_data.sources.http.corpus import (
    INDEX,
    config_of,
    jsonl,
    part_bytes,
    put_corpus,
    put_index,
    rows,
    texts_of,
)


def test_a_slice_over_http_is_the_same_records_as_the_same_files_on_disk(store, server, tmp_path):
    (name,) = put_corpus(server, 1)
    raw = make_raw_slice(store, "http-0", config_of(server))
    path = tmp_path / "in" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(server.files[f"/corpus/{name}"])
    files = FilesConfig(root=str(tmp_path / "in"), patterns=("**/*.zst",))
    local = make_raw_slice(store, "files-0", SourceConfig(source="files", shards=1, files=files))
    assert raw.table("records.parquet").equals(local.table("records.parquet"))
    assert texts_of(raw) == rows(0)


def test_the_next_slice_puts_only_its_own_parts_on_the_wire(store, server):
    names = put_corpus(server, 6)
    config = config_of(server, parts_per_slice=2)
    for number in range(3):
        server.sent.clear()
        make_raw_slice(store, f"http-{number}", config)
        own = [f"/corpus/{name}" for name in names[2 * number : 2 * number + 2]]
        assert part_bytes(server) == {path: len(server.files[path]) for path in own}
        assert server.sent[INDEX] == (len(server.files[INDEX]) if number == 0 else 0)
    server.sent.clear()
    assert make_raw_slice(store, "http-1", config).reused and not server.sent


def test_the_slice_tells_what_was_on_the_wire_and_a_log_line_does(store, server, caplog):
    (name,) = put_corpus(server, 1)
    caplog.set_level("INFO", "stemma.fetch")
    raw = make_raw_slice(store, "http-0", config_of(server))
    assert raw.stats["wire_bytes"] == len(server.files[f"/corpus/{name}"]) and raw.stats["wire_seconds"] > 0
    assert "1 of 1 parts" in caplog.text and "MB/s" in caplog.text


def test_the_receipt_names_every_part_with_digest_and_address(store, server):
    names = put_corpus(server, 2)
    raw = make_raw_slice(store, "http-0", config_of(server, parts_per_slice=2))
    sources = [
        entry
        for entry in read_document(raw.receipt)["predicate"]["buildDefinition"]["resolvedDependencies"]
        if "uri" in entry
    ]
    for name, entry in zip(names, sources, strict=True):
        data = server.files[f"/corpus/{name}"]
        assert entry["uri"] == server.url(f"/corpus/{name}") and entry["name"].endswith(name)
        assert f"sha256:{entry['digest']['sha256']}" == digest_bytes(data)


def test_an_id_does_not_depend_on_the_server_that_gave_the_parts(tmp_path, server):
    from tests.loopback import serving

    put_corpus(server, 2)
    with serving() as mirror:
        mirror.files.update(server.files)
        ids = [
            make_raw_slice(Store(tmp_path / str(n)), "http-1", config_of(s)).id for n, s in enumerate((server, mirror))
        ]
    assert ids[0] == ids[1]


def test_a_recorded_slice_keeps_its_parts_when_the_index_and_the_settings_change(store, server):
    names = put_corpus(server, 4)
    source = open_source(config_of(server, shards=2), store)
    before = source.slices()
    put_index(server, ["aaa/new.jsonl", *reversed(names)])
    server.files["/corpus/aaa/new.jsonl"] = jsonl(rows(9))
    after = open_source(config_of(server, shards=3, parts_per_slice=2), store).slices()
    assert {name: after[name] for name in before} == before == {"http-0": names[:1], "http-1": names[1:2]}
    assert after["http-2"] == ["aaa/new.jsonl", names[3]]


def test_an_index_that_did_not_change_costs_no_body_and_one_that_grew_is_read_whole(store, server):
    names = put_corpus(server, 2)
    source = open_source(config_of(server), store)
    source.add(1)
    server.sent.clear()
    assert len(source.add(1)) == 1 and server.sent[INDEX] == 0
    put_index(server, [*names, "train/new.jsonl"])
    (plan,) = source.add(1)
    assert plan.ranges == (("train/new.jsonl", None),) and server.sent[INDEX] == len(server.files[INDEX])


def test_two_indexes_do_not_share_slice_names_in_one_store(store, server):
    put_corpus(server, 4)
    open_source(config_of(server, pattern="part-01"), store).slices()
    with pytest.raises(ConfigError, match="HTTP_NAME"):
        open_source(config_of(server, pattern="part-02"), store).slices()
    assert "two-0" in open_source(config_of(server, pattern="part-02", name="two"), store).slices()


def test_parts_outside_the_pattern_are_not_there(store, server):
    names = put_corpus(server, 3)
    put_index(server, [*names, "readme/notes.md"])
    assert open_source(config_of(server, pattern="part-01"), store).slices() == {"http-0": [names[1]]}


def test_a_packed_index_and_a_base_elsewhere_are_read(store, server):
    import gzip

    put_corpus(server, 2)
    server.files["/lists/paths.gz"] = gzip.compress(server.files.pop(INDEX))
    config = config_of(server)
    http = dataclasses.replace(config.http, index_url=server.url("/lists/paths.gz"), base_url=server.url("/corpus"))
    assert texts_of(make_raw_slice(store, "http-1", dataclasses.replace(config, http=http))) == rows(1)


def test_a_slice_that_nobody_planned_is_refused_by_name(store, server):
    put_corpus(server, 2)
    with pytest.raises(DataError, match="http-0, http-1") as error:
        make_raw_slice(store, "http-7", config_of(server))
    assert error.value.code == "SLICE_UNKNOWN"


def test_reuse_needs_neither_the_server_nor_the_kept_parts(store, server):
    put_corpus(server, 1)
    config = config_of(server)
    raw = make_raw_slice(store, "http-0", config)
    for path in (store.root / "fetch").rglob("cache/*"):
        path.unlink()
    server.requests.clear()
    again = make_raw_slice(store, "http-0", config)
    assert again.reused and again.id == raw.id and server.requests == []


def test_a_kept_part_that_changed_on_this_disk_is_quarantined_and_fetched_again(store, server):
    put_corpus(server, 1)
    source = open_source(config_of(server), store)
    (part,) = source.parts("http-0")
    part.path.write_bytes(part.path.read_bytes()[:-1] + b"\0")
    server.sent.clear()
    source.parts("http-0")
    part.require_unchanged()
    assert sum(server.sent.values()) == part.bytes and list((store.root / "quarantine").glob("*.json"))


def test_the_source_needs_a_store_and_names_its_slices_with_one(store, server):
    put_corpus(server, 2)
    assert slice_names(config_of(server), store) == ["http-0", "http-1"]
    with pytest.raises(ConfigError, match="SOURCE_STORE"):
        slice_names(config_of(server))
