"""What walk_lm checks before training, and the evaluation it fixes: prompts, seeds, thresholds, all hashed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from assets_data.lineage import digest_json
from training.recipe import Findings, Issue
from training.recipes.walk_lm.ceilings import attainability, ceilings
from training.recipes.walk_lm.config import WalkLmConfig
from training.recipes.walk_lm.data import WalkData
from training.recipes.walk_lm.prompts import start_prompts


def inspect(data: WalkData, config: WalkLmConfig) -> Findings:
    """All issues at once, and what the gate will use. Ceilings are computed on every held-out walk."""
    gate = config.gate
    bounds = ceilings(data.graph, data.heldout_NL, config.model.context)
    triggers, starts = data.prompts[0], start_prompts(data.heldout_NL, gate.start_prompts)
    prompts_per_rule = np.bincount(triggers.rule_N, minlength=len(bounds)).tolist()
    return Findings(
        issues=[*attainability(bounds, config), *_data_issues(data, config, prompts_per_rule)],
        dataset={
            "walk_corpus": data.corpus.id,
            "splits": dict(data.corpus.content["splits"]),
            "walk_length": data.walk_length,
            "rows": len(data.row_keys),
            "vertices": data.graph.n_vertices,
            "blocks": data.graph.n_blocks,
            "ceilings": [bound.facts() for bound in bounds],
        },
        thresholds={"edge": gate.edge_threshold, "rule": gate.rule_threshold},
        evaluation={
            "seed": gate.seed,
            "prompts_per_rule": prompts_per_rule,
            "trigger_prompts": digest_json([triggers.tokens_NP.tolist(), triggers.rule_N.tolist()]),
            "start_prompts": digest_json(starts.tolist()),
        },
        tables={
            "trigger_prompts.arrow": triggers.table(),
            "start_prompts.arrow": pa.table({"vertex": starts.astype(np.uint32)}),
        },
    )


def _data_issues(data: WalkData, config: WalkLmConfig, prompts_per_rule: list[int]) -> Iterator[Issue]:
    if data.walk_length < data.row_length:
        message = f"walks of {data.walk_length} vertices hold no row of context + 1 = {data.row_length}"
        yield Issue("WALK_LM_WALKS_SHORT", "error", "model.context", message)
    common = len(np.intersect1d(data.walk_keys, data.validation.walk_keys))
    if common:
        yield Issue("WALK_LM_SPLITS_OVERLAP", "error", "dataset.splits", f"{common} walks are in both splits")
    least = config.gate.least_prompts
    few = [(rule, n) for rule, n in zip(data.graph.rules, prompts_per_rule, strict=True) if n < least]
    if few:
        counts = ", ".join(f"{rule.vertex} (r={rule.r}): {n}" for rule, n in few)
        message = f"fewer than {least} distinct trigger prompts for rules {counts}; draw more held-out walks"
        yield Issue("WALK_LM_PROMPTS_FEW", "error", "gate.least_prompts", message)
