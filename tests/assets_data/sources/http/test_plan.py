"""Slices by lines and by size: each line in one slice at most, in index order, whatever the settings do in between."""

import dataclasses

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assets_data.domains.text.raw_slice import make_raw_slice
from assets_data.lineage import ConfigError, DataError
from assets_data.sources.config import SourceConfig
from assets_data.sources.http.config import HttpConfig
from assets_data.sources.http.ledger import PartEntry
from assets_data.sources.http.lines import measure, take_lines
from assets_data.sources.http.plan import next_ranges
from assets_data.sources.parts import Lines
from assets_data.sources.sources import open_source
from tests.assets_data.sources.http.corpus import (
    config_of,
    jsonl,
    part_bytes,
    put_corpus,
    put_index,
    rows,
    source_of,
    texts_of,
)

texts = st.lists(st.binary(max_size=9).map(lambda b: b.replace(b"\n", b"x")), min_size=1, max_size=8)


class Memory:
    """Parts in memory; counts which were looked at."""

    def __init__(self, parts):
        self.data, self.asked = parts, set()

    def known(self, name):
        self.asked.add(name)
        lines, size = measure([self.data[name]])
        return PartEntry(name=name, url="", bytes=0, sha256="", validator=None, lines=lines, unpacked=size)

    def blocks(self, name):
        return iter([self.data[name][i : i + 5] for i in range(0, len(self.data[name]), 5)])


@given(st.lists(texts, min_size=1, max_size=5), st.data())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_every_line_is_taken_once_and_in_order_whatever_the_slices_are(corpus, data):
    parts = Memory(
        {f"{n}.jsonl": b"\n".join(lines) + data.draw(st.sampled_from([b"", b"\n"])) for n, lines in enumerate(corpus)}
    )
    names, taken, got = list(parts.data), {}, []
    for _ in range(60):
        http = data.draw(
            st.sampled_from([HttpConfig(count=1), HttpConfig(count=5), HttpConfig(size="7"), HttpConfig()])
        )
        ranges = next_ranges(names, taken, http, 1, parts)
        for name, lines in ranges:
            whole = parts.data[name]
            got.append(whole[lines.begin : lines.end] if lines else whole)
            taken.setdefault(name, []).append(lines)
        if not ranges:
            break
    assert b"".join(got) == b"".join(parts.data.values())


@given(texts, st.integers(1, 9), st.integers(1, 9), st.integers(1, 4))
def test_a_run_of_lines_is_the_bytes_of_those_lines(lines, first, most, width):
    data = b"\n".join(lines)
    found = take_lines((data[i : i + width] for i in range(0, len(data), width)), first, most, 0)
    kept = data.splitlines(keepends=True) if b"\r" not in data else [x + b"\n" for x in data.split(b"\n")]
    if found is None:
        assert first > measure([data])[0]
    else:
        assert found.last == min(first + most - 1, measure([data])[0])
        assert data[found.begin : found.end] == b"".join(kept[first - 1 : found.last])[: found.end - found.begin]
        assert found.end - found.begin >= len(b"".join(kept[first - 1 : found.last])) - 1


def test_a_size_is_reached_by_the_fewest_lines():
    data = b"aaa\nbb\ncccc\nd\n"
    assert take_lines([data], 1, 99, 4) == Lines(1, 1, 0, 4)
    assert take_lines([data], 1, 99, 5) == Lines(1, 2, 0, 7)
    assert take_lines([data], 2, 99, 1 << 30) == Lines(2, 4, 4, 14)


@pytest.mark.parametrize(("count", "start"), [(25, 0), (40, 0), (7, 38), (100, 41), (1, 120)])
def test_slices_by_count_are_the_corpus_cut_at_those_lines(store, server, count, start):
    put_corpus(server, 3)
    config = config_of(server, shards=2, count=count, start=start)
    everything = [text for part in range(3) for text in rows(part)]
    begin = max(start - 1, 0)
    found = [texts_of(make_raw_slice(store, name, config)) for name in open_source(config, store).slices()]
    cuts = [everything[at : at + count] for at in (begin, begin + count)]
    assert found == [cut for cut in cuts if cut]


def test_a_part_on_the_border_of_two_slices_is_fetched_once_and_keeps_its_line_numbers(store, server):
    names = put_corpus(server, 2)
    config = config_of(server, shards=2, count=30)
    first, second = (make_raw_slice(store, f"http-{n}", config) for n in (0, 1))
    assert part_bytes(server) == {f"/corpus/{name}": len(server.files[f"/corpus/{name}"]) for name in names}
    origins = second.table("records.parquet")["origin"].to_pylist()
    offset = len(jsonl(rows(0)[:30]))
    assert origins[0] == f"{names[0]}#line:31,byte:{offset}" and origins[10] == f"{names[1]}#line:1,byte:0"
    assert texts_of(first) + texts_of(second) == rows(0) + rows(1)[:20]
    assert next(part["lines"] for part in second.read_json("parts.json")["parts"])[:2] == [31, 40]


def test_f11_a_malformed_row_is_refused_with_its_line_in_the_part_not_in_the_slice(store, server):
    lines = jsonl(rows(0)).splitlines(keepends=True)
    server.files["/corpus/a.jsonl"] = b"".join([*lines[:34], b"{broken\n", *lines[35:]])
    put_index(server, ["a.jsonl"])
    config = config_of(server, shards=2, count=30)
    assert len(texts_of(make_raw_slice(store, "http-0", config))) == 30
    with pytest.raises(DataError, match=r"a\.jsonl:35") as error:
        make_raw_slice(store, "http-1", config)
    assert error.value.code == "ROW_NOT_JSON"


def test_a_slice_by_size_holds_at_least_that_and_less_than_a_line_more(store, server):
    put_corpus(server, 3)
    config = config_of(server, shards=4, size="4k")
    slices = [texts_of(make_raw_slice(store, name, config)) for name in open_source(config, store).slices()]
    line = len(jsonl(rows(0)[:1]))
    assert all(4096 <= len(jsonl(texts)) < 4096 + line + 2 for texts in slices) and len(slices) == 4
    assert [text for texts in slices for text in texts] == [text for part in range(3) for text in rows(part)][
        : sum(map(len, slices))
    ]


def test_kinds_of_slices_mix_without_overlap(store, server):
    put_corpus(server, 4)
    source_of(store, server, count=10).add(1)
    source_of(store, server, parts_per_slice=2).add(1)
    source_of(store, server, size="1k").add(1)
    source_of(store, server).add(9)
    config = config_of(server)
    found = [
        text for name in open_source(config, store).slices() for text in texts_of(make_raw_slice(store, name, config))
    ]
    assert sorted(found) == sorted(text for part in range(4) for text in rows(part))


def test_whole_parts_are_planned_without_fetching_them(store, server):
    names = put_corpus(server, 5)
    source = source_of(store, server, parts_per_slice=2)
    assert [[part for part, _ in plan.ranges] for plan in source.preview(9)] == [names[:2], names[2:4], names[4:]]
    assert source.ledger.slices() == [] and part_bytes(server) == {}
    assert len(source.add(9, whole_only=True)) == 2 and part_bytes(server) == {}


def test_formats_without_lines_are_not_cut(store, server):
    put_index(server, ["a.json"])
    server.files["/corpus/a.json"] = b'[{"text": "one"}]'
    with pytest.raises(DataError, match="SLICE_NOT_LINES"):
        source_of(store, server, count=1).slices()
    assert texts_of(make_raw_slice(store, "http-0", config_of(server))) == ["one"]


@pytest.mark.parametrize(
    "http",
    [
        {"index_url": ""},
        {"index_url": "ftp://host/index"},
        {"index_url": "https://user:secret@host/index"},
        {"index_url": "https://host/index?token=secret"},
        {"index_url": "https://host/index", "base_url": "https://host/#x"},
        {"index_url": "https://host/index", "count": 1, "size": "1k"},
        {"index_url": "https://host/index", "start": 5},
        {"index_url": "https://host/index", "size": "12 parsecs"},
        {"index_url": "https://host/index", "size": "0k"},
        {"index_url": "https://host/index", "name": "../x"},
        {"index_url": "https://host/index", "connections": 0},
        {"index_url": "https://host/index", "timeout_s": 0.0},
    ],
)
def test_settings_that_cannot_work_are_refused_without_repeating_secrets(http):
    with pytest.raises(ConfigError) as error:
        SourceConfig(source="http_index", http=HttpConfig(**http))
    assert "secret" not in str(error.value)


def test_http_settings_without_the_http_source_are_refused():
    with pytest.raises(ConfigError):
        SourceConfig(http=HttpConfig(index_url="https://host/index"))


@pytest.mark.parametrize(("text", "size"), [("7", 7), ("2k", 2048), ("3m", 3 << 20), ("1g", 1 << 30), ("5t", 5 << 40)])
def test_sizes_are_powers_of_1024(text, size):
    assert HttpConfig(size=text).target_bytes == size


def test_a_slice_recorded_twice_is_refused(store, server):
    put_corpus(server, 1)
    source = source_of(store, server)
    (plan,) = source.add(1)
    with pytest.raises(DataError, match="SLICE_OVERLAP"):
        source.ledger.put_slice(dataclasses.replace(plan, name="http-1"), source.ledger.taken())
