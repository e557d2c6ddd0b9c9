"""What hrm_lm checks before training, and the evaluation it fixes: held-out rows, baselines, thresholds, all hashed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

import numpy as np
import pyarrow as pa

from assets_data.domains.text.read import SPLITS
from assets_data.lineage import digest_json
from training.recipe import Findings, Issue
from training.recipes.hrm_lm.baselines import baselines
from training.recipes.hrm_lm.config import HrmLmConfig
from training.recipes.hrm_lm.data import HrmData, keyed_choice
from training.recipes.hrm_lm.rows import longest

ROWS = "evaluation_rows.arrow"


def inspect(data: HrmData, config: HrmLmConfig) -> Findings:
    """All issues at once, and what the gate will use. Baselines are counted on the training rows."""
    issues = list(_data_issues(data, config))
    rows = keyed_choice(data.test.row_keys, config.gate.rows, config.gate.seed, "hrm_lm/gate_rows")
    keys = data.test.row_keys[rows]
    lines = baselines(data.train, data.test, rows, data.inputs.vocab_size) if len(rows) and len(data) else None
    return Findings(
        issues=issues,
        dataset={
            "source": config.data.source,
            "members": dict(data.members),
            "splits": {name: len(getattr(data, name)) for name in SPLITS},
            "tokens_per_row": data.items_per_row,
        },
        model_inputs=asdict(data.inputs),
        thresholds=_thresholds(config),
        evaluation={
            "seed": config.gate.seed,
            "rows": digest_json([f"{key:016x}" for key in keys.tolist()]),
            "baselines": asdict(lines) if lines else {},
        },
        tables={ROWS: pa.table({"row": rows.astype(np.uint64), "row_key": keys})},
    )


def _thresholds(config: HrmLmConfig) -> dict[str, float]:
    thresholds = {"margin": config.gate.margin}
    if config.model.memory != "encoder":
        thresholds["slot_spread"] = config.gate.slot_spread
    if config.data.source == "arithmetic":
        thresholds["exact_match"] = config.gate.exact_match
    return thresholds


def _data_issues(data: HrmData, config: HrmLmConfig) -> Iterator[Issue]:
    for name in ("validation", "test"):
        if not len(getattr(data, name)):
            yield Issue("HRM_LM_HELDOUT_EMPTY", "error", f"dataset.splits.{name}", f"there is not one {name} row")
        elif common := len(np.intersect1d(data.row_keys, getattr(data, name).row_keys)):
            message = f"{common} training rows are also {name} rows"
            yield Issue("HRM_LM_SPLITS_OVERLAP", "error", f"dataset.splits.{name}", message)
    most = max(longest(getattr(data, name)) for name in SPLITS)
    if most > config.model.max_tokens:
        message = f"a row has {most} tokens on one side and the model has room for {config.model.max_tokens}"
        yield Issue("HRM_LM_ROWS_LONG", "error", "model.max_tokens", message)
