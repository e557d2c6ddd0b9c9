"""What bytes look like: said in a refusal, and never of a text that only begins like something."""

import gzip
from collections import Counter

import pytest
import zstandard

from assets_data.lineage import DataError
from assets_data.sources.config import FilesConfig, SourceConfig
from assets_data.sources.extract_config import ExtractConfig
from assets_data.sources.files import FilesSource
from assets_data.sources.signature import described, looks_like, one_byte_text

ROW = '{"text": "déjà vu"}\n'
OTHER = {
    "gzip data": gzip.compress(ROW.encode()),
    "zstd data": zstandard.compress(ROW.encode()),
    "a parquet file": b"PAR1\x15\x04\x15\x00rest",
    "an arrow file": b"ARROW1\0\0rest",
    "a zip archive": b"PK\x03\x04rest",
    "bzip2 data": b"BZh91AY&SY\0rest",
    "xz data": b"\xfd7zXZ\x00rest",
    "UTF-16 text, little-endian": ROW.encode("utf-16"),
    "UTF-16 text, big-endian": b"\xfe\xff" + ROW.encode("utf-16-be"),
    "UTF-16 text, little-endian, without a mark": ROW.encode("utf-16-le"),
    "UTF-32 text": ROW.encode("utf-32"),
}


@pytest.mark.parametrize("looks", OTHER)
@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.txt", "a.jsonl.gz", "a.json.zst"])
def test_a_text_file_that_is_something_else_is_refused_whole_whatever_the_ceiling(tmp_path, name, looks):
    pack = {"gz": gzip.compress, "st": zstandard.compress}.get(name[-2:], bytes)
    (tmp_path / name).write_bytes(pack(OTHER[looks]))
    files = FilesConfig(root=str(tmp_path), patterns=("*",))
    extract = ExtractConfig(max_malformed=10**6, max_malformed_share=0.99)
    source = FilesSource(SourceConfig(source="files", shards=1, files=files, extract=extract))
    with pytest.raises(DataError) as error:
        list(source.records(source.parts("files-0")[0], Counter()))
    assert (error.value.code, error.value.found, error.value.where) == ("FILE_BYTES", looks, name)


@pytest.mark.parametrize(("coding", "kind"), [("latin-1", "Latin-1"), ("cp1252", "Windows-1252")])
@pytest.mark.parametrize("name", ["a.jsonl", "a.txt"])
def test_text_of_one_byte_a_letter_is_said_with_the_line(tmp_path, name, coding, kind):
    text = '{"text": "fine"}\n{"text": "d\u00e9j\u00e0 vu' + ("\u2019" if kind[0] == "W" else "") + '"}\n'
    (tmp_path / name).write_bytes(text.encode(coding))
    files = FilesConfig(root=str(tmp_path), patterns=("*",))
    source = FilesSource(SourceConfig(source="files", shards=1, files=files))
    with pytest.raises(DataError, match=f"looks like {kind}") as error:
        list(source.records(source.parts("files-0")[0], Counter()))
    assert (error.value.code, error.value.where) == ("ROW_NOT_UTF8", f"{name}:2")


@pytest.mark.parametrize(
    "text", ["PARENTS agree", "PAR1 is a file", "ORCHIDS grow", "FEA1", "BZh and more", "Ärger", "漢字", ""]
)
def test_a_text_that_begins_like_something_is_a_text(text):
    assert looks_like(text.encode()) == ""


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"", "an empty file"),
        (b" \n", "nothing but white space"),
        (b" [1]", "JSON text"),
        (b"<!DOCTYPE html>", "a web page"),
        (b"words", "plain text"),
        (b"\x00\x01\x02", "bytes that begin with 00 01 02"),
        (b"caf\xe9 au lait", "Latin-1 (ISO-8859-1) text"),
    ],
)
def test_whatever_it_is_it_can_be_said(head, name):
    assert described(head) == name


def test_bytes_with_control_characters_are_no_text_of_one_byte_a_letter():
    assert one_byte_text(b"caf\xe9\x00") == "" and one_byte_text(b"plain") == ""


@pytest.mark.parametrize("coding", ["shift_jis", "gb18030", "koi8_r", "euc_kr", "big5"])
def test_text_of_other_codings_is_not_called_what_it_is_not(coding):
    text = {"koi8_r": "обычный русский текст", "euc_kr": "한국어 문장입니다", "big5": "這是一個中文句子"}
    data = text.get(coding, "日本語のテキスト").encode(coding)
    assert one_byte_text(b'{"text": "' + data + b'"}') == ""


@pytest.mark.parametrize("data", [b"modified \xc0\x80 UTF-8", b"over\xc1\xbflong"])
def test_overlong_utf8_is_no_windows_text(data):
    assert one_byte_text(data) == ""


@pytest.mark.parametrize("text", ["déjà vu — là où l’été", "ÄÖÜ und ß", "“quoted” £5 naïve"])
def test_western_text_still_is(text):
    assert one_byte_text(text.encode("cp1252")) == "Windows-1252 text" or ("—" not in text and "“" not in text)
    assert one_byte_text(text.encode("cp1252"))
