"""What bytes look like, whatever their file is called: for messages that say what was found. Decides nothing itself."""

from __future__ import annotations

import codecs
import re

HEAD_BYTES = 4096
_MAGIC = (
    (b"\x1f\x8b", "gzip data"),
    (b"\x28\xb5\x2f\xfd", "zstd data"),
    *((bytes([0x50 + n]) + b"\x2a\x4d\x18", "zstd data") for n in range(16)),  # skippable frames, RFC 8878 3.1.2
    (b"PAR1", "a parquet file"),
    (b"PARE", "an encrypted parquet file"),
    (b"ARROW1", "an arrow file"),
    (b"\xff\xff\xff\xff", "an arrow stream"),
    (b"FEA1", "a feather file of version 1"),
    (b"ORC", "an ORC file"),
    (b"Obj\x01", "an avro file"),
    (b"PK\x03\x04", "a zip archive"),
    (b"BZh", "bzip2 data"),
    (b"\xfd7zXZ\x00", "xz data"),
    (b"\x04\x22\x4d\x18", "lz4 data"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"%PDF-", "a PDF"),
    (b"SQLite format 3\x00", "a SQLite database"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"\x93NUMPY", "a numpy array"),
    *((b"\x80" + bytes([version]), "a Python pickle") for version in range(2, 6)),
    (codecs.BOM_UTF32_LE, "UTF-32 text"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "UTF-32 text"),
    (codecs.BOM_UTF16_LE, "UTF-16 text, little-endian"),
    (codecs.BOM_UTF16_BE, "UTF-16 text, big-endian"),
)
_LFS = b"version https://git-lfs.github.com/spec/"
_NO_WORDS = re.compile(rb"[\x80-\xff]{4}|[\x81\x8d\x8f\x90\x9d]|[\xc0\xc1][\x80-\xbf]")
"""Never in such text: runs of high bytes (two bytes make a letter), what Windows-1252 has not, and overlong UTF-8."""
WEB_PAGE = "a web page"
_LETTERS = range(0x20, 0x7F)


def looks_like(head: bytes) -> str:
    """What the first bytes of a file are the beginning of, where that is not UTF-8 text; else empty."""
    for magic, name in _MAGIC:
        if head.startswith(magic) and (not magic.isalnum() or b"\0" in head):  # a text may begin with such letters
            return name
    if head.startswith(_LFS) and b"\noid sha256:" in head[:200]:
        return "a Git LFS pointer: fetch the file itself with `git lfs pull`"
    if head[257:262] == b"ustar" and b"\0" in head:
        return "a tar archive"
    if len(head) >= 4 and head[0] in _LETTERS and head[2] in _LETTERS and not head[1] and not head[3]:
        return "UTF-16 text, little-endian, without a mark"
    if len(head) >= 4 and head[1] in _LETTERS and head[3] in _LETTERS and not head[0] and not head[2]:
        return "UTF-16 text, big-endian, without a mark"
    return ""


def described(head: bytes) -> str:
    """``looks_like``, and what text is when it is text; for a message that must say something."""
    if name := looks_like(head):
        return name
    start = head.removeprefix(codecs.BOM_UTF8).lstrip()[:64].lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return WEB_PAGE
    if start.startswith((b"{", b"[")):
        return "JSON text"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return one_byte_text(head) or f"bytes that begin with {head[:8].hex(' ')}"
    if b"\0" in head:
        return f"bytes that begin with {head[:8].hex(' ')}"
    return "plain text" if head.strip() else "nothing but white space" if head else "an empty file"


def one_byte_text(data: bytes) -> str:
    """That bytes which are no UTF-8 look like Latin-1 or Windows-1252, where they do: words with single high bytes."""
    high = [byte for byte in data if byte >= 0x80]
    control = any(byte < 0x20 and byte not in b"\t\n\r\f" for byte in data)
    if not high or control or len(high) * 2 > len(data) or _NO_WORDS.search(data):
        return ""
    return "Windows-1252 text" if any(byte < 0xA0 for byte in high) else "Latin-1 (ISO-8859-1) text"
