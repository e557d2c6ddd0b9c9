"""Is a model's inner state collapsing? Seven numbers on predicted and target vectors, and three alerts.

On N predicted and target vectors of D dimensions: mean cosine and mean distance between the two; mean over dimensions
of the population variance of each; correlation of all their entries; mean distance between all pairs of predictions;
and the divergence of the predictions, taken as a Gaussian, from the standard one:
kl = (|mean|^2 + trace(C) - logdet(C + 1e-6 I) - D) / 2 with C the population covariance.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.linalg import vecdot

EPSILON, TINY = 1e-6, 1e-300
METRICS = (
    "pred_cos_mean", "pred_l2_mean", "target_var_per_dim", "pred_var_per_dim", "pred_target_corr",
    "pairwise_pred_dist_mean", "kl_reg",
)  # fmt: skip


def collapse_metrics(predicted_ND: Tensor, target_ND: Tensor) -> dict[str, float]:
    """The seven metrics, in double precision; one product of N x N dominates the cost. N is at least 2.

    Rows are centred before any product of them: distances between nearly equal rows would drown in their length.
    """
    predicted, target = predicted_ND.detach().double(), target_ND.detach().double()
    mean_D, target_mean_D = predicted.mean(dim=0), target.mean(dim=0)
    centred, centred_target = predicted - mean_D, target - target_mean_D
    gram_NN = centred @ centred.T
    squares, target_squares = gram_NN.trace(), vecdot(centred_target, centred_target).sum()
    lengths_N = (vecdot(predicted, predicted) * vecdot(target, target)).sqrt()
    together = vecdot(centred, centred_target).sum()
    values = (
        (vecdot(predicted, target) / lengths_N.clamp(min=TINY)).mean(),
        (predicted - target).norm(dim=1).mean(),
        target_squares / target.numel(),
        squares / predicted.numel(),
        _correlation(len(predicted), mean_D, target_mean_D, squares, target_squares, together),
        _pairwise_distance(gram_NN),
        _divergence(mean_D, centred, gram_NN),
    )
    return dict(zip(METRICS, torch.stack(values).tolist(), strict=True))


def alerts(metrics: Mapping[str, float], first_distance: float) -> list[str]:
    """The criteria that are met, by the metric they are about. All are strict; ``first_distance`` is the baseline."""
    criteria = {
        "pred_var_per_dim": metrics["pred_var_per_dim"] < 0.5 * metrics["target_var_per_dim"],
        "pairwise_pred_dist_mean": metrics["pairwise_pred_dist_mean"] < 0.5 * first_distance,
        "kl_reg": metrics["kl_reg"] > 10.0,
    }
    return [name for name, met in criteria.items() if met]


def _correlation(
    rows: int, mean_D: Tensor, target_mean_D: Tensor, squares: Tensor, target_squares: Tensor, together: Tensor
) -> Tensor:
    """Pearson's over all entries, from sums within columns and the columns' means; 0 when one side is constant."""
    a_D, b_D = mean_D - mean_D.mean(), target_mean_D - target_mean_D.mean()
    size = ((squares + rows * vecdot(a_D, a_D)) * (target_squares + rows * vecdot(b_D, b_D))).sqrt()
    return torch.where(size > 0, (together + rows * vecdot(a_D, b_D)) / size.clamp(min=TINY), 0.0)


def _pairwise_distance(gram_NN: Tensor) -> Tensor:
    """Mean over all pairs of different rows. The diagonal is left as 0 and not counted."""
    rows = len(gram_NN)
    norms_N = gram_NN.diagonal()
    squares_NN = (norms_N[:, None] + norms_N[None, :] - 2.0 * gram_NN).clamp(min=0.0).fill_diagonal_(0.0)
    return squares_NN.sqrt().sum() / (rows * (rows - 1))


def _divergence(mean_D: Tensor, centred_ND: Tensor, gram_NN: Tensor) -> Tensor:
    """The determinant is taken on the smaller side: det(C + e I_D) = e^(D - N) det(gram / N + e I_N)  (Sylvester)."""
    rows, dims = centred_ND.shape
    small = gram_NN if rows < dims else centred_ND.T @ centred_ND
    eye = torch.eye(len(small), dtype=small.dtype, device=small.device)
    factor = torch.linalg.cholesky(small / rows + EPSILON * eye)
    log_determinant = 2.0 * factor.diagonal().log().sum() + (dims - len(small)) * math.log(EPSILON)
    trace = gram_NN.trace() / rows
    return 0.5 * (mean_D.square().sum() + trace - log_determinant - dims)
