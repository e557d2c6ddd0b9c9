"""Where text of some records still lies: pieces of what they said, looked for in everything below a root, unpacked.

A piece is 24 letters or digits in a row, other characters left out, so that escapes of JSON, markdown and SQL do not
hide it; text is cut into pieces from its beginning, so an excerpt of 48 letters holds at least one. Pieces that what
stays says as well are no trace.
"""

from __future__ import annotations

import contextlib
import gzip
import re
import sqlite3
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import zstandard

from assets_data.lineage import Snapshot
from assets_data.lineage.identity.tables import iter_batches
from assets_data.lineage.storage.record_rows import record_rows

PIECE = 24
MOST = 400  # pieces of one text: its first 9,600 letters
_ESCAPED = re.compile(rb"\\+u([0-9a-fA-F]{4})")
_WHITE = re.compile(rb"\\+[nrt]")
_OTHER = re.compile(rb"[^0-9A-Za-z\x80-\xff]+")


def record_pieces(holders: Iterable[Snapshot], records: Collection[bytes]) -> set[bytes]:
    """The pieces of every string in the rows of these records."""
    found: set[bytes] = set()
    for snapshot in holders:
        for name, rows in record_rows(snapshot, records).items():
            for text in _strings(snapshot.table(name).take(pa.array(rows))):
                found |= set(pieces(text.encode()))
    return found


def other_pieces(snapshots: Iterable[Snapshot], wanted: Collection[bytes]) -> set[bytes]:
    """Those of ``wanted`` that tables of these snapshots say too."""
    found: set[bytes] = set()
    for snapshot in snapshots:
        for name, entry in snapshot.files.items():
            if entry["part"] and Path(name).suffix in (".arrow", ".parquet"):
                for batch in iter_batches(snapshot.file(name)):
                    blob = plain_bytes("\n".join(_strings(pa.table(batch.columns, names=batch.schema.names))).encode())
                    found |= {piece for piece in wanted if piece in blob}
    return found


def pieces(text: bytes) -> Iterator[bytes]:
    """The whole pieces of a text, from its beginning; none of one that is shorter, or a digest in hexadecimal."""
    letters = plain_bytes(text)
    if re.fullmatch(rb"(sha256)?[0-9a-f]{64}", letters):
        return
    yield from (letters[at : at + PIECE] for at in range(0, min(len(letters), PIECE * MOST) - PIECE + 1, PIECE))


def plain_bytes(raw: bytes) -> bytes:
    """Letters and digits alone, escapes resolved."""
    raw = _ESCAPED.sub(lambda match: chr(int(match[1], 16)).encode("utf-8", "replace"), raw)
    return _OTHER.sub(b"", _WHITE.sub(b" ", raw))


def holds_piece(path: Path, wanted: Collection[bytes]) -> bool:
    """Whether a file says one of the pieces, by its bytes or by what they unpack to."""
    try:
        return any(piece in blob for raw in contents(path) for blob in [plain_bytes(raw)] for piece in wanted)
    except FileNotFoundError:  # a database's journal, gone when the database was closed
        return False


def contents(path: Path) -> Iterator[bytes]:
    """A file's bytes, and what a database, a table or a compressed file holds; what is torn is searched as it is."""
    raw = path.read_bytes()
    yield raw
    with contextlib.suppress(OSError, EOFError, zstandard.ZstdError, pa.ArrowException, sqlite3.Error):
        if raw.startswith(b"SQLite format 3\0"):
            yield from _database(path)
        elif raw.startswith(b"\x1f\x8b"):
            yield gzip.decompress(raw)
        elif raw.startswith(b"\x28\xb5\x2f\xfd"):
            yield zstandard.ZstdDecompressor().stream_reader(raw).read()
        elif raw.startswith((b"PAR1", b"ARROW1")):
            for batch in iter_batches(path):
                yield "\n".join(_strings(pa.table(batch.columns, names=batch.schema.names))).encode()


def _database(path: Path) -> Iterator[bytes]:
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        tables = [name for (name,) in database.execute("select name from sqlite_master where type = 'table'")]
        for table in tables:
            for row in database.execute(f'select * from "{table}"'):  # names are the database's own
                yield "\n".join(str(value) for value in row if value is not None).encode()


def _strings(table: pa.Table) -> Iterator[str]:
    for column in table.columns:
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            yield from (value for value in column.to_pylist() if value)
