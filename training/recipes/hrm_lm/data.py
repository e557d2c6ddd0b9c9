"""What hrm_lm trains on: the triples of a manifest, or made-up sums or mazes, for which it is only the run's anchor."""

from __future__ import annotations

from assets_data.domains.text.read import SPLITS, Layout
from assets_data.lineage import Snapshot, Store
from training.generation import BOS, BYTE_VOCABULARY, BYTES, EOS, PAD, decode_bytes
from training.recipes.hrm_lm.arithmetic import ArithmeticRows
from training.recipes.hrm_lm.config import HrmLmConfig
from training.recipes.hrm_lm.flood import VOCABULARY, decode_maze, flood_splits
from training.recipes.hrm_lm.paths import MAZES
from training.tokens.data import TokenData, open_tokens


def open_data(store: Store, manifest: Snapshot, config: HrmLmConfig) -> TokenData:
    """Verified and memory-mapped. Raises what :func:`training.tokens.data.open_tokens` raises."""
    if config.data.source == "triples":
        return open_tokens(store, manifest)
    if config.data.source == "flood":
        splits = flood_splits(config.data, MAZES[config.data.marks])
        rows, size, decode = list(splits.values()), VOCABULARY, decode_maze
    else:
        rows = [ArithmeticRows(split, config.data) for split in SPLITS]
        size, decode = BYTE_VOCABULARY, decode_bytes
    layout = Layout(vocab_size=size, pad=PAD, bos=BOS, eos=EOS, tokenizer=BYTES)
    train, validation, test = rows
    rest = {"layout": layout, "decode": decode, "members": {}, "tables": ()}
    return TokenData(train=train, validation=validation, test=test, **rest)
