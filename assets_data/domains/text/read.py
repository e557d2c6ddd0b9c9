"""Reading what the text domain published: triples as rows, their layout, and ids back to text.

Needs numpy, pyarrow and the lineage room only, so that training can use it on a bare machine. A row costs the same
wherever it is: nothing is copied or decoded.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple, TypedDict

import numpy as np
import pyarrow as pa

from assets_data.documents import read_layout, read_manifest
from assets_data.lineage import DataError, Snapshot, Store
from assets_data.lineage.identity.tables import read_table

SPLITS = ("train", "validation", "test")
SPANS = ("encoder_begin", "encoder_end", "decoder_begin", "decoder_end")


class TriplesLayout(TypedDict):
    """What ``layout.json`` of triples says; ``sources`` of a mix alone."""

    tokenizer: str
    vocab_size: int
    window: int
    specials: dict[str, int]
    licence: str
    origin: str
    sources: list[dict[str, str]]


class Triple(NamedTuple):
    """One training example, token ids, as views of its row: what is read, what is given, and what is to be written next
    at each place (the decoder's input one position later).
    """

    encoder_ids: np.ndarray
    decoder_input_ids: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What a reader of triples must know: the tokenizer's snapshot id, its size and its special ids."""

    tokenizer: str
    vocab_size: int
    pad: int
    bos: int
    eos: int


class TripleTable:
    """The rows of one or several ``{split}.arrow`` files by number, one file after the other.

    Opening reads the footers; a row is a bisection over the files' batches and three slices. Raises IndexError beyond
    the last row. ``pad`` is the id that fills up a batch of them.
    """

    def __init__(self, files: Path | Sequence[Path], pad: int = 0) -> None:
        self.pad = pad
        self._tables = [read_table(file) for file in ([files] if isinstance(files, Path) else files)]
        keys = [table["row_key"].to_numpy() for table in self._tables]
        self.row_keys = np.concatenate([np.empty(0, np.uint64), *keys])  # uint64[n]: the order's keys
        batches = [batch for table in self._tables for batch in table.to_batches() if batch.num_rows]
        self._first = [0, *accumulate(batch.num_rows for batch in batches)]
        self._batches = [_views(batch) for batch in batches]

    @property
    def table(self) -> pa.Table:
        """All columns of all rows, mapped."""
        return pa.concat_tables(self._tables)

    @cached_property
    def spans_4N(self) -> np.ndarray:
        """int64[4, n]: where encoder and decoder begin and end in each row."""
        spans = [np.stack([table[name].to_numpy() for name in SPANS]) for table in self._tables]
        return np.concatenate(spans, axis=1).astype(np.int64) if spans else np.empty((4, 0), np.int64)

    def __len__(self) -> int:
        return self._first[-1]

    def __getitem__(self, row: int) -> Triple:
        place = bisect_right(self._first, row) - 1
        if not 0 <= place < len(self._batches):
            raise IndexError(f"row {row} of {len(self)}")
        tokens, offsets, encoder_begin, encoder_end, decoder_begin, decoder_end = self._batches[place]
        at = row - self._first[place]
        row_begin = offsets[at]
        first, last = row_begin + decoder_begin[at], row_begin + decoder_end[at]
        encoder_ids = tokens[row_begin + encoder_begin[at] : row_begin + encoder_end[at]]
        return Triple(encoder_ids, tokens[first : last - 1], tokens[first + 1 : last])


def open_slices(store: Store, manifest: Snapshot) -> dict[str, Snapshot]:
    """The triples of every slice that a dataset manifest names, verified. Raises DataError MANIFEST_NO_MEMBER."""
    members = read_manifest(manifest)["members"]
    if not members.get("triples"):
        what = "a recipe on text needs triples"
        raise DataError("MANIFEST_NO_MEMBER", what, expected="triples", found=sorted(members))
    return {name: store.snapshot(members["triples"][name]) for name in sorted(members["triples"])}


def shared_layout(slices: Mapping[str, Snapshot]) -> Layout:
    """The layout that all slices share. Raises DataError TRIPLES_LAYOUTS when they disagree."""
    found = set()
    for snapshot in slices.values():
        layout = read_layout(snapshot, TriplesLayout)
        specials = {name: layout["specials"][name] for name in ("pad", "bos", "eos")}
        found.add(Layout(vocab_size=layout["vocab_size"], tokenizer=layout["tokenizer"], **specials))
    if len(found) > 1:
        raise DataError("TRIPLES_LAYOUTS", "slices were made with different tokenizers", found=sorted(map(str, found)))
    return found.pop()


Decoder = Callable[[Iterable[int]], str]
"""Ids to text; special tokens are left out, broken UTF-8 shows as replacement characters."""


def read_decoder(tokenizer: Snapshot) -> Decoder:
    """The way back for a ``text/tokenizer`` snapshot."""
    document = tokenizer.read_json("tokenizer.json")
    specials = {token["id"] for token in document["added_tokens"]}
    alphabet = byte_alphabet()
    spelled = {
        number: bytes(alphabet[character] for character in token)
        for token, number in document["model"]["vocab"].items()
        if number not in specials
    }
    return lambda ids: b"".join(spelled.get(int(i), b"") for i in ids).decode(errors="replace")


def byte_alphabet() -> dict[str, int]:
    """Character to byte, as byte-level BPE writes them (Radford et al. 2019): printable Latin-1 stands for itself, the
    other bytes are numbered from U+0100.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {**{chr(byte): byte for byte in printable}, **{chr(256 + n): byte for n, byte in enumerate(others)}}


def _views(batch: pa.RecordBatch) -> tuple[np.ndarray, ...]:
    """The tokens, and as memoryviews (whose items are plain ints) the row offsets and the four spans."""
    lists = batch.column("tokens")
    numbers = [lists.offsets, *(batch.column(name) for name in SPANS)]
    return lists.values.to_numpy(), *(array.to_numpy().data for array in numbers)  # type: ignore[return-value]
