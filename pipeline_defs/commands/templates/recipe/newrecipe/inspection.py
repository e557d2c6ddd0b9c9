"""What is found out before the first update: issues with the data, and the baseline that the gate compares with.

The baseline is ridge regression on the training rows. Its predictions are part of the preflight report, so they are
fixed, and hashed, before there is a model.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from newdomain.read import Rows
from newrecipe.config import RegressionConfig
from newrecipe.data import RegressionData
from training.recipe import Findings, Issue

BASELINE = "baseline.arrow"


def inspect(data: RegressionData, config: RegressionConfig) -> Findings:
    """All issues at once, and what the gate will use."""
    predicted_N = ridge(data, data.test, data.own_features, config.gate.penalty)
    rows = {"train": len(data.row_keys), "validation": len(data.validation.row_keys), "test": len(data.test.row_keys)}
    return Findings(
        issues=list(_issues(data)),
        dataset={"rows": rows},
        thresholds={"ratio": config.gate.ratio},
        evaluation={"seed": config.gate.seed, "resamples": config.gate.resamples, "penalty": config.gate.penalty},
        tables={BASELINE: pa.table({"record_id": list(data.test.records), "prediction": predicted_N})},
    )


def ridge(train: Rows, test: Rows, features: int, penalty: float) -> np.ndarray:
    """float32[N]: the target of ``test`` as ridge regression (Hoerl & Kennard 1970) on the first ``features`` of
    ``train`` predicts it.
    """
    design_ND = _with_ones(train.features_ND[:, :features])
    weights_D = np.linalg.solve(
        design_ND.T @ design_ND + penalty * np.eye(design_ND.shape[1]), design_ND.T @ train.target_N.astype(np.float64)
    )
    return (_with_ones(test.features_ND[:, :features]) @ weights_D).astype(np.float32)


def _with_ones(features_ND: np.ndarray) -> np.ndarray:
    return np.hstack([np.ones((len(features_ND), 1)), features_ND.astype(np.float64)])


def _issues(data: RegressionData) -> Iterator[Issue]:
    if not len(data.test.row_keys):
        message = "no test rows, so the gate has nothing to judge by; add groups, or raise newdomain's test_share"
        yield Issue("NEWRECIPE_NO_TEST", "error", "dataset.rows.test", message)
