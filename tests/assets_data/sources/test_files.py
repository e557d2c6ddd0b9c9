"""Local files: one text, whatever the format; a refusal with file and line, whatever the fault."""

import gzip
import json
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from assets_data.lineage import ConfigError, DataError
from assets_data.sources.config import FilesConfig, SourceConfig
from assets_data.sources.extract_config import ExtractConfig
from assets_data.sources.files import FilesSource

TEXTS = ["plain", "é 漢字 🙂", "two\nlines", ""]
LINES = "".join(json.dumps({"text": text, "id": i}) + "\n" for i, text in enumerate(TEXTS)).encode()
ARRAY = json.dumps([{"text": text} for text in TEXTS], ensure_ascii=False).encode()
TABLE = pa.table({"id": range(len(TEXTS)), "text": TEXTS})


def write_arrow(path, table=TABLE):
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table)


FORMATS = {
    "a.jsonl": lambda path: path.write_bytes(LINES),
    "a.ndjson": lambda path: path.write_bytes(LINES),
    "a.jsonl.gz": lambda path: path.write_bytes(gzip.compress(LINES)),
    "a.jsonl.zst": lambda path: path.write_bytes(zstandard.compress(LINES)),
    "a.json": lambda path: path.write_bytes(ARRAY),
    "a.json.zst": lambda path: path.write_bytes(zstandard.compress(ARRAY)),
    "a.parquet": lambda path: pq.write_table(TABLE, path),
    "a.arrow": write_arrow,
}


def source_of(root, pattern="**/*", **settings):
    files = FilesConfig(root=str(root), patterns=(pattern,))
    return FilesSource(SourceConfig(source="files", shards=1, files=files, extract=ExtractConfig(**settings)))


def records(source):
    return [
        record for name in source.slices() for part in source.parts(name) for record in source.records(part, Counter())
    ]


def refusal(root, **settings):
    with pytest.raises(DataError) as error:
        records(source_of(root, **settings))
    return error.value


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_texts(tmp_path, name):
    FORMATS[name](tmp_path / name)
    found = records(source_of(tmp_path))
    assert [record.text for record in found] == TEXTS
    assert len({record.origin for record in found}) == len(TEXTS)
    assert all(record.origin.startswith(f"{name}#") for record in found)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress])
def test_a_text_file_is_one_record(tmp_path, pack):
    suffix = {bytes: "", gzip.compress: ".gz"}.get(pack, ".zst")
    (tmp_path / f"b.txt{suffix}").write_bytes(pack("one\n\ntwo é".encode()))
    assert [record.text for record in records(source_of(tmp_path))] == ["one\n\ntwo é"]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress])
def test_an_origin_in_json_lines_leads_back_to_the_line_and_its_bytes(tmp_path, pack):
    suffix = {bytes: "", gzip.compress: ".gz"}.get(pack, ".zst")
    (tmp_path / "deep").mkdir()
    data = b"\n" + LINES
    (tmp_path / "deep" / f"a.jsonl{suffix}").write_bytes(pack(data))
    for number, record in enumerate(records(source_of(tmp_path)), 2):
        place, _, byte = record.origin.partition(",byte:")
        assert place == f"deep/a.jsonl{suffix}#line:{number}"
        assert json.loads(data[int(byte) :].split(b"\n")[0])["text"] == record.text


@pytest.mark.parametrize("name", ["a.json", "a.parquet", "a.arrow"])
def test_an_origin_elsewhere_numbers_the_row(tmp_path, name):
    FORMATS[name](tmp_path / name)
    assert [record.origin for record in records(source_of(tmp_path))] == [f"{name}#row:{n}" for n in range(1, 5)]


def test_a_link_out_of_the_root_is_refused_s04(tmp_path):
    (tmp_path / "secret.txt").write_text("x")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "a.txt").symlink_to(tmp_path / "secret.txt")
    assert refusal(tmp_path / "root").code == "FILE_OUTSIDE"
    (tmp_path / "root" / "a.txt").unlink()
    (tmp_path / "root" / "b.txt").write_text("fine")
    (tmp_path / "root" / "a.txt").symlink_to("b.txt")
    assert len(records(source_of(tmp_path / "root"))) == 2


def test_a_file_matched_by_two_patterns_is_read_once(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(LINES)
    config = SourceConfig(source="files", files=FilesConfig(root=str(tmp_path), patterns=("*.jsonl", "a.*")))
    assert len(records(FilesSource(config))) == len(TEXTS)


@pytest.mark.parametrize(
    "row", ['{"body": "x"}', '{"text": null}', '{"text": []}', '{"text": {"x": 1}}', '{"text": true}', '"x"', "[1]"]
)
def test_f11_a_row_without_text_is_refused_with_file_and_line(tmp_path, row):
    (tmp_path / "a.jsonl").write_text('{"text": "fine"}\n' + row + "\n")
    error = refusal(tmp_path)
    assert (error.code, error.where) == ("ROW_NO_TEXT", "a.jsonl:2")


@pytest.mark.parametrize("write", [pq.write_table, lambda table, path: write_arrow(path, table)])
@pytest.mark.parametrize(
    "column",
    [
        (pa.array([True, False]), "ROW_NO_TEXT"),
        (pa.array(["fine", b"\xff"], pa.binary()).view(pa.string()), "ROW_NOT_UTF8"),
        (pa.array([b"fine", b"\xff"]), "ROW_NOT_UTF8"),
    ],
    ids=["truth values", "bad utf-8", "binary"],
)
def test_f11_a_column_that_is_not_text_is_refused(tmp_path, column, write):
    name = "a.parquet" if write is pq.write_table else "a.arrow"
    write(pa.table({"text": column[0]}), tmp_path / name)
    assert refusal(tmp_path).code == column[1]


def test_f11_a_null_a_missing_column_and_a_cut_table_are_refused(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["x", None]}), path)
    assert (refusal(tmp_path).code, refusal(tmp_path).where) == ("ROW_NO_TEXT", "a.parquet:2")
    assert refusal(tmp_path, fields=("body",)).code == "TABLE_COLUMN"
    path.write_bytes(path.read_bytes()[:-20])
    assert refusal(tmp_path).code == "TABLE_BROKEN"


@pytest.mark.parametrize("name", ["a.csv", "a.parquet.gz", "a", "a.gz", "a.pkl"])
def test_a_file_nobody_reads_is_refused_not_skipped(tmp_path, name):
    (tmp_path / name).write_bytes(b"x")
    assert refusal(tmp_path).code == "FILE_FORMAT"


def test_a_file_name_that_is_not_text_is_refused(tmp_path):
    (tmp_path / "bad\udcff\n.txt").write_bytes(b"x")
    assert refusal(tmp_path).code == "FILE_NAME"


@pytest.mark.parametrize("pattern", ["../*.jsonl", "/etc/*", "a/../../b"])
def test_a_pattern_cannot_leave_the_root(tmp_path, pattern):
    with pytest.raises(ConfigError, match="below root"):
        source_of(tmp_path, pattern)
