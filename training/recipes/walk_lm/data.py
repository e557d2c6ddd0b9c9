"""Walk corpora as training rows: memory-mapped, non-overlapping chunks of context + 1 vertices.

Owns the numbering of rows (walk-major) and their keys. A row's key depends on its walk's key and its place in the walk
only, so taking a walk out of the corpus leaves every other row's place in the order as it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np

from assets_data.domains.text.walks.read import WalkGraph, iter_walks, open_graph
from assets_data.lineage import Snapshot
from training.data import TableRef
from training.order import table_keys
from training.recipes.walk_lm.config import WalkLmConfig
from training.recipes.walk_lm.prompts import Prompts, trigger_prompts


class WalkRows:
    """The training rows of one split of a walk corpus. Walks shorter than a row make none."""

    def __init__(self, corpus: Snapshot, split: str, row_length: int) -> None:
        self.walk_keys = corpus.table(f"{split}.arrow")["row_key"].to_numpy()
        self.row_length = row_length
        self._batches = list(iter_walks(corpus, split))
        self._begins = np.cumsum([0, *map(len, self._batches)])
        self.walk_length = self._batches[0].shape[1] if self._batches else 0
        self.chunks = self.walk_length // row_length
        self.row_keys = table_keys(self.walk_keys, self.chunks) if self.chunks else self.walk_keys[:0]

    def rows(self, rows: np.ndarray) -> np.ndarray:
        """int64[B, row_length]: the vertices of some rows."""
        out = np.empty((len(rows), self.row_length), np.int64)
        walks, chunks = np.divmod(rows, self.chunks)
        batches = np.searchsorted(self._begins, walks, side="right") - 1
        for i, (batch, walk, chunk) in enumerate(zip(batches, walks - self._begins[batches], chunks, strict=True)):
            out[i] = self._batches[batch][walk, chunk * self.row_length : (chunk + 1) * self.row_length]
        return out


class WalkData(WalkRows):
    """Rows of the training split, the held-out walks, and the graph. ``members`` are the ids that were read."""

    def __init__(self, corpus: Snapshot, config: WalkLmConfig) -> None:
        super().__init__(corpus, "train", config.model.context + 1)
        self.members: Mapping[str, str] = {"walk_corpus": corpus.id}
        self.tables = (TableRef(corpus.id, "train.arrow", self.chunks),)
        self.graph: WalkGraph = open_graph(corpus)
        self.corpus, self.config = corpus, config
        self.items_per_row = float(config.model.context)

    @cached_property
    def validation(self) -> WalkRows:
        """The held-out walks, cut into rows as the training walks are."""
        return WalkRows(self.corpus, "heldout", self.row_length)

    @cached_property
    def heldout_NL(self) -> np.ndarray:
        """Every held-out walk."""
        return np.concatenate(list(iter_walks(self.corpus, "heldout")))

    @cached_property
    def prompts(self) -> tuple[Prompts, Prompts]:
        """Trigger prompts for the gate and, all different, for the monitor."""
        gate = self.config.gate
        counts = (gate.prompts_per_rule, gate.monitor_prompts)
        return trigger_prompts(
            self.heldout_NL, self.validation.walk_keys, self.graph, gate.prompt_tokens, counts, gate.seed
        )
