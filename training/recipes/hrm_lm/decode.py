"""Writing with key/value caches: the encoder and the core run once per prompt, each step costs one decoder position.

Changes no training state. Shapes: N prompts, S encoder positions, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor

from training.generation import Sampling, choose
from training.recipes.hrm_lm.layers import LayerCache
from training.recipes.hrm_lm.model import HrmLm


@torch.no_grad()
def write(
    model: HrmLm, encoder_ids_NS: Tensor, mask_NS: Tensor, *, bos: int, eos: int, sampling: Sampling
) -> list[list[int]]:
    """The answer to each prompt, without bos and eos; at most ``max_new_tokens`` and what ``max_tokens`` has room for.

    A greedy answer is the one that full recomputation gives; a sampled one depends on (seed, step, place) alone.
    """
    was_training = model.training
    model.eval()
    memory = model.remember(encoder_ids_NS, mask_NS)
    caches = [LayerCache() for _ in range(model.config.decoder_layers)]
    fresh_N = torch.full((len(encoder_ids_NS),), bos, device=encoder_ids_NS.device)
    steps, ended_N = [], torch.zeros_like(fresh_N, dtype=torch.bool)
    for step in range(min(sampling.max_new_tokens, model.config.max_tokens)):
        states_N1D = model.decode(fresh_N[:, None], memory, caches, begin=step)
        fresh_N = choose(model.head(states_N1D[:, -1]).float(), step, sampling)
        steps.append(fresh_N)
        ended_N |= fresh_N == eos
        if bool(ended_N.all()):
            break
    model.train(was_training)
    return [_until(row, eos) for row in torch.stack(steps, dim=1).tolist()]


def _until(ids: list[int], eos: int) -> list[int]:
    return ids[: ids.index(eos)] if eos in ids else ids
