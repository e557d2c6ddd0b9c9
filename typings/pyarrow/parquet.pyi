from collections.abc import Iterator, Sequence
from os import PathLike
from typing import IO, Self

from pyarrow import NativeFile, RecordBatch, Schema, Table
from pyarrow.compute import Expression

_File = str | PathLike[str] | IO[bytes] | NativeFile

class ColumnSchema:
    path: str

class ParquetSchema:
    def column(self, i: int) -> ColumnSchema: ...

class RowGroupMetaData:
    num_rows: int

class FileMetaData:
    metadata: dict[bytes, bytes] | None
    num_row_groups: int
    num_rows: int
    def row_group(self, i: int) -> RowGroupMetaData: ...

class ParquetFile:
    metadata: FileMetaData
    num_row_groups: int
    schema: ParquetSchema
    schema_arrow: Schema
    def __init__(self, source: _File, *, pre_buffer: bool = True) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *args: object, **kwargs: object) -> None: ...
    def close(self, force: bool = False) -> None: ...
    def iter_batches(
        self,
        batch_size: int = 65536,
        row_groups: Sequence[int] | None = None,
        columns: Sequence[str] | None = None,
        use_threads: bool = True,
    ) -> Iterator[RecordBatch]: ...
    def read(self, columns: Sequence[str] | None = None, use_threads: bool = True) -> Table: ...
    def read_row_group(self, i: int, columns: Sequence[str] | None = None, use_threads: bool = True) -> Table: ...

class ParquetWriter:
    def __init__(
        self,
        where: _File,
        schema: Schema,
        *,
        use_dictionary: bool | Sequence[str] = True,
        compression: str = "snappy",
        write_statistics: bool = True,
        compression_level: int | None = None,
    ) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *args: object, **kwargs: object) -> None: ...
    def close(self) -> None: ...
    def write_batch(self, batch: RecordBatch) -> None: ...
    def write_table(self, table: Table, row_group_size: int | None = None) -> None: ...

def read_metadata(where: _File) -> FileMetaData: ...
def read_schema(where: _File) -> Schema: ...
def read_table(
    source: _File, *, columns: Sequence[str] | None = None, filters: Expression | None = None, use_threads: bool = True
) -> Table: ...
def write_table(
    table: Table,
    where: _File,
    row_group_size: int | None = None,
    *,
    use_dictionary: bool | Sequence[str] = True,
    compression: str = "snappy",
    write_statistics: bool = True,
    compression_level: int | None = None,
) -> None: ...
