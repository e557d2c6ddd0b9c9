"""What dna_lm checks before training, and the evaluation it fixes: the bases asked for, and what counts say of each."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from assets_data.lineage import mix64
from training.findings import Findings, Issue
from training.recipes.dna_lm.config import DnaLmConfig, GateConfig
from training.recipes.dna_lm.counts import Asked, best_context, every_base, nll
from training.recipes.dna_lm.data import WindowData

ASKED = "asked.arrow"


def inspect(data: WindowData, config: DnaLmConfig) -> Findings:
    """All issues at once, and what the gate will use."""
    gate, issues = config.gate, list(_issues(data, config))
    rows = {name: len(getattr(data, name).row_keys) for name in ("validation", "test")}
    tables = {}
    context = (0, 0)
    if not issues:
        train = every_base(data.codes_RW, gate.reach)
        context = best_context(train, every_base(data.validation.codes_RW, gate.reach), gate.reach)
        asked = asked_bases(data.test.codes_RW, data.test.row_keys, gate)
        columns = {
            "window_key": data.test.row_keys[asked.row],
            "place": asked.place,
            "unigram": nll(train, asked, 0, 0),
            "context": nll(train, asked, *context),
        }
        tables[ASKED] = pa.table(columns)
    return Findings(
        issues=issues,
        dataset={"rows": {"train": len(data.row_keys), **rows}},
        thresholds={"unigram": gate.unigram, "context": gate.context},
        evaluation={"seed": gate.seed, "resamples": gate.resamples, "context": list(context)},
        tables=tables,
    )


def asked_bases(codes: np.ndarray, row_keys: np.ndarray, gate: GateConfig) -> Asked:
    """Every ``spacing``-th base of each window, from a keyed first one on; none close to an end."""
    first = gate.reach + (mix64(gate.seed, "dna_lm/asked", row_keys) % np.uint64(gate.spacing)).astype(np.int64)
    row, place = np.nonzero(
        (np.arange(codes.shape[1])[None, :] >= first[:, None])
        & ((np.arange(codes.shape[1])[None, :] - first[:, None]) % gate.spacing == 0)
        & (np.arange(codes.shape[1]) < codes.shape[1] - gate.reach)
    )
    return Asked(codes, row, place)


def _issues(data: WindowData, config: DnaLmConfig) -> Iterator[Issue]:
    for name in ("validation", "test"):
        if not len(getattr(data, name).row_keys):
            yield Issue.error(
                "DNA_LM_NO_ROWS", f"dataset.rows.{name}", f"no {name} windows; split the sequences otherwise"
            )
    width = data.codes_RW.shape[1]
    if width <= 2 * config.gate.reach + config.gate.spacing:
        message = f"windows of {width} bases are too short for bases {config.gate.spacing} apart"
        yield Issue.error("DNA_LM_WINDOWS_SHORT", "gate.spacing", message)
