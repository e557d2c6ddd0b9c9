"""One column's logical digest, fed batch by batch: independent of chunking, offsets, padding and string width."""

from __future__ import annotations

import hashlib
import sys

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from assets_data.lineage.errors import DataError

if sys.byteorder != "little":  # every digest is over little-endian values; nobody trains on a big-endian machine today
    raise ImportError("stemma hashes little-endian arrays and runs on little-endian machines only")


_OFFSETS: dict[int, type[np.signedinteger]] = {
    pa.string().id: np.int32,
    pa.binary().id: np.int32,
    pa.large_string().id: np.int64,
    pa.large_binary().id: np.int64,
}
"""How wide the ends of the values of text and bytes are, by the type's number."""


class ColumnHasher:
    """SHA-256 over a column's type name, its values' bytes and, for strings and lists, its lengths as int64.

    Nulls are refused (DataError COLUMN_NULL): an identity has no place for "unknown".
    """

    def __init__(self, field: pa.Field) -> None:
        self.name, self.type = field.name, _logical_name(field)
        self.values, self.lengths = hashlib.sha256(), hashlib.sha256()

    def update(self, array: pa.Array) -> None:
        """Feed the next batch of this column."""
        if array.null_count:
            raise DataError("COLUMN_NULL", "a snapshot's columns hold no nulls", where=self.name)
        if width := _OFFSETS.get(array.type.id):
            self._update_binary(array, width)
        elif pa.types.is_list(array.type) or pa.types.is_large_list(array.type) or _is_fixed(array.type):
            self._update_list(array)
        else:
            self.values.update(_numbers(array).data)

    def digest(self) -> str:
        """``sha256:`` over the type and both running digests. The column stays open for more."""
        parts = [self.type, self.values.hexdigest(), self.lengths.hexdigest()]
        return "sha256:" + hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def _update_binary(self, array: pa.Array, width: type[np.signedinteger]) -> None:
        if not len(array):
            return
        _, ends, values = array.buffers()
        offsets = np.frombuffer(ends, width)[array.offset : array.offset + len(array) + 1]
        self.lengths.update((offsets[1:] - offsets[:-1]).astype(np.int64, copy=False).data)
        if offsets[-1] > offsets[0]:
            self.values.update(memoryview(values)[offsets[0] : offsets[-1]])

    def _update_list(self, array: pa.Array) -> None:
        self.lengths.update(_list_lengths(array).data)
        flat = array.flatten()
        if flat.null_count:
            raise DataError("COLUMN_NULL", "a snapshot's columns hold no nulls", where=self.name)
        self.values.update(_numbers(flat).data)


def _numbers(array: pa.Array) -> np.ndarray:
    if pa.types.is_boolean(array.type):
        return array.to_numpy(zero_copy_only=False).view(np.uint8)
    if not (pa.types.is_integer(array.type) or pa.types.is_floating(array.type)):
        raise DataError("COLUMN_TYPE", "this column type has no logical digest", found=str(array.type))
    values = array.to_numpy(zero_copy_only=False)
    return np.ascontiguousarray(values) if len(values) else np.zeros(0, np.uint8)


def _list_lengths(array: pa.Array) -> np.ndarray:
    return pc.call_function("list_value_length", [array]).to_numpy(zero_copy_only=False).astype(np.int64)


def _is_fixed(data_type: pa.DataType) -> bool:
    return pa.types.is_fixed_size_list(data_type)


def _logical_name(field: pa.Field) -> str:
    kind = field.type
    if pa.types.is_large_string(kind):
        return "string"
    if pa.types.is_large_binary(kind):
        return "binary"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or _is_fixed(kind):
        return f"list<{kind.value_type}>"
    return str(kind)
