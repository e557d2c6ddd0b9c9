"""Near-duplicates by MinHash and locality-sensitive hashing (Broder 1997; Leskovec, Rajaraman, Ullman, chapter 3).

Signatures are a pure function of a document and the config. The index holds what was kept so far in memory: a signature
and its band keys per kept document, about 1.5 kB at 128 permutations.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from assets_data.domains.text.config import DuplicatesConfig

if TYPE_CHECKING:  # imported where it is used: most configs seek no near-duplicates
    from datasketch import MinHash

_SCHEME = "affine32"
_BLOCK = 4096  # shingles hashed at a time: a block takes 2 MB at 128 permutations


class Signer:
    """Documents to signatures."""

    def __init__(self, config: DuplicatesConfig) -> None:
        from datasketch import MinHash

        self._config = config
        self._empty = MinHash(num_perm=config.permutations, seed=config.seed, scheme=_SCHEME)

    def sign(self, prompt: str, text: str) -> np.ndarray:
        """uint32[permutations]: the least permuted hash over the document's distinct shingles."""
        minhash = self._empty.copy()
        unique = sorted(set(shingles(f"{prompt}\n{text}" if prompt else text, self._config)))
        for begin in range(0, len(unique), _BLOCK):
            minhash.update_batch(shingle.encode() for shingle in unique[begin : begin + _BLOCK])
        return minhash.hashvalues.astype(np.uint32)


class KeptDocuments:
    """The signatures of kept documents, by number, and which of them a new one is close to."""

    def __init__(self, config: DuplicatesConfig) -> None:
        from datasketch import MinHash, MinHashLSH

        self._config = config
        self._empty = MinHash(num_perm=config.permutations, seed=config.seed, scheme=_SCHEME)
        self._index = MinHashLSH(threshold=config.threshold, num_perm=config.permutations)
        self._signatures: dict[int, np.ndarray] = {}

    def nearest(self, signature: np.ndarray) -> int | None:
        """The first kept document whose estimated Jaccard similarity reaches the threshold, or None."""
        minhash = self._minhash(signature)
        candidates: list[int] = self._index.query(minhash)  # type: ignore[assignment]
        for number in sorted(candidates):
            if np.mean(self._signatures[number] == signature) >= self._config.threshold:
                return number
        return None

    def keep(self, number: int, signature: np.ndarray) -> None:
        """Remember one more; numbers ascend."""
        self._signatures[number] = signature
        self._index.insert(number, self._minhash(signature))

    def _minhash(self, signature: np.ndarray) -> MinHash:
        minhash = self._empty.copy()
        minhash.hashvalues = signature
        return minhash


def shingles(text: str, config: DuplicatesConfig) -> Iterator[str]:
    """Runs of ``shingle_size`` words or characters; a shorter text is one shingle."""
    pieces = text.split() if config.shingle == "word" else text
    joint = " " if config.shingle == "word" else ""
    for begin in range(max(1, len(pieces) - config.shingle_size + 1)):
        yield joint.join(pieces[begin : begin + config.shingle_size])
