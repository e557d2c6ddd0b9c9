"""Canonical JSON of plain values, read and written in C: what nearly every file of a store is.

RFC 8785 and Python's own encoder spell a document alike as long as it holds plain values: text, whole numbers below
2**53, fractions that neither writes with an exponent, and members with ASCII names. What is spelled just as that
encoder spells it was read without loss, has no member twice and is in canonical form: one comparison shows it, ten
times as fast as checking every value in Python. Whatever else it may be is for :mod:`digests`, which knows all cases.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True)
_DIGITS, _LONG = bytes.maketrans(b"123456789", b"000000000"), b"0" * 16
"""Sixteen digits may be a number past 2**53. Those within a text are found for nothing, which costs time only."""
_AS_NUMBER = re.compile(rb"(?:^|[:\[,])-?[0-9]{16}")  # right behind what canonical JSON has before a value


class Plain(NamedTuple):
    """A document of plain values and its canonical form."""

    document: Any
    canonical: bytes


def encode_plain(document: Any) -> bytes:
    """The canonical form of a document of plain values. Raises UnicodeEncodeError for half a surrogate pair."""
    return _ENCODER.encode(document).encode()


def is_plain(value: Any) -> bool:
    """Nothing in which the two could differ: order of names beyond ASCII, how a float is written, other types."""
    kind = type(value)  # pyright: ignore[reportUnknownVariableType]: of a value of any type
    if kind is str or kind is bool or value is None:
        return True
    if kind is int:
        return -(2**53) < value < 2**53
    if kind is float:
        return _is_plain_fraction(value)
    if kind is dict:
        for name, item in value.items():  # a loop: it is half as slow as a generator, and a chain does little else
            if type(name) is not str or not name.isascii() or not (type(item) is str or is_plain(item)):
                return False
        return True
    return kind is list and all(map(is_plain, value))


def with_whole_numbers(value: Any) -> Any:
    """The same document with whole numbers for the floats that are some: canonical JSON writes 30.0 as 30."""
    kind = type(value)  # pyright: ignore[reportUnknownVariableType]: of a value of any type
    if kind is dict:
        return {name: with_whole_numbers(item) for name, item in value.items()}
    if kind is list:
        return [with_whole_numbers(item) for item in value]
    return int(value) if kind is float and value.is_integer() else value


def read_plain(data: bytes) -> Plain | None:
    """The document in ``data``, which may end in one newline; None unless it is plain and canonical, in ASCII."""
    body = data[:-1] if data.endswith(b"\n") else data
    if not body.isascii() or (_LONG in body.translate(_DIGITS) and _AS_NUMBER.search(body)):
        return None
    try:
        text = body.decode()
        document = _DECODER.decode(text)
        return Plain(document, body) if _ENCODER.encode(document) == text else None
    except (ValueError, RecursionError):
        return None


def _is_plain_fraction(value: float) -> bool:
    """Whether both write it without an exponent and with a fraction."""
    return 1e-4 <= abs(value) < 1e15 and not value.is_integer()


def _fraction(digits: str) -> float:
    if not _is_plain_fraction(value := float(digits)):
        raise ValueError(digits)
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(name)


_DECODER = json.JSONDecoder(parse_float=_fraction, parse_constant=_no_constant)
