"""Batched decoding with a key/value cache. Owns the sliding window and keyed sampling; changes no training state.

While prompt and answer fit the context, each step costs one position. Past it, the window slides and is recomputed each
step: every layer's keys depend on what came before them, so a slid cache would see further than the model's context.

Shapes: N prompts, P prompt tokens, K new tokens, V vertices.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from assets_data.lineage import uniform01
from training.recipes.walk_lm.model import Cache, WalkTransformer


@torch.no_grad()
def decode(model: WalkTransformer, prompts_NP: np.ndarray, steps: int, *, sample_seed: int | None = None) -> np.ndarray:
    """int64[N, P + steps]: prompts and what the model adds, greedily, or sampled at temperature 1 for a seed.

    Greedy ties go to the lowest vertex. A sample depends on (seed, step, prompt number) alone.
    """
    model.eval()
    device = model.head.weight.device
    tokens = torch.as_tensor(np.asarray(prompts_NP, np.int64), device=device)
    context = model.config.context
    cache = Cache(model.config, len(tokens), device)
    fresh = tokens[:, -context:]
    for step in range(steps):
        fits = cache.length + fresh.shape[1] <= context
        logits_NV = model(fresh, cache)[:, -1] if fits else model(tokens[:, -context:])[:, -1]
        fresh = _choose(logits_NV.float(), step, sample_seed)[:, None]
        tokens = torch.cat((tokens, fresh), dim=1)
    return tokens.cpu().numpy()


def _choose(logits_NV: Tensor, step: int, sample_seed: int | None) -> Tensor:
    if sample_seed is None:
        return logits_NV.argmax(dim=-1)
    u_N = uniform01(sample_seed, f"sample/{step}", np.arange(len(logits_NV), dtype=np.uint64))
    # On the host: a float cumsum has no deterministic CUDA kernel, and N x V numbers are few.
    cumulative_NV = logits_NV.cpu().double().softmax(dim=-1).cumsum(dim=-1)
    target_N1 = torch.from_numpy(u_N)[:, None] * cumulative_NV[:, -1:]
    chosen_N1 = torch.searchsorted(cumulative_NV, target_N1, right=True)
    return chosen_N1.squeeze(1).to(logits_NV.device)
