"""Texts to token ids: those that the tokenizer gives, which is only asked for pre-tokens that are new.

Nearly all of a text are words met before, and BPE spends about a microsecond on each token of them every time. Works on
the texts' own memory; strings and lists are made of new pre-tokens alone. One that is remembered takes 200 bytes. Texts
in which hardly any comes again (scripts without spaces, random letters) are given to the tokenizer as they are.
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
MOST_NEW = 0.5  # share of the bytes; asking for new pre-tokens one by one costs twice what the whole texts do


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
        words = pretokens.dictionary.to_pylist()
        known = self._known if len(self._known) < KNOWN else {}
        new = [word for word in words if word not in known]
        if sum(map(len, new)) > MOST_NEW * len(utf8):
            return self._whole(texts)
        made = dict(zip(new, self._asked([word.decode() for word in new]), strict=True))
        ids = pa.array([made.get(word) or known[word] for word in words], pa.large_binary()).take(pretokens.indices)
        known.update((word, ids) for word, ids in made.items() if len(word) <= LONGEST)
        self._known = known
        ends_D = np.frombuffer(ids.buffers()[1], np.int64)[np.searchsorted(begins_P, offsets_D)]
        return np.frombuffer(ids.buffers()[2] or b"", self.token_type), np.diff(ends_D) // self.token_type.itemsize

    def _whole(self, texts: pl.Series) -> tuple[np.ndarray, np.ndarray]:
        ids = self._asked(texts.to_list())
        lengths_D = np.fromiter(map(len, ids), np.int64, len(ids)) // self.token_type.itemsize
        return np.frombuffer(b"".join(ids), self.token_type), lengths_D

    def _asked(self, texts: list[str]) -> list[bytes]:
        """The ids of each, as the memory of an array of ``token_type``."""
        encodings = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [array(self.token_type.char, encoding.ids).tobytes() for encoding in encodings]
