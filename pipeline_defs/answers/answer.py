"""What a lineage command answers: a document for programs, lines for people, and whether the answer is yes."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assets_data.lineage import DataError, StemmaError
from assets_data.lineage.config import dotted_values
from assets_data.lineage.identity.digests import MAX_JSON, load_json

UNDECIDED = 3
"""The exit status of an answer that leaves something to the reader; 2 is argparse's, for unusable arguments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """``ok`` False means "no": the command exits with status 1. ``undecided``: neither yes nor no, status 3."""

    document: Mapping[str, Any]
    lines: Sequence[str] = field(default_factory=list)
    ok: bool = True
    undecided: bool = False

    def print(self, as_json: bool) -> int:
        """Write to stdout, untrusted characters escaped; the exit status.

        JSON is one line, which Python writes in C: that of 10,000 slices has a hundred megabytes.
        """
        text = json.dumps(self.document) if as_json else "\n".join(plain(line) for line in self.lines)
        with contextlib.suppress(BrokenPipeError):  # the reader has seen enough
            print(text, flush=True)
        return UNDECIDED if self.undecided else 0 if self.ok else 1


def fault_document(error: StemmaError) -> dict[str, Any]:
    """An error's parts, for programs."""
    members = {"code": error.code, "what": error.what, "expected": error.expected, "found": error.found}
    return {
        name: value if value is None else _json(value) for name, value in (members | {"where": error.where}).items()
    }


def short(digest: str | None) -> str:
    """The first 12 hex characters of a digest."""
    return (digest or "none").removeprefix("sha256:")[:12]


def pretty(document: Any) -> bytes:
    """A JSON file for other tools: indented, members sorted, a newline at the end; one spelling per document."""
    return (json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def settings_in_words(fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each setting by its dotted name, its value as JSON."""
    return ((name, json.dumps(value, ensure_ascii=False)) for name, value in dotted_values(fields).items())


def read_given(path: Path) -> Any:
    """The JSON of a file that a person named; of an endless one no more than a document may have is read.

    Raises DataError FILE_GIVEN where it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_JSON + 1)
    except OSError as error:
        what = f"the file cannot be read: {error.strerror or error}"
        raise DataError("FILE_GIVEN", what, where=path, action="name a file that is there") from error
    return load_json(data, path)


def plain(value: object) -> str:
    """Untrusted text for a terminal, as one line: what is not printable is shown as its escape, so that a name cannot
    move the cursor, colour a line, hide itself or pose as a line of its own.
    """
    text = str(value)
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _json(value: object) -> Any:
    try:
        json.dumps(value)
        return value
    except (TypeError, ValueError):
        return str(value)
