"""hrm_lm for ``benchmarks.gpu``: the demo's model on made-up triples of random bytes, as long as the model takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from assets_data.domains.text.read import Layout, Triple
from assets_data.lineage import array_key64, with_overrides
from training.generation import BOS, BYTE_VOCABULARY, BYTES, EOS, PAD, decode_bytes
from training.recipe import discover
from training.recipes.hrm_lm.config import HrmLmConfig
from training.tokens.data import TokenData

RECIPE, ROWS = discover()["hrm_lm"], 2000
TINY = {
    "model.d_model": 16, "model.heads": 2, "model.decoder_layers": 1, "model.max_tokens": 16, "model.prefix_len": 2,
    "model.core.h_len": 2, "model.core.l_len": 2, "train.batch_rows": 8,
}  # fmt: skip


class MadeUpTriples:
    """Random ids, half of the model's places for the encoder and half for the decoder: what is learned is no matter."""

    pad = PAD

    def __init__(self, places: int) -> None:
        drawn = np.random.default_rng(0).integers(0, 256, (ROWS, places), dtype=np.int64)
        drawn[:, 0] = BOS
        self._rows, self._half, self.row_keys = drawn, places // 2, array_key64(drawn)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, row: int) -> Triple:
        """``bos prefix``, ``bos suffix`` and ``suffix eos``."""
        prefix, suffix = self._rows[row, : self._half], self._rows[row, self._half + 1 :]
        return Triple(prefix, np.append(BOS, suffix), np.append(suffix, EOS))


def config_of(updates: int, changes: Mapping[str, Any]) -> HrmLmConfig:
    """The demo's model and batch without what is measured on the way, and ``changes``."""
    demo = RECIPE.presets["demo"]()
    plan = replace(demo.train, updates=updates, monitor_every=0, validate_every=0, checkpoint_every=updates // 2)
    plan = replace(plan, device="auto", schedule=replace(plan.schedule, warmup=0, name="constant"))
    return with_overrides(replace(demo, train=plan), dict(changes))


def data_of(config: HrmLmConfig) -> TokenData:
    """As many rows for training, to watch, and to judge."""
    rows = MadeUpTriples(config.model.max_tokens)
    layout = Layout(vocab_size=BYTE_VOCABULARY, pad=PAD, bos=BOS, eos=EOS, tokenizer=BYTES)
    rest = {"layout": layout, "decode": decode_bytes, "members": {"rows": "sha256:made-up"}, "tables": ()}
    return TokenData(train=rows, validation=rows, test=rows, **rest)
