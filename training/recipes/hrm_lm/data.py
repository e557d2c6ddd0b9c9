"""What hrm_lm trains on: the triples of a manifest, or made-up sums for which the manifest is only the run's anchor."""

from __future__ import annotations

from collections.abc import Mapping
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
    read_layout,
)
from assets_data.lineage import Snapshot, Store, mix64
from training.generation import BOS, BYTE_VOCABULARY, BYTES, EOS, PAD, decode_bytes
from training.recipe import TableRef
from training.recipes.hrm_lm.arithmetic import ArithmeticRows
from training.recipes.hrm_lm.config import HrmLmConfig
from training.recipes.hrm_lm.rows import TripleRows, tokens_per_row


class HrmData:
    """The training rows, with the held-out ones beside: ``validation`` is watched, ``test`` decides."""

    def __init__(
        self,
        splits: Mapping[str, TripleRows],
        inputs: Layout,
        decode: Decoder,
        members: Mapping[str, str],
        tables: tuple[TableRef, ...],
        config: HrmLmConfig,
    ) -> None:
        self.train, self.validation, self.test = (splits[name] for name in SPLITS)
        self.inputs, self.decode, self.members, self.tables = inputs, decode, members, tables
        self.config = config

    @property
    def row_keys(self) -> np.ndarray:
        """uint64[n]: the training rows' keys."""
        return self.train.row_keys

    @property
    def pad(self) -> int:
        """The id that fills up batches."""
        return self.inputs.pad

    @cached_property
    def items_per_row(self) -> float:
        """Tokens of a training row, encoder and decoder together."""
        return tokens_per_row(self.train)

    def __len__(self) -> int:
        return len(self.train)

    def __getitem__(self, row: int) -> Triple:
        return self.train[row]


def open_data(store: Store, manifest: Snapshot, config: HrmLmConfig) -> HrmData:
    """Verified and memory-mapped. Raises DataError MANIFEST_NO_MEMBER, or TRIPLES_LAYOUTS when slices disagree."""
    if config.data.source == "arithmetic":
        splits = {split: ArithmeticRows(split, config.data) for split in SPLITS}
        inputs = Layout(vocab_size=BYTE_VOCABULARY, pad=PAD, bos=BOS, eos=EOS, tokenizer=BYTES)
        return HrmData(splits, inputs, decode_bytes, {}, (), config)
    slices = open_slices(store, manifest)
    inputs = read_layout(slices)
    stored = {
        split: TripleTable([snapshot.file(f"{split}.arrow") for snapshot in slices.values()], inputs.pad)
        for split in SPLITS
    }
    members = {**{f"triples/{name}": snapshot.id for name, snapshot in slices.items()}, "tokenizer": inputs.tokenizer}
    tables = tuple(TableRef(snapshot.id, "train.arrow") for snapshot in slices.values())
    decode = read_decoder(store.snapshot(inputs.tokenizer))
    return HrmData(stored, inputs, decode, members, tables, config)


def keyed_choice(row_keys: np.ndarray, count: int, seed: int, stream: str) -> np.ndarray:
    """int64[<= count]: row numbers in an order keyed by (seed, stream, row key), so no other row decides on them."""
    return np.argsort(mix64(seed, stream, row_keys), kind="stable")[:count]
