"""The layout of a safetensors file: every byte after the header belongs to exactly one tensor.

What the format's own reader refuses is refused here as well, so that a file cannot carry bytes that no tensor's digest
covers: behind the last tensor, in a gap, or read twice through an overlap.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from assets_data.lineage.errors import IntegrityError
from assets_data.lineage.identity.digests import is_object

METADATA = "__metadata__"
_MEMBERS = {"dtype", "shape", "data_offsets"}
_BITS = (
    {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "C64": 64}
    | dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8)
    | dict.fromkeys(("I16", "U16", "F16", "BF16"), 16)
    | dict.fromkeys(("I32", "U32", "F32"), 32)
    | dict.fromkeys(("I64", "U64", "F64"), 64)
)


def check_layout(header: Any, size: int, path: Path) -> None:
    """Refuse a header whose tensors do not fill the ``size`` bytes after it end to end, each as its shape says.

    Raises IntegrityError SAFETENSORS_HEADER or SAFETENSORS_LAYOUT.
    """
    if not is_object(header) or not _is_metadata(header.get(METADATA, {})):
        raise IntegrityError("SAFETENSORS_HEADER", "the header is not an object of tensors", where=path)
    spans = sorted(_span(name, entry, path) for name, entry in header.items() if name != METADATA)
    at = 0
    for begin, end, name in spans:
        if begin != at:
            what = f"there is {'an overlap' if begin < at else 'a gap'} before tensor {name!r}"
            raise IntegrityError("SAFETENSORS_LAYOUT", what, expected=at, found=begin, where=path)
        at = end
    if at < size:
        what = "bytes after the last tensor belong to nothing"
        raise IntegrityError("SAFETENSORS_LAYOUT", what, expected=at, found=size, where=path)
    if at > size:
        raise IntegrityError("SAFETENSORS_SHORT", "tensor data ends early", expected=at, found=size, where=path)


def _span(name: str, entry: Any, path: Path) -> tuple[int, int, str]:
    """``(begin, end, name)`` of a tensor whose length is that of its shape."""
    if not is_object(entry) or set(entry) != _MEMBERS or not _is_entry(entry):
        raise IntegrityError("SAFETENSORS_HEADER", f"the entry of tensor {name!r} is malformed", where=path)
    begin, end = entry["data_offsets"]
    bits = math.prod(entry["shape"]) * _BITS[entry["dtype"]]
    if bits % 8 or end - begin != bits // 8:
        what = f"the length of tensor {name!r} is not that of its shape"
        raise IntegrityError("SAFETENSORS_LAYOUT", what, expected=bits / 8, found=end - begin, where=path)
    return begin, end, name


def _is_entry(entry: Mapping[str, Any]) -> bool:
    natural = _are_natural(entry["shape"]) and _are_natural(entry["data_offsets"])
    return natural and len(entry["data_offsets"]) == 2 and isinstance(entry["dtype"], str) and entry["dtype"] in _BITS


def _are_natural(numbers: Any) -> bool:
    return type(numbers) is list and all(type(i) is int and i >= 0 for i in cast(list[Any], numbers))


def _is_metadata(value: Any) -> bool:
    return is_object(value) and all(isinstance(text, str) for text in value.values())
