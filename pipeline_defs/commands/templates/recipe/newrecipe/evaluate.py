"""The registered evaluation: the model's squared error on the test rows, as a share of the baseline's."""

from __future__ import annotations

import numpy as np
import torch

from assets_data.documents import read_registration
from assets_data.lineage import Snapshot, mix64
from newdomain.read import Rows
from newrecipe.data import RegressionData
from newrecipe.inspection import BASELINE
from newrecipe.model import Network
from training.findings import Evaluation, Measurement


def predict(model: Network, rows: Rows) -> np.ndarray:
    """float32[N]: the model's prediction for every row."""
    device = next(model.parameters()).device
    with torch.no_grad():
        return model(torch.tensor(rows.features_ND, device=device)).float().cpu().numpy()


def evaluate(model: Network, data: RegressionData, preflight: Snapshot) -> Evaluation:
    """One measurement, "below": the ratio of the two mean squared errors, with its 95% bootstrap interval."""
    registered = read_registration(preflight)["evaluation"]
    baseline_N = preflight.table(BASELINE)["prediction"].to_numpy()
    squared_2N = np.stack([predict(model, data.test) - data.test.target_N, baseline_N - data.test.target_N]) ** 2
    ours, theirs = (float(value) for value in squared_2N.mean(1))
    interval = _interval(squared_2N, registered["resamples"], registered["seed"])
    ratio = Measurement(
        name="error_over_baseline",
        threshold="ratio",
        value=ours / theirs,
        checks=squared_2N.shape[1],
        interval=interval,
        direction="below",
    )
    rounded = ", ".join(f"{bound:.3f}" for bound in interval)
    return Evaluation(
        measurements=[ratio],
        scalars={"test_error": ours, "baseline_error": theirs},
        tables={},
        summary=[f"  test error {ours:.4f}, ridge {theirs:.4f}: ratio {ours / theirs:.3f}, 95% interval {rounded}"],
    )


def _interval(squared_2N: np.ndarray, resamples: int, seed: int) -> tuple[float, float]:
    """Percentiles of the ratio over samples drawn with replacement: keyed draws, the same on every machine."""
    rows = squared_2N.shape[1]
    draws = mix64(seed, "newrecipe/bootstrap", np.arange(resamples * rows, dtype=np.uint64))
    picked = (draws % np.uint64(rows)).astype(np.int64).reshape(resamples, rows)
    ours, theirs = squared_2N[:, picked].mean(2)
    low, high = np.percentile(ours / theirs, [2.5, 97.5])
    return float(low), float(high)
