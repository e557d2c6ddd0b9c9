"""Changes to one value, one document or one table, found by looking at it: nothing here knows what the data means."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Edit = Callable[[Path], None]
Fields = tuple[Any, ...]


def other(value: Any) -> Any:
    """Another value of the same type, as near as can be."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value - 1 if value > 0 else value + 1
    if isinstance(value, str):
        if value and value[-1] in "0123456789abcdef":
            return value[:-1] + ("1" if value[-1] == "0" else "0")
        return value + "x"
    if isinstance(value, bytes):
        return value[:-1] + bytes([value[-1] ^ 1]) if value else b"x"
    if isinstance(value, list):
        return [*value[:-1], other(value[-1])] if value else [1]
    return 0 if value is None else value


def fields(document: Any, path: Fields = ()) -> Iterator[Fields]:
    """The way to every member, parents first; of a list its first and last element."""
    if path:
        yield path
    if isinstance(document, dict):
        members = list(document.items())
    elif isinstance(document, list):
        ends = sorted({0, len(document) - 1}) if document else []
        members = [(at, document[at]) for at in ends]
    else:
        return
    for name, value in members:
        yield from fields(value, (*path, name))


def json_edits(document: Any) -> Iterator[tuple[str, Fields, Callable[[Any], Any]]]:
    """``(what, field, change)`` for every field: another value, none at all, and for containers one member more."""
    if not isinstance(document, dict | list) or not document:
        yield "changed", (), lambda whole: other(whole)
        return
    for path in fields(document):
        value = _at(document, path)
        if not isinstance(value, dict) and other(value) != value:
            yield "changed", path, lambda whole, p=path: _set(whole, p, other(_at(whole, p)))
        yield "dropped", path, lambda whole, p=path: _drop(whole, p)
        if isinstance(value, dict):
            yield "one more", path, lambda whole, p=path: _set(whole, (*p, "attack"), 1)


def table_edits(path: Path) -> Iterator[tuple[str, str, Edit]]:
    """``(what, column, edit)`` for every column of a table, and for its rows."""
    table = read(path)
    for name in table.column_names:
        if table.num_rows:
            yield "a value changed", name, lambda file, n=name: write(file, _with_other(read(file), n))
        if table.num_columns > 1:
            yield "dropped", name, lambda file, n=name: write(file, read(file).drop_columns([n]))
        renamed = [f"{column}x" if column == name else column for column in table.column_names]
        yield "renamed", name, lambda file, names=renamed: write(file, read(file).rename_columns(names))
    if table.num_rows > 1 and table.take(list(range(table.num_rows))[::-1]) != table:
        yield "rows turned", "", lambda file: write(file, _rows(file, lambda n: list(range(n))[::-1]))
    if table.num_rows:
        yield "a row dropped", "", lambda file: write(file, _rows(file, lambda n: list(range(n - 1))))
        yield "a row twice", "", lambda file: write(file, _rows(file, lambda n: [0, *range(n)]))
        yield "written anew", "", lambda file: write(file, read(file), batch_rows=1)


def byte_edits(path: Path) -> Iterator[tuple[str, Edit]]:
    """``(what, edit)`` for any file."""
    if size := path.stat().st_size:
        for at in sorted({0, size // 2, size - 1}):
            yield f"byte {at} flipped", lambda file, a=at: file.write_bytes(_flip(file.read_bytes(), a))
        yield "cut short", lambda file: file.write_bytes(file.read_bytes()[:-1])
    yield "a byte more", lambda file: file.write_bytes(file.read_bytes() + b"\n")


def edit_json(change: Callable[[Any], Any]) -> Edit:
    """The edit of a file that changes its document and writes it as our writers do."""
    from assets_data.lineage import canonical_json

    def edit(path: Path) -> None:
        whole = json.loads(path.read_bytes())
        changed = change(copy.deepcopy(whole))
        end = b"\n" if path.read_bytes().endswith(b"\n") else b""
        path.write_bytes(canonical_json(whole if changed is None else changed) + end)

    return edit


def read(path: Path) -> pa.Table:
    """A table, read so that its file can be written over."""
    if path.suffix == ".parquet":
        return pq.read_table(path)
    with pa.OSFile(str(path)) as source:
        return pa.ipc.open_file(source).read_all()


def write(path: Path, table: pa.Table, batch_rows: int | None = None) -> None:
    """The table in the container its suffix says."""
    if path.suffix == ".parquet":
        pq.write_table(table, path, compression="snappy", row_group_size=batch_rows)
        return
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=batch_rows)


def _with_other(table: pa.Table, name: str) -> pa.Table:
    column, at = table[name], table.column_names.index(name)
    values = [other(column[0].as_py()), *itertools.islice(column.to_pylist(), 1, None)]
    return table.set_column(at, table.field(at), pa.array(values, column.type))


def _rows(path: Path, chosen: Callable[[int], list[int]]) -> pa.Table:
    table = read(path)
    return table.take(pa.array(chosen(table.num_rows), pa.int64()))


def _flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def _at(document: Any, path: Fields) -> Any:
    for name in path:
        document = document[name]
    return document


def _set(whole: Any, path: Fields, value: Any) -> Any:
    _at(whole, path[:-1])[path[-1]] = value
    return whole


def _drop(whole: Any, path: Fields) -> Any:
    del _at(whole, path[:-1])[path[-1]]
    return whole
