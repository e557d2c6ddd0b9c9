"""What geno_lewm checks before training, and the evaluation it fixes: the baselines' errors on every test row."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from assets_data.domains.genome.read import KINDS
from training.findings import Findings, Issue
from training.recipes.geno_lewm.baselines import squared_errors
from training.recipes.geno_lewm.config import GenoLewmConfig
from training.recipes.geno_lewm.data import GenoData

BASELINES = "baselines.arrow"
NO_CHANGE = "no_change"


def inspect(data: GenoData, config: GenoLewmConfig) -> Findings:
    """All issues at once, and what the gate will use."""
    gate, issues = config.gate, list(_issues(data, config))
    errors: dict[str, np.ndarray] = {}
    if not any(issue.severity == "error" for issue in issues):
        errors = squared_errors(data, data.validation, data.test)
    rows = {"train": len(data.row_keys), "validation": len(data.validation.row_keys), "test": len(data.test.row_keys)}
    return Findings(
        issues=issues,
        dataset={"rows": rows, "encoder": {"verdict": data.encoder.verdict, "reasons": list(data.encoder.reasons)}},
        thresholds={
            "skill_1": gate.skill_1,
            "skill_3": gate.skill_3,
            "gain_1": gate.gain_1,
            "gain_3": gate.gain_3,
            "class_mean": gate.class_mean,
        },
        evaluation={
            "seed": gate.seed,
            "resamples": gate.resamples,
            "least": gate.least,
            "best": {str(k): best_baseline(errors, data.test.steps_R == k) for k in (1, 2, 3)} if errors else {},
        },
        tables={BASELINES: pa.table({"row_key": data.test.row_keys, **errors})} if errors else {},
    )


def best_baseline(errors: dict[str, np.ndarray], chosen: np.ndarray) -> str:
    """The baseline, other than predicting no change, with the least error on the chosen rows."""
    return min((name for name in errors if name != NO_CHANGE), key=lambda name: float(errors[name][chosen].sum()))


def _issues(data: GenoData, config: GenoLewmConfig) -> Iterator[Issue]:
    for steps in (1, 3):
        if not (data.test.steps_R == steps).any():
            message = f"no test row has {steps} edits, so the gate has nothing to judge by"
            yield Issue.error("GENO_LEWM_NO_TEST", "dataset.rows.test", message)
    if data.encoder.verdict != "pass":
        severity = "error" if config.gate.require_gated_encoder else "warning"
        message = (
            f"the encoder's own gate says {data.encoder.verdict}: {'; '.join(data.encoder.reasons) or 'no reason'}"
        )
        yield Issue("GENO_LEWM_ENCODER", severity, "gate.require_gated_encoder", message)
    kinds = np.bincount(data.test.kind_RK[data.test.steps_R == 1, 0], minlength=len(KINDS))
    few = [f"{name} {count}" for name, count in zip(KINDS, kinds, strict=True) if count < config.gate.least]
    if few:
        message = f"kinds with fewer than {config.gate.least} single test edits are not judged: {', '.join(few)}"
        yield Issue("GENO_LEWM_FEW", "warning", "gate.least", message)
