"""Any small corpus in any format, compression and order: every row is accounted for in what is published, and what does
not change a text does not change the records.

The snapshot's id also covers where each record came from (file name, place, the file's digest), so it is compared where
those stay: over the order in which files were written and over stores. Over compression, members, marks, row groups and
formats it is the record root that stays.
"""

import gzip
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from assets_data.domains.text.raw_slice import make_raw_slice, record_id
from assets_data.lineage import Store, merkle_root
from assets_data.sources.config import FilesConfig, SourceConfig
from assets_data.sources.extract_config import ExtractConfig
from assets_data.sources.sources import slice_names

LINES, TABLES = ("jsonl", "json lines", "ndjson"), ("parquet", "arrow", "feather", "stream")
FORMATS = (*LINES, "json", "indented json", "columns", "documents", *TABLES)
SUFFIXES = {"json lines": "json", "indented json": "json", "columns": "json", "documents": "json", "stream": "arrow"}
MISSING, MALFORMED = object(), object()

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
rows = st.lists(st.one_of(texts, texts, st.just(MISSING), st.just(MALFORMED)), max_size=6)
ways = st.fixed_dictionaries(
    {
        "format": st.sampled_from(FORMATS),
        "pack": st.sampled_from(["", "gz", "zst", "GZ", "zstd"]),
        "members": st.integers(1, 4),
        "mark": st.booleans(),
        "ends": st.sampled_from(["\n", "\r\n", "\n\n"]),
        "group": st.integers(1, 3),
    }
)


def as_json(row, number):
    """A missing row is null, no field, no number or an empty list; a malformed one holds what is no text."""
    if row is MISSING:
        return ({"text": None}, {"id": 1}, {"text": float("nan")}, {"text": [], "id": 1})[number % 4]
    return {"text": True} if row is MALFORMED else {"text": row}


def as_column(row):
    return True if row is MALFORMED else None if row is MISSING else row


def table_of(values):
    raw = [None if row is MISSING else b"\xff" if row is MALFORMED else row.encode() for row in values]
    return pa.table({"text": pa.array(raw, pa.binary()).view(pa.string())})


def write(folder, number, values, way):
    """One file of ``values``, written the given way; its name says the format."""
    form = way["format"]
    path = folder / f"{number}.{SUFFIXES.get(form, form)}"
    if form in TABLES:
        return write_table(path, table_of(values), way)
    documents = [as_json(row, place + number) for place, row in enumerate(values)]
    text = {
        "json": lambda: json.dumps(documents, ensure_ascii=False),
        "indented json": lambda: json.dumps(documents, indent=2),
        "columns": lambda: json.dumps({"text": [as_column(row) for row in values]}),
        "documents": lambda: "\n".join(json.dumps(document, indent=1) for document in documents),
    }.get(form, lambda: "".join(json.dumps(document) + way["ends"] for document in documents))()
    data = (b"\xef\xbb\xbf" if way["mark"] else b"") + text.encode()
    path.with_name(path.name + ("." + way["pack"] if way["pack"] else "")).write_bytes(packed(data, way))


def write_table(path, table, way):
    if path.suffix == ".parquet":
        pq.write_table(table, path, row_group_size=way["group"], compression="zstd" if way["mark"] else "none")
        return
    opened = pa.ipc.new_stream if way["format"] == "stream" else pa.ipc.new_file
    with opened(str(path), table.schema) as writer:
        writer.write_table(table, max_chunksize=way["group"])


def packed(data, way):
    pack = {"gz": gzip.compress, "zst": zstandard.compress, "": bytes}[way["pack"].lower().removesuffix("d")]
    step = len(data) // way["members"] + 1
    return b"".join(pack(data[at : at + step]) for at in range(0, max(len(data), 1), step))


def published(folder, root, shards):
    """Snapshots of every slice, the texts by file, and the sums of what parts.json counts."""
    extract = ExtractConfig(skip_missing=True, max_malformed=99)
    files = FilesConfig(root=str(folder), patterns=("*.*",))
    config = SourceConfig(source="files", shards=shards, files=files, extract=extract)
    raws = [make_raw_slice(Store(root), name, config) for name in slice_names(config)]
    parts = [part for raw in raws for part in raw.read_json("parts.json")["parts"]]
    found = {part["origin"]: [] for part in parts}
    for raw in raws:
        for row in raw.table("records.parquet").to_pylist():
            found[row["part"]].append(row["text"])
    assert {part["origin"]: part["records"] for part in parts} == {name: len(texts) for name, texts in found.items()}
    by_file = {name.partition(".")[0]: texts for name, texts in found.items()}
    return raws, by_file, {name: sum(part[name] for part in parts) for name in ("records", "missing", "malformed")}


@settings(max_examples=40)
@given(st.lists(st.tuples(rows, ways, ways), min_size=1, max_size=4), texts.filter(bool), st.integers(1, 3))
def test_every_row_is_accounted_for_and_what_changes_no_text_changes_no_record(corpus, sure, shards):
    corpus = [*corpus, ([sure], *corpus[0][1:])]  # a source without any record is refused
    with TemporaryDirectory() as place:
        folders = [Path(place) / name for name in ("first", "again", "other")]
        for folder, order, way in zip(folders, (1, -1, 1), (1, 1, 2), strict=True):
            folder.mkdir()
            for number, file in list(enumerate(corpus))[::order]:
                write(folder, number, file[0], file[way])
        (first, found, counts), (again, *_), (other, otherwise, other_counts) = (
            published(folder, Path(place) / f"store {folder.name}", shards) for folder in folders
        )
        kept = {str(n): [row for row in file[0] if isinstance(row, str)] for n, file in enumerate(corpus)}
        written = [row for file in corpus for row in file[0]]
        assert found == otherwise == kept
        assert (
            counts
            == other_counts
            == {
                "records": sum(map(len, kept.values())),
                "missing": written.count(MISSING),
                "malformed": written.count(MALFORMED),
            }
        )
        assert [raw.id for raw in first] == [raw.id for raw in again]
        if shards == 1:  # files have other names the other way, so they may be in other slices
            ids = {record_id(text) for texts in kept.values() for text in texts}
            root = merkle_root([bytes.fromhex(name) for name in ids])
            assert [raw.content["records"] for raw in (*first, *other)] == [{"count": len(ids), "root": root}] * 2
