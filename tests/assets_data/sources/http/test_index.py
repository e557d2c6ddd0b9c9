"""The index as servers really write it: whole addresses, queries, a mark, strays; and parts of every kind behind it."""

import gzip

import pytest
import zstandard

from assets_data.domains.text.raw_slice import make_raw_slice
from assets_data.lineage import DataError
from assets_data.sources.http.index import read_queries
from tests.assets_data.sources.http.corpus import INDEX, config_of, jsonl, put_index, rows, source_of, texts_of


def texts(store, server, **settings):
    """Every text of every slice, through the snapshot that is published."""
    config = config_of(server, shards=9, **settings)
    names = source_of(store, server, shards=9, **settings).slices()
    raws = [make_raw_slice(store, name, config) for name in names]
    return [text for raw in raws for text in texts_of(raw)], raws


def put_parts(server, *paths):
    for number, path in enumerate(paths):
        server.files[path] = jsonl(rows(number, 3))
    return [text for number, _ in enumerate(paths) for text in rows(number, 3)]


def refusal(store, server, **settings):
    with pytest.raises(DataError) as error:
        source_of(store, server, **settings).slices()
    return error.value


def test_whole_addresses_of_the_same_host_are_names_below_the_base_or_the_host(store, server):
    expected = put_parts(server, "/corpus/a.jsonl", "/corpus/x/b.jsonl", "/other/c.jsonl")
    put_index(server, ["a.jsonl", server.url("/corpus/x/b.jsonl"), server.url("/other/c.jsonl?download=true")])
    found, raws = texts(store, server)
    assert found == expected
    parts = [part["origin"] for raw in raws for part in raw.read_json("parts.json")["parts"]]
    assert parts == ["a.jsonl", "x/b.jsonl", "/other/c.jsonl"]


@pytest.mark.parametrize("line", ["{0}/corpus/a.jsonl", "a.jsonl?x=1"])
def test_the_same_part_in_two_spellings_is_refused(store, server, line):
    put_parts(server, "/corpus/a.jsonl")
    put_index(server, ["a.jsonl", line.format(server.url())])
    assert refusal(store, server).code == "INDEX_NAME"


def test_a_query_is_sent_and_written_nowhere_but_in_the_kept_index(store, server):
    expected = put_parts(server, "/corpus/a.jsonl", "/corpus/b.jsonl")
    put_index(server, ["a.jsonl?sig=SECRET", f"{server.url('/corpus/b.jsonl')}?sig=SECRET&b=%2F"])
    asked = []

    class Recording(server.RequestHandlerClass):
        def do_GET(self):
            asked.append(self.path)
            super().do_GET()

    server.RequestHandlerClass = Recording
    found, _ = texts(store, server)
    assert found == expected
    assert {"/corpus/a.jsonl?sig=SECRET", "/corpus/b.jsonl?sig=SECRET&b=%2F"} <= set(asked)
    source = source_of(store, server, shards=9)
    assert set(read_queries(source.http, source.ledger)) == {"a.jsonl", "b.jsonl"}
    holding = [path for path in store.root.rglob("*") if path.is_file() and b"SECRET" in path.read_bytes()]
    assert holding == [source.ledger.root / "index"]


@pytest.mark.parametrize("stray", ["README.md", "notes.ipynb", "_SUCCESS", "SHA256SUMS", "a.csv"])
def test_strays_of_the_index_are_left_out_counted_and_named(store, server, stray):
    expected = put_parts(server, "/corpus/a.jsonl")
    put_index(server, [stray, "a.jsonl"])
    found, raws = texts(store, server)
    assert found == expected
    assert raws[0].stats["left_out_of_source"] == {"no reader": {"count": 1, "first": [stray]}}
    put_index(server, [stray])
    error = refusal(store, server, name="other")
    assert error.code == "FILE_FORMAT" and stray in str(error)


def test_a_mark_before_the_index_is_no_part_of_a_name(store, server):
    expected = put_parts(server, "/corpus/a.jsonl")
    server.files[INDEX] = b"\xef\xbb\xbfa.jsonl\r\n"
    assert texts(store, server)[0] == expected


KINDS = {
    "two members": (
        "a.jsonl.gz",
        lambda data: gzip.compress(data[: len(data) // 2]) + gzip.compress(data[len(data) // 2 :]),
    ),
    "two frames": ("a.JSONL.ZSTD", lambda data: zstandard.compress(data[:100]) + zstandard.compress(data[100:])),
    "lines named json": ("a.json.gz", gzip.compress),
    "a mark": ("a.jsonl", lambda data: b"\xef\xbb\xbf" + data),
    "a long suffix": ("a.jsonlines.gz", gzip.compress),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cut", [{}, {"count": 4}, {"size": "500"}], ids=["whole", "count", "size"])
def test_every_row_of_a_part_arrives_whole_or_cut_into_slices(store, server, kind, cut):
    name, pack = KINDS[kind]
    server.files[f"/corpus/{name}"] = pack(jsonl(rows(0, 10)))
    put_index(server, [name])
    found, raws = texts(store, server, **cut)
    assert found == rows(0, 10) and (len(raws) > 1) == bool(cut)
    assert sum(part["records"] for raw in raws for part in raw.read_json("parts.json")["parts"]) == 10


def test_an_empty_part_is_a_slice_of_no_rows(store, server):
    put_parts(server, "/corpus/a.jsonl")
    server.files |= {"/corpus/b.jsonl": b"", "/corpus/c.jsonl.gz": gzip.compress(b"")}
    put_index(server, ["a.jsonl", "b.jsonl", "c.jsonl.gz"])
    found, raws = texts(store, server)
    assert found == rows(0, 3)
    assert [raw.stats.get("empty") for raw in raws] == [None, ["b.jsonl"], ["c.jsonl.gz"]]
