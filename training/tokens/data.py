"""The data of a recipe on text tokens: the triples of every slice of a manifest, by split, memory-mapped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from assets_data.domains.text.read import (
    SPLITS,
    Decoder,
    Layout,
    Triple,
    TripleTable,
    open_slices,
    read_decoder,
    shared_layout,
)
from assets_data.lineage import Snapshot, Store, mix64
from training.data import TableRef
from training.tokens.rows import TripleRows, tokens_per_row


@dataclass(kw_only=True)
class TokenData:
    """The training rows, with the held-out ones beside: ``validation`` is watched, ``test`` decides.

    ``data[row]`` is a training row, ``data.test[row]`` a test row. ``members`` are the ids of all that was read, the
    tokenizer among them: other ids mean other words. ``decode`` gives ids back as text.
    """

    train: TripleRows
    validation: TripleRows
    test: TripleRows
    layout: Layout
    decode: Decoder
    members: Mapping[str, str]
    tables: tuple[TableRef, ...]
    joined: bool = False

    @property
    def row_keys(self) -> np.ndarray:
        """uint64[n]: the training rows' keys."""
        return self.train.row_keys

    @property
    def pad(self) -> int:
        """The id that fills up batches."""
        return self.layout.pad

    @cached_property
    def items_per_row(self) -> float:
        """Tokens the model reads of a training row."""
        return tokens_per_row(self.train, self.joined)

    def __len__(self) -> int:
        return len(self.train)

    def __getitem__(self, row: int) -> Triple:
        return self.train[row]


def open_tokens(store: Store, manifest: Snapshot, joined: bool = False) -> TokenData:
    """Verified and memory-mapped. Raises DataError MANIFEST_NO_MEMBER, or TRIPLES_LAYOUTS when slices disagree."""
    slices = open_slices(store, manifest)
    layout = shared_layout(slices)
    stored = {
        split: TripleTable([snapshot.file(f"{split}.arrow") for snapshot in slices.values()], layout.pad)
        for split in SPLITS
    }
    return TokenData(
        **stored,
        layout=layout,
        decode=read_decoder(store.snapshot(layout.tokenizer)),
        members={**{f"triples/{name}": slice_.id for name, slice_ in slices.items()}, "tokenizer": layout.tokenizer},
        tables=tuple(TableRef(snapshot.id, "train.arrow") for snapshot in slices.values()),
        joined=joined,
    )


def keyed_choice(row_keys: np.ndarray, count: int, seed: int, stream: str) -> np.ndarray:
    """int64[<= count]: row numbers in an order keyed by (seed, stream, row key), so no other row decides on them."""
    return np.argsort(mix64(seed, stream, row_keys), kind="stable")[:count]
