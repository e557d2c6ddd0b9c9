"""Digests: bytes, files, JSON documents and tables to ``"sha256:<hex>"``. The algorithm is named in every digest.

A *logical* digest covers what a file says, not the container it says it in: the same table gives the same digest as
Parquet or Arrow, whatever its row groups, compression or writer version. That is what makes snapshot ids portable.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import re
import struct
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

import numpy as np
import rfc8785

from assets_data.lineage.errors import IntegrityError
from assets_data.lineage.identity.canonical import encode_plain, is_plain, read_plain, with_whole_numbers

PREFIX = "sha256:"
MAX_DEPTH = 100  # of a JSON document; ours have fewer than 10 levels
MAX_JSON = 256 << 20  # bytes of one; a bundle of 30,000 snapshots has some 200 MB
MAX_HEADER = 4 << 20  # bytes of a safetensors header: some 40,000 tensors, and under 50 MB once parsed
_CHUNK = 1 << 18  # bytes of a file read at a time
_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[][{}]', re.DOTALL)
"""A string (to the end of the data where nothing ends it), or a bracket outside of one. Every quote begins or lies in
a match, so that no byte is looked at twice: a quote tried in vain would cost the rest of the data each time."""
_STEP = {ord("{"): 1, ord("["): 1, ord("}"): -1, ord("]"): -1}
_NO_BRACKET = bytes(set(range(256)) - set(b"{[}]"))
_SPLIT = 64 << 20  # bytes that may be split at their quotes, for a tenth of the time; each piece takes eight bytes


def digest_bytes(data: bytes | memoryview) -> str:
    """The digest of some bytes."""
    return PREFIX + hashlib.sha256(data).hexdigest()


def digest_file(path: Path | str) -> str:
    """The digest of a file's bytes, read in bounded chunks; most files of a store are one of them."""
    hasher = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            hasher.update(chunk)
    return PREFIX + hasher.hexdigest()


def canonical_json(document: Any) -> bytes:
    """RFC 8785 canonical JSON: one byte string per document on every machine. Refuses NaN and integers past 2**53.

    Of a document of plain values whose members have ASCII names, the standard library writes the same bytes in C, some
    ten times as fast; those are nearly all of ours, and a store is full of them.
    """
    with contextlib.suppress(UnicodeEncodeError):  # half a surrogate pair, which rfc8785 refuses in words of its own
        if is_plain(document):
            return encode_plain(document)
        if is_plain(whole := with_whole_numbers(document)):
            return encode_plain(whole)
    return rfc8785.dumps(document)


class Spelled(NamedTuple):
    """A document that was read strictly, with its canonical form. ``plain``: see :mod:`canonical`."""

    document: Any
    canonical: bytes
    plain: bool

    def digest(self, part: Any) -> str:
        """:func:`digest_json` of a document made of nothing but parts of this one."""
        return digest_bytes(encode_plain(part)) if self.plain else digest_json(part)


def digest_json(document: Any) -> str:
    """The digest of a document's canonical JSON."""
    return digest_bytes(canonical_json(document))


def canonical_form(document: Any, where: object) -> bytes:
    """:func:`canonical_json` of a document somebody else wrote.

    Raises IntegrityError JSON_NO_CANONICAL naming ``where`` for an integer past 2**53 or half a surrogate pair.
    """
    try:
        return canonical_json(document)
    except ValueError as error:
        raise IntegrityError("JSON_NO_CANONICAL", f"it has no canonical form: {error}", where=where) from error


def is_object(value: Any) -> TypeGuard[dict[str, Any]]:
    """Whether a value of parsed JSON is an object."""
    return isinstance(value, dict)


def load_json(data: bytes, where: object) -> Any:
    """Strict JSON: UTF-8, no duplicate keys, no NaN or Infinity, at most 100 levels and 256 MiB. Costs linear time.

    Raises IntegrityError JSON_MALFORMED naming ``where``.
    """
    return _loaded(data, where)[0]


def load_spelled(data: bytes, where: object) -> Spelled:
    """:func:`load_json`, with the canonical form of what was read. Raises as that and :func:`canonical_form`."""
    document, canonical = _loaded(data, where)
    return Spelled(document, canonical or canonical_form(document, where), plain=canonical is not None)


def _loaded(data: bytes, where: object) -> tuple[Any, bytes | None]:
    """The document, and its canonical form if it is plain."""
    try:
        if len(data) > MAX_JSON:
            raise ValueError(f"{len(data):,} bytes are more than {MAX_JSON:,}")
        _require_shallow(data)
        if plain := read_plain(data):
            return plain
        hooks: dict[str, Any] = {"object_pairs_hook": _unique_keys, "parse_constant": _no_constant}
        return json.loads(data.decode(), parse_int=_number, **hooks), None
    except (ValueError, RecursionError) as error:
        raise IntegrityError("JSON_MALFORMED", f"not strict JSON: {why_unreadable(error)}", where=where) from error


def why_unreadable(error: Exception) -> str:
    """Why a reader of JSON or TOML stopped; in other words than Python's where those are about Python."""
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is not UTF-8"
    if isinstance(error, RecursionError):
        return "nested too deep"
    return "an integer is too long" if "int_max_str_digits" in str(error) else str(error)


def array_key64(rows: np.ndarray) -> np.ndarray:
    """Row keys, uint64[n]: the first 8 bytes (big-endian) of the SHA-256 of each row of a 2-D array, little-endian."""
    packed = np.ascontiguousarray(rows).astype(rows.dtype.newbyteorder("<"), copy=False)
    width = packed.shape[1] * packed.itemsize
    view = packed.data.cast("B") if packed.size else memoryview(b"")
    keys = b"".join(hashlib.sha256(view[i : i + width]).digest()[:8] for i in range(0, len(view), width or 1))
    return np.frombuffer(keys, dtype=">u8").astype(np.uint64)


def text_key64(texts: list[str]) -> np.ndarray:
    """Row keys, uint64[n]: the first 8 bytes (big-endian) of the SHA-256 of each text's UTF-8 bytes."""
    keys = b"".join(hashlib.sha256(text.encode()).digest()[:8] for text in texts)
    return np.frombuffer(keys, dtype=">u8").astype(np.uint64)


def digest_key64(digests: np.ndarray) -> np.ndarray:
    """uint64[n]: the first 8 bytes (big-endian) of each digest of uint8[n, 32]."""
    return np.ascontiguousarray(digests[:, :8]).view(">u8").ravel().astype(np.uint64)


def tensor_entries(path: Path) -> list[list[Any]]:
    """``[name, dtype, shape, sha256 of the bytes]`` per tensor of a safetensors file, sorted by name.

    This list *is* a checkpoint's identity: it does not see the file's header order, alignment or metadata. Raises
    IntegrityError SAFETENSORS_HEADER, _LAYOUT or _SHORT for a file that safetensors would not load.
    """
    from assets_data.lineage.identity.tensors import check_layout

    with open(path, "rb") as file:
        header_size = _header_size(file.read(8), path)
        header = load_json(file.read(header_size), path)
        check_layout(header, path.stat().st_size - 8 - header_size, path)
        entries: list[list[Any]] = []
        for name in sorted(set(header) - {"__metadata__"}):
            begin, end = header[name]["data_offsets"]
            file.seek(8 + header_size + begin)
            entries.append([name, header[name]["dtype"], header[name]["shape"], _digest_span(file, end - begin, path)])
    return entries


def table_digest(path: Path, also: Callable[[Any], None] | None = None, data: bytes | None = None) -> dict[str, Any]:
    """``{"rows": n, "columns": {name: digest}}`` of an Arrow IPC or Parquet file: values only, streamed by batch.

    ``also`` is given every record batch, once it was hashed; ``data`` are the file's bytes, where they are at hand.
    """
    from assets_data.lineage.identity.columns import ColumnHasher
    from assets_data.lineage.identity.tables import open_table

    rows = 0
    with open_table(path, data) as table:
        hashers = {field.name: ColumnHasher(field) for field in table.schema}
        for batch in table.batches():
            rows += batch.num_rows
            for name, hasher in hashers.items():
                hasher.update(batch.column(name))
            if also is not None:
                also(batch)
    return {"rows": rows, "columns": {name: hasher.digest() for name, hasher in sorted(hashers.items())}}


def says_more_than_bytes(name: str) -> bool:
    """Whether a part's logical digest is another one than that of its file, by suffix."""
    return Path(name).suffix in (".arrow", ".parquet", ".json", ".safetensors")


def logical_digest(path: Path, also: Callable[[Any], None] | None = None, data: bytes | None = None) -> Any:
    """What a part contributes to its snapshot's identity, by suffix: table, JSON, tensors, else plain bytes.

    ``also`` is given the record batches of a table; ``data`` are the file's bytes, where they are at hand.
    """
    suffix = path.suffix
    if suffix in (".arrow", ".parquet"):
        return table_digest(path, also, data)
    if suffix == ".json":
        return digest_bytes(load_spelled(path.read_bytes() if data is None else data, path).canonical)
    if suffix == ".safetensors":
        return {"tensors": tensor_entries(path)}
    return digest_file(path) if data is None else digest_bytes(data)


def _require_shallow(data: bytes) -> None:
    """Refuse nesting that would exhaust a parser. Counts brackets outside strings: escapes hide no quote from it."""
    if data.count(b"{") + data.count(b"[") <= MAX_DEPTH:
        return
    if any(depth > MAX_DEPTH for depth in itertools.accumulate(_brackets(data))):
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")


def _brackets(data: bytes) -> Iterable[int]:
    """1 for each bracket outside strings that opens, -1 for each that closes, in order."""
    if b"\\" in data or len(data) > _SPLIT:
        return (_STEP.get(match[0][0], 0) for match in _BRACKETS.finditer(data))
    outside = b"".join(data.split(b'"')[::2])  # a quote without a backslash begins a string or ends it
    return map(_STEP.__getitem__, outside.translate(None, _NO_BRACKET))


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("duplicate key")
    return document


def _number(digits: str) -> int | float:
    """Past 2**53 canonical JSON writes a double that is a whole number without a fraction: read back, it is one again.
    An integer that no double is stays one, and has no canonical form.
    """
    number = int(digits)
    if abs(number) < 1 << 53 or len(digits) > 22:  # 10**21 and more have an exponent
        return number
    return float(number) if canonical_json(float(number)) == digits.encode() else number


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _header_size(raw: bytes, path: Path) -> int:
    size = struct.unpack("<Q", raw)[0] if len(raw) == 8 else -1
    if not 0 < size <= min(path.stat().st_size - 8, MAX_HEADER):
        raise IntegrityError("SAFETENSORS_HEADER", "header length is impossible", found=size, where=path)
    return size


def _digest_span(file: Any, length: int, path: Path) -> str:
    hasher = hashlib.sha256()
    while length > 0:
        block = file.read(min(length, 1 << 20))
        if not block:
            raise IntegrityError("SAFETENSORS_SHORT", "tensor data ends early", where=path)
        hasher.update(block)
        length -= len(block)
    return hasher.hexdigest()
