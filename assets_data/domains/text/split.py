"""Which split a document belongs to: a pure, keyed function of its cleaned text, and of nothing else.

So equal texts share a split in every slice and on every machine, and a document that arrives later moves no other.
"""

from __future__ import annotations

import numpy as np

from assets_data.domains.text.config import DocumentsConfig
from assets_data.lineage import uniform01


def assign_splits(text_keys: np.ndarray, config: DocumentsConfig) -> np.ndarray:
    """Split names, str[n], for uint64[n] keys (the first 8 bytes of each cleaned text's SHA-256, big-endian)."""
    draw = uniform01(config.seed, "text/split", text_keys)
    held_out = config.validation_share + config.test_share
    return np.select([draw < config.test_share, draw < held_out], ["test", "validation"], default="train")
