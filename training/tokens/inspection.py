"""What is checked of token data before training, and the evaluation that is fixed then: test rows, baselines, margin.

The rows are registered by number and by row key. Who evaluates asks :func:`registered_rows`, which compares both again,
so an evaluation on other rows than the registered ones is refused and not merely unlikely.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa

from assets_data.domains.text.read import SPLITS
from assets_data.lineage import GateError, Snapshot, digest_json
from training.recipe import Findings, Issue
from training.tokens.baselines import baselines
from training.tokens.config import TokenGate
from training.tokens.data import TokenData, keyed_choice
from training.tokens.rows import longest

ROWS = "evaluation_rows.arrow"


def inspect(data: TokenData, gate: TokenGate, recipe: str, room: tuple[str, int]) -> Findings:
    """All issues at once, and what the gate will use. Baselines are counted on the training rows.

    ``room`` names the config's field that bounds a sequence, and how many tokens it allows.
    """
    rows, lines = keyed_choice(data.test.row_keys, gate.rows, gate.seed, f"{recipe}/gate_rows"), None
    if len(rows) and len(data):
        lines = baselines(data.train, data.test, rows, data.layout.vocab_size, data.joined)
    registered = {"seed": gate.seed, "baselines": asdict(lines) if lines else {}}
    return register(data, rows, recipe, room, {"margin": gate.margin}, registered)


def register(
    data: TokenData,
    rows: np.ndarray,
    recipe: str,
    room: tuple[str, int],
    thresholds: Mapping[str, float],
    evaluation: Mapping[str, Any],
) -> Findings:
    """The findings on any token data, with these test rows registered by number and key."""
    keys = data.test.row_keys[rows]
    return Findings(
        issues=[*_split_issues(data, recipe.upper()), *_length_issues(data, recipe.upper(), *room)],
        dataset={
            "members": dict(data.members),
            "splits": {name: len(getattr(data, name)) for name in SPLITS},
            "tokens_per_row": data.items_per_row,
        },
        thresholds=thresholds,
        evaluation={**evaluation, "rows": digest_json([f"{key:016x}" for key in keys.tolist()])},
        tables={ROWS: pa.table({"row": rows.astype(np.uint64), "row_key": keys})},
    )


def registered_rows(preflight: Snapshot, data: TokenData) -> np.ndarray:
    """int64[N]: the test rows to judge on. Raises GateError GATE_OTHER_ROWS when they are other rows by now."""
    table = preflight.table(ROWS)
    rows, keys = table["row"].to_numpy().astype(np.int64), table["row_key"].to_numpy()
    if rows.max(initial=-1) >= len(data.test) or not np.array_equal(data.test.row_keys[rows], keys):
        raise GateError("GATE_OTHER_ROWS", "the test rows are not the registered ones", where=preflight.path)
    return rows


def _split_issues(data: TokenData, prefix: str) -> Iterator[Issue]:
    for name in ("validation", "test"):
        path, rows = f"dataset.splits.{name}", getattr(data, name)
        if not len(rows):
            yield Issue.error(f"{prefix}_HELDOUT_EMPTY", path, f"there is not one {name} row")
        elif common := len(np.intersect1d(data.row_keys, rows.row_keys)):
            yield Issue.error(f"{prefix}_SPLITS_OVERLAP", path, f"{common} training rows are also {name} rows")


def _length_issues(data: TokenData, prefix: str, path: str, room: int) -> Iterator[Issue]:
    most = max(longest(getattr(data, name), data.joined) for name in SPLITS)
    if most > room:
        message = f"a row has {most} tokens in one sequence and the model has room for {room}"
        yield Issue.error(f"{prefix}_ROWS_LONG", path, message)
