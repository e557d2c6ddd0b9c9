"""Texts to token ids: those that the tokenizer gives, which is only asked for pre-tokens that are new.

Nearly all of a text are words met before, and BPE spends about a microsecond on each token of them every time. Works on
the texts' own memory; strings and lists are made of new pre-tokens alone. One that is remembered takes 200 bytes. Text
in which hardly any comes again (random letters) costs up to twice what the tokenizer alone would.
"""

from __future__ import annotations

from array import array

import numpy as np
import polars as pl
import pyarrow as pa
from tokenizers import Tokenizer

from assets_data.domains.text.pretokens import cut

KNOWN = 1 << 18  # pre-tokens remembered; once there are as many, all are forgotten
LONGEST = 64  # bytes of one that is remembered


class Encoder:
    """A byte-level BPE tokenizer that remembers. Ids are uint16 while the vocabulary fits. Threads may share it."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.token_type = np.dtype(np.uint16 if tokenizer.get_vocab_size() <= 1 << 16 else np.uint32)
        self._tokenizer = tokenizer
        self._known: dict[bytes, bytes] = {}

    def encode(self, texts: pl.Series) -> tuple[np.ndarray, np.ndarray]:
        """The ids of all texts end to end, and int64[D] how many each text has of them."""
        column = texts.to_arrow(compat_level=pl.CompatLevel.oldest())
        offsets_D = np.frombuffer(column.buffers()[1], np.int64)[column.offset : column.offset + len(column) + 1]
        utf8 = (column.buffers()[2] or pa.py_buffer(b""))[offsets_D[0] : offsets_D[-1]]
        offsets_D = offsets_D - offsets_D[0]
        begins_P = cut(memoryview(utf8), offsets_D)
        buffers = [None, pa.py_buffer(begins_P), utf8]
        pretokens = pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(begins_P) - 1, buffers).dictionary_encode()
        ids = pa.array(self._ids(pretokens.dictionary.to_pylist()), pa.large_binary()).take(pretokens.indices)
        ends_D = np.frombuffer(ids.buffers()[1], np.int64)[np.searchsorted(begins_P, offsets_D)]
        return np.frombuffer(ids.buffers()[2] or b"", self.token_type), np.diff(ends_D) // self.token_type.itemsize

    def _ids(self, pretokens: list[bytes]) -> list[bytes]:
        """The ids of each, as the memory of an array of ``token_type``."""
        known = self._known if len(self._known) < KNOWN else {}
        found = list(map(known.get, pretokens))
        new = [pretoken for pretoken, ids in zip(pretokens, found, strict=True) if ids is None]
        encodings = self._tokenizer.encode_batch_fast([each.decode() for each in new], add_special_tokens=False)
        made = {each: array(self.token_type.char, e.ids).tobytes() for each, e in zip(new, encodings, strict=True)}
        known.update((pretoken, ids) for pretoken, ids in made.items() if len(pretoken) <= LONGEST)
        self._known = known
        return [made[pretoken] if ids is None else ids for pretoken, ids in zip(pretokens, found, strict=True)]
