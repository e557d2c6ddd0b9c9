"""Raw slices: exactly the source's records, reused by content, refused whole when a byte is wrong."""

import dataclasses
import gzip
import hashlib
import json
import os
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rfc8785
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from assets_data.domains.text.raw_slice import ROW_GROUP_BYTES, make_raw_slice, record_id
from assets_data.domains.text.schemas import schema_failures
from assets_data.lineage import DataError, Store, digest_file
from assets_data.sources import sources
from assets_data.sources.config import SourceConfig
from assets_data.sources.extract_config import ExtractConfig, QaConfig
from assets_data.sources.files import FilesSource
from tests.assets_data.domains.text.corpora import documents, raw_of, raw_slices, source_of, write_rows


def counts(records):
    return {"records": records, "missing": 0, "malformed": 0}


def published(store):
    return list((store.root / "snapshots").glob("*"))


def test_records_are_the_sources_texts_in_order_under_the_digest_of_their_canonical_json(store, tmp_path):
    texts = ["é 漢字 🙂", 'quote " back \\ tab \t', "", "é 漢字 🙂"]
    raw = raw_of(store, tmp_path / "in", texts)
    rows = raw.table("records.parquet").to_pylist()
    assert [row["text"] for row in rows] == texts
    for row in rows:  # RFC 8785 of {"text": ...} as any JSON library writes it
        canonical = json.dumps({"text": row["text"]}, ensure_ascii=False, separators=(",", ":")).encode()
        assert row["record_id"] == hashlib.sha256(canonical).hexdigest()
        assert row["origin"].startswith(row["part"] + "#") and row["part"] == "rows.jsonl"
    assert raw.content["records"]["count"] == 3  # a set: the same text twice is one record


def test_parts_name_every_file_with_size_digest_and_records(store, tmp_path):
    write_rows(tmp_path / "in" / "a.jsonl", ["one", "two"])
    write_rows(tmp_path / "in" / "deep" / "b.jsonl", ["three"])
    parts = make_raw_slice(store, "files-0", source_of(tmp_path / "in")).read_json("parts.json")
    for part, (name, rows) in zip(parts["parts"], [("a.jsonl", 2), ("deep/b.jsonl", 1)], strict=True):
        path = tmp_path / "in" / name
        assert part == {"origin": name, "bytes": path.stat().st_size, "sha256": digest_file(path), **counts(rows)}
    assert parts["licence"] == "unstated" and "local files" in parts["origin"]


def test_reuse_is_by_content_not_by_time_or_name(store, tmp_path):
    first = raw_of(store, tmp_path / "in", ["one", "two"])
    path = tmp_path / "in" / "rows.jsonl"
    os.utime(path, (0, 0))
    assert make_raw_slice(store, "files-0", source_of(tmp_path / "in")).reused
    path.write_text(path.read_text().replace("two", "owt"))  # same size
    os.utime(path, (0, 0))
    changed = make_raw_slice(store, "files-0", source_of(tmp_path / "in"))
    assert not changed.reused and changed.id != first.id


def test_two_stores_give_the_same_ids(tmp_path):
    config = SourceConfig(parts_per_slice=2)
    first, again = (raw_slices(Store(tmp_path / name), config) for name in ("a", "b"))
    assert {name: raw.id for name, raw in first.items()} == {name: raw.id for name, raw in again.items()}
    assert len({raw.id for raw in first.values()}) == 4


def test_records_past_one_row_group_are_all_there(store, tmp_path):
    texts = [f"{i} " + "x" * (ROW_GROUP_BYTES // 5) for i in range(12)]
    table = raw_of(store, tmp_path / "in", texts).table("records.parquet")
    assert table["text"].to_pylist() == texts and table["text"].num_chunks > 1


def test_f10_a_truncated_part_publishes_nothing_and_leaves_earlier_output_sound(store, tmp_path):
    earlier = raw_of(store, tmp_path / "good", ["fine"])
    before = published(store)
    write_rows(tmp_path / "in" / "a.jsonl", documents(5))
    packed = zstandard.compress((tmp_path / "in" / "a.jsonl").read_bytes())
    (tmp_path / "in" / "b.jsonl.zst").write_bytes(packed[:-5])
    with pytest.raises(DataError) as error:
        make_raw_slice(store, "files-0", source_of(tmp_path / "in"))
    assert error.value.code == "UNPACK_TRUNCATED" and published(store) == before
    earlier.verify(deep=True)
    (tmp_path / "in" / "b.jsonl.zst").write_bytes(packed)
    assert make_raw_slice(store, "files-0", source_of(tmp_path / "in")).stats["rows"] == 10


def test_f11_bad_utf8_names_the_line_and_publishes_nothing(store, tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "fine"}\n{"text": "\xff\xfe"}\n')
    with pytest.raises(DataError, match=r"a\.jsonl:2"):
        make_raw_slice(store, "files-0", source_of(tmp_path))
    assert published(store) == []


def test_f11_half_a_surrogate_pair_and_a_text_over_the_limit_are_refused_by_origin(store, tmp_path):
    path = tmp_path / "in" / "a.jsonl"
    path.parent.mkdir()
    path.write_text('{"text": "fine"}\n{"text": "\\ud800"}\n')
    with pytest.raises(DataError) as error:
        make_raw_slice(store, "files-0", source_of(path.parent))
    assert (error.value.code, error.value.where) == ("RECORD_NOT_UNICODE", "a.jsonl#line:2,byte:17")
    path.write_text('{"text": "\\u00e9\\u00e9"}\n')
    with pytest.raises(DataError) as error:
        make_raw_slice(store, "files-0", source_of(path.parent, max_record_bytes=3))
    assert (error.value.code, error.value.where) == ("RECORD_TOO_LONG", "a.jsonl#line:1,byte:0")


def test_f13_a_file_that_changes_while_it_is_read_is_refused(store, tmp_path, monkeypatch):
    class StillWritten(FilesSource):
        def records(self, part, dropped):
            yield from super().records(part, dropped)
            write_rows(part.path, ["one", "two"])

    monkeypatch.setitem(sources.SOURCES, "files", StillWritten)
    write_rows(tmp_path / "in" / "a.jsonl", ["one"])
    with pytest.raises(DataError) as error:
        make_raw_slice(store, "files-0", source_of(tmp_path / "in"))
    assert error.value.code == "SOURCE_CHANGED" and published(store) == []


def test_the_level_of_compression_changes_the_size_and_not_the_id(tmp_path):
    raws = []
    for level in (1, 19):
        write_rows(tmp_path / "in" / "rows.jsonl", documents(200))
        config = source_of(tmp_path / "in", zstd_level=level)
        raws.append(make_raw_slice(Store(tmp_path / str(level)), "files-0", config))
    assert raws[0].id == raws[1].id and raws[0].bytes > raws[1].bytes


NOTHING = {
    "a.jsonl": b"",
    "blank.jsonl": b"\n \n",
    "mark.jsonl": b"\xef\xbb\xbf",
    "a.json": b"",
    "blank.json": b" \n",
    "array.json": b"[]",
    "columns.json": b'{"text": []}',
    "a.txt": b"",
    "blank.txt": b"\n\t\n",
    "a.jsonl.gz": gzip.compress(b""),
    "b.jsonl.gz": b"",
    "a.json.zst": zstandard.compress(b"\n"),
    "a.parquet": b"",
    "a.feather": b"",
}


@pytest.mark.parametrize("name", NOTHING)
def test_a_file_without_a_row_is_counted_and_named_and_holds_nothing_up(store, tmp_path, name):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_bytes(NOTHING[name])
    with pytest.raises(DataError, match=f"none in {name}") as error:
        make_raw_slice(store, "files-0", source_of(tmp_path / "in"))
    assert error.value.code == "RAW_SLICE_EMPTY" and published(store) == []
    write_rows(tmp_path / "in" / "rows.jsonl", ["one"])
    raw = make_raw_slice(store, "files-0", source_of(tmp_path / "in"))
    assert raw.stats.items() >= {"rows": 1, "empty_parts": 1, "empty": [name]}.items()
    assert {part["origin"]: part["records"] for part in raw.read_json("parts.json")["parts"]} == {
        name: 0,
        "rows.jsonl": 1,
    }


def two_slices(root, first, second):
    """Settings under which two files of these names are two slices, and the slice of each."""
    for shards in range(2, 99):
        config = source_of(root, shards=shards)
        slices = {paths[0]: name for name, paths in FilesSource(config).slices().items()}
        if set(slices) == {first, second}:
            return config, slices
    raise AssertionError("they always share a slice")


@pytest.mark.parametrize("empty", [b"", b'{"text": null}\n', b"\n\n"], ids=["nothing", "missing", "blank"])
def test_a_slice_without_rows_is_a_valid_snapshot_unless_the_source_has_none_at_all(store, tmp_path, empty):
    root = tmp_path / "in"
    write_rows(root / "rows.jsonl", ["one"])
    (root / "void.jsonl").write_bytes(empty)
    config, slices = two_slices(root, "rows.jsonl", "void.jsonl")
    config = dataclasses.replace(config, extract=ExtractConfig(skip_missing=True))
    raw = make_raw_slice(store, slices["void.jsonl"], config)
    raw.verify(deep=True)
    assert raw.table("records.parquet").num_rows == raw.content["records"]["count"] == raw.stats["rows"] == 0
    assert schema_failures(raw) == []
    (root / "rows.jsonl").write_bytes(b"")
    for name in slices.values():
        with pytest.raises(DataError, match="jsonl") as error:
            make_raw_slice(store, name, dataclasses.replace(config, seed=8))
        assert error.value.code == "RAW_SLICE_EMPTY"


def test_a_source_that_vanishes_is_a_refusal_by_name(store, tmp_path, monkeypatch):
    write_rows(tmp_path / "in" / "a.jsonl", ["one"])
    source = FilesSource(source_of(tmp_path / "in"))
    (part,) = source.parts("files-0")
    part.path.unlink()
    for read in (lambda: list(source.records(part, Counter())), part.require_unchanged):
        with pytest.raises(DataError, match=r"a\.jsonl") as error:
            read()
        assert error.value.code == "SOURCE_UNREADABLE"
    pq.write_table(pa.table({"text": ["x"]}), tmp_path / "in" / "a.parquet")
    (part,) = source.parts("files-0")
    part.path.unlink()
    with pytest.raises(DataError, match="SOURCE_UNREADABLE"):
        list(source.records(part, Counter()))

    class Vanishing(FilesSource):
        def slices(self):
            found = super().slices()
            write_rows(self.root / "a.jsonl", ["one"])
            (self.root / "a.jsonl").unlink()
            return found

    write_rows(tmp_path / "in" / "a.jsonl", ["one"])
    monkeypatch.setitem(sources.SOURCES, "files", Vanishing)
    with pytest.raises(DataError, match=r"SOURCE_UNREADABLE.*a\.jsonl"):
        make_raw_slice(store, "files-0", source_of(tmp_path / "in"))


def test_a_home_folder_is_found_and_one_of_nobody_is_named(store, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write_rows(tmp_path / "in" / "a.jsonl", ["one"])
    assert make_raw_slice(store, "files-0", source_of("~/in")).stats["rows"] == 1
    with pytest.raises(DataError, match="~nobody-at-all") as error:
        make_raw_slice(store, "files-0", source_of("~nobody-at-all/in"))
    assert error.value.code == "SOURCE_ROOT"


def test_rows_beyond_the_most_that_are_kept_of_a_shuffle_are_counted(store, tmp_path):
    write_rows(tmp_path / "in" / "a.jsonl", [f"text {n}" for n in range(9)])
    raw = make_raw_slice(store, "files-0", source_of(tmp_path / "in", shuffle=True, max_records=4))
    assert raw.stats["rows"] == 4 and raw.stats["beyond_max_records"] == 5
    assert "beyond_max_records" not in make_raw_slice(store, "files-0", source_of(tmp_path / "in", shuffle=True)).stats


@given(st.text(), st.text())
def test_a_record_id_is_over_the_canonical_json_of_prompt_and_text(text, prompt):
    document = {"prompt": prompt, "text": text} if prompt else {"text": text}
    assert record_id(text, prompt) == hashlib.sha256(rfc8785.dumps(document)).hexdigest()


def test_pairs_keep_prompt_response_and_split_and_what_is_left_out_is_counted_by_part(store, tmp_path):
    rows = [
        '{"q": "1+1?", "a": 2, "s": "test"}',
        '{"q": "2+2?", "s": "test"}',
        "{",
        '{"q": "3+3?", "a": 6, "s": "dev"}',
    ]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_text("\n".join(rows))
    qa = QaConfig(question="q", answer="a")
    extract = ExtractConfig(qa=qa, split_field="s", skip_missing=True, max_malformed=1)
    raw = make_raw_slice(store, "files-0", source_of(tmp_path / "in", extract=extract))
    shown = [(row["prompt"], row["text"], row["split"]) for row in raw.table("records.parquet").to_pylist()]
    assert shown == [("1+1?", "2", "test"), ("3+3?", "6", "validation")]
    (part,) = raw.read_json("parts.json")["parts"]
    left_out = {"missing": 1, "malformed": 1}
    assert part.items() >= {"records": 2, **left_out}.items() and raw.stats.items() >= {"rows": 2, **left_out}.items()


def order_of(store, root, **settings):
    raw = make_raw_slice(store, "files-0", source_of(root, **settings))
    return raw, raw.table("records.parquet")["text"].to_pylist()


def test_max_records_keeps_the_first_and_still_checks_the_file(store, tmp_path):
    for name in "ab":
        write_rows(tmp_path / f"{name}.jsonl", [f"{name}{i}" for i in range(4)])
    raw, texts = order_of(store, tmp_path, max_records=6)
    assert texts == ["a0", "a1", "a2", "a3", "b0", "b1"]
    assert [part["records"] for part in raw.read_json("parts.json")["parts"]] == [4, 2]


def test_a_shuffle_is_a_keyed_order_in_which_a_record_that_arrives_moves_no_other(store, tmp_path, monkeypatch):
    texts = [f"text {i}" for i in range(300)]
    write_rows(tmp_path / "one" / "a.jsonl", texts)
    write_rows(tmp_path / "two" / "a.jsonl", [*reversed(texts), *(f"more {i}" for i in range(50))])
    raw, shuffled = order_of(store, tmp_path / "one", shuffle=True)
    assert sorted(shuffled) == sorted(texts) and shuffled != texts
    assert [text for text in order_of(store, tmp_path / "two", shuffle=True)[1] if text in set(texts)] == shuffled
    assert order_of(store, tmp_path / "one", shuffle=True, seed=8)[1] != shuffled
    sample, few = order_of(store, tmp_path / "one", shuffle=True, max_records=20)
    assert few == shuffled[:20] and sample.content["records"]["count"] == 20
    monkeypatch.setattr("assets_data.domains.text.raw_slice.ROW_GROUP_BYTES", 1 << 12)
    cut_up, _ = order_of(Store(tmp_path / "again"), tmp_path / "one", shuffle=True)
    assert cut_up.id == raw.id and cut_up.table("records.parquet")["text"].num_chunks > 1
