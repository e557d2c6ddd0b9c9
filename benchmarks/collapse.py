"""What one look at a model's inner state costs: the seven collapse metrics of 512 vectors of 1,024 dimensions.

Beside it, in turn, the pairwise distances and the divergence computed directly (all differences at once, eigenvalues
of the whole covariance), with the largest relative difference between the two. Times are medians on one thread.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from benchmarks.result import save
from training.collapse import collapse_metrics

VECTORS, DIMENSIONS, ROUNDS = 512, 1024, 11


def direct_metrics(predicted_ND: Tensor, target_ND: Tensor) -> dict[str, float]:
    """The same seven, word for word in double precision."""
    p, t = predicted_ND.double(), target_ND.double()
    covariance = torch.cov(p.T, correction=0)
    eigenvalues = torch.linalg.eigvalsh(covariance).clamp(min=0.0) + 1e-6
    differences = (p[:, None] - p[None, :]).norm(dim=-1)
    kl = 0.5 * (p.mean(0).square().sum() + covariance.trace() - eigenvalues.log().sum() - p.shape[1])
    both = torch.stack((p.flatten(), t.flatten()))
    return {
        "pred_cos_mean": float(((p * t).sum(1) / (p.norm(dim=1) * t.norm(dim=1))).mean()),
        "pred_l2_mean": float((p - t).norm(dim=1).mean()),
        "target_var_per_dim": float(t.var(dim=0, correction=0).mean()),
        "pred_var_per_dim": float(p.var(dim=0, correction=0).mean()),
        "pred_target_corr": float(torch.corrcoef(both)[0, 1]),
        "pairwise_pred_dist_mean": float(differences.sum() / (len(p) * (len(p) - 1))),
        "kl_reg": float(kl),
    }


def milliseconds(measure: Callable[[Tensor, Tensor], Mapping[str, float]], *states: Tensor) -> float:
    """Wall time of one call."""
    began = time.perf_counter()
    measure(*states)
    return 1e3 * (time.perf_counter() - began)


def main() -> None:
    """Measure in turn and save. Arguments, if any: vectors, dimensions, rounds."""
    vectors, dimensions, rounds = map(int, sys.argv[1:4] or (VECTORS, DIMENSIONS, ROUNDS))
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    states = {
        "spread": torch.randn(vectors, dimensions, generator=generator),
        "collapsed": 30.0 + 1e-3 * torch.randn(vectors, dimensions, generator=generator),
    }
    target = torch.randn(vectors, dimensions, generator=generator)
    differences = {}
    for name, predicted in states.items():
        fast, direct = collapse_metrics(predicted, target), direct_metrics(predicted, target)
        differences[name] = max(abs(fast[key] - direct[key]) / max(1.0, abs(direct[key])) for key in direct)
    times: dict[str, list[float]] = {"metrics": [], "direct": []}
    for _ in range(rounds):
        times["metrics"].append(milliseconds(collapse_metrics, states["spread"], target))
        times["direct"].append(milliseconds(direct_metrics, states["spread"], target))
    figures = {
        "vectors": vectors,
        "dimensions": dimensions,
        "threads": 1,
        "metrics_ms": {"median": round(statistics.median(times["metrics"]), 2), "max": round(max(times["metrics"]), 2)},
        "direct_ms": {"median": round(statistics.median(times["direct"]), 2)},
        "largest_relative_difference": differences,
    }
    save("collapse", ["torch"], figures)


if __name__ == "__main__":
    main()
