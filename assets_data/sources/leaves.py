"""From a field path to the one leaf of a table that it names: by number in a file, by value in a batch. Opens none."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from assets_data.sources.fields import Steps


def leaf_numbers(schema: pa.Schema, steps: Steps) -> range:
    """Which of a parquet file's leaf columns, in depth-first order, lie at or below a field."""
    kind: pa.DataType = pa.struct(list(schema))
    at = 0
    for step in steps:
        if isinstance(step, str) and pa.types.is_struct(kind) and (number := _only(kind, step)) is not None:
            at += sum(_leaf_count(kind.field(before).type) for before in range(number))
            kind = kind.field(number).type
        elif isinstance(step, int) and _is_list(kind):
            kind = kind.value_type
        else:
            return range(0)
    return range(at, at + _leaf_count(kind))


def _leaf_count(kind: pa.DataType) -> int:
    if isinstance(kind, pa.BaseExtensionType):
        return _leaf_count(kind.storage_type)
    if pa.types.is_struct(kind) or pa.types.is_map(kind):
        return sum(_leaf_count(kind.field(number).type) for number in range(kind.num_fields))
    return _leaf_count(kind.value_type) if _is_list(kind) else 1


def _only(kind: pa.StructType, name: str) -> int | None:
    """The number of the field of this name; None when there is none. Raises KeyError when there are several."""
    numbers = [number for number in range(kind.num_fields) if kind.field(number).name == name]
    if len(numbers) > 1:
        raise KeyError(f"{len(numbers)} columns are named {name!r}: which is meant cannot be told")
    return numbers[0] if numbers else None


def leaf_of(batch: pa.RecordBatch, steps: Steps) -> pa.Array | None:
    """The values that a field names, one per row; None when there is no such column."""
    number = _only(pa.struct(list(batch.schema)), str(steps[0]))
    if number is None:
        return None
    array = batch.column(number)
    if len(steps) > 1 or _is_list(array.type):
        is_utf8(array)  # before offsets are followed; bad UTF-8 is looked for in the leaf alone
    for step in steps[1:]:
        if isinstance(step, str) and pa.types.is_struct(array.type) and (number := _only(array.type, step)) is not None:
            array = pc.struct_field(array, [number])
        elif isinstance(step, int) and _is_list(array.type):
            array = pc.list_slice(array, step, step + 1, return_fixed_size_list=True).values
        else:
            return None
    return array


def is_utf8(array: pa.Array) -> bool:
    """Whether every string is UTF-8, which Arrow does not look at by itself. Raises ArrowInvalid for other faults."""
    try:
        array.validate(full=True)
        return True
    except pa.ArrowInvalid as error:
        if "utf8" not in str(error).lower():
            raise
        return False


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def text_type(kind: pa.DataType) -> pa.DataType:
    """The type with strings in the place of bytes, and values in that of numbers for them, in lists too; every other
    type as it is.
    """
    if pa.types.is_dictionary(kind):
        return text_type(kind.value_type)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        inner = text_type(kind.value_type)
        make = pa.list_ if pa.types.is_list(kind) else pa.large_list
        return kind if inner == kind.value_type else make(inner)
    if pa.types.is_binary(kind) or pa.types.is_binary_view(kind):
        return pa.string()
    return pa.large_string() if pa.types.is_large_binary(kind) else kind


def is_plain(kind: pa.DataType) -> bool:
    """Whether values of this type are Python's own strings, numbers, truth values or bytes, or lists of them."""
    if _is_list(kind):
        return is_plain(kind.value_type)
    types = pa.types
    tests = (types.is_string, types.is_large_string, types.is_string_view, types.is_integer, types.is_floating)
    tests += (types.is_decimal, types.is_boolean, types.is_null, types.is_binary, types.is_large_binary)
    return any(test(kind) for test in tests)
