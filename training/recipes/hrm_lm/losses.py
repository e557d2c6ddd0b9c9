"""The loss of hrm_lm: the configured token loss, plus what core and experts add to it while training.

In evaluation mode ``loss`` is the token loss alone and the other terms are only reported.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from training.recipes.hrm_lm.config import HrmLmConfig
from training.recipes.hrm_lm.core import CoreState
from training.recipes.hrm_lm.model import HrmLm, Output
from training.recipes.hrm_lm.reach import distances, judged
from training.recipes.hrm_lm.token_core import TokenState, masked_mean
from training.tokens.losses import token_loss
from training.tokens.rows import IGNORED


def losses(model: HrmLm, config: HrmLmConfig, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``loss`` and, where the config has them, ``earlier_loss``, ``halt_loss`` and ``balance_loss``, before weights."""
    output = model(batch["encoder_ids"], batch["encoder_mask"], batch["decoder_ids"])
    segments, measure = _segment_labels(model, config, batch, len(output.earlier_BTV) + 1), token_loss(config.loss)
    *before, (final_BT, share) = segments
    scalars = measure(output.logits_BTV.flatten(0, 1), final_BT.flatten())
    scalars["loss"] = scalars["loss"] * share
    terms = _core_terms(config, output, scalars["loss"])
    if config.model.moe.enabled:
        terms["balance_loss"] = (config.model.moe.aux_weight, output.memory.aux)
    if output.earlier_BTV:
        earlier = [
            measure(logits_BTV.flatten(0, 1), labels_BT.flatten())["loss"] * share
            for logits_BTV, (labels_BT, share) in zip(output.earlier_BTV, before, strict=True)
        ]
        terms["earlier_loss"] = (config.model.core.ds_weight, torch.stack(earlier).mean())
    if model.training:
        scalars["loss"] = scalars["loss"] + sum(weight * value for weight, value in terms.values())
    return {**scalars, **{name: value.detach() for name, (_, value) in terms.items()}}


def _segment_labels(
    model: HrmLm, config: HrmLmConfig, batch: Mapping[str, Tensor], segments: int
) -> list[tuple[Tensor, Tensor | float]]:
    """Labels_BT that each segment is judged on (in training with a reach, those that it can have come to), and their
    share of all labels: by what is left out a row weighs less, not the others more, however a batch is cut up.
    """
    reach, labels_BT = config.model.core.reach, batch["labels"]
    if not (reach and model.training):
        return [(labels_BT, 1.0)] * segments
    distance_BT, items = distances(batch["encoder_ids"]), (labels_BT != IGNORED).sum()
    kept = (judged(labels_BT, distance_BT, reach * (place + 1)) for place in range(segments))
    return [(kept_BT, (kept_BT != IGNORED).sum() / items) for kept_BT in kept]


def _core_terms(config: HrmLmConfig, output: Output, like: Tensor) -> dict[str, tuple[float, Tensor]]:
    """Zeros stand in while the gate is shut, so that every update logs the same names."""
    core, zero, terms = config.model.core, like.detach() * 0.0, {}
    if config.model.memory == "encoder":
        return terms
    if core.ds_weight and (core.segments if core.reads == "tokens" else core.h_cycles) > 1:
        terms["earlier_loss"] = (0.0, zero)
    if core.halt_weight:
        state = output.memory.core
        halts = zero if not isinstance(state, CoreState) or state.halt_CB is None else state.halt_CB.sum(dim=0)
        terms["halt_loss"] = (core.halt_weight, zero if state is None else (halts - core.halt_target).square().mean())
    return terms


def states(model: HrmLm, batch: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
    """``(predicted_ND, target_ND)`` by name: ``core`` (only while it is run) one per row, ``decoder`` one per label."""
    memory = model.remember(batch["encoder_ids"], batch["encoder_mask"])
    states_BTD, labels_BT = model.decode(batch["decoder_ids"], memory), batch["labels"]
    kept_BT = labels_BT != IGNORED
    found = {"decoder": (states_BTD[kept_BT], model.head.weight[labels_BT[kept_BT]])}
    if memory.core is not None:
        found["core"] = (core_vector(memory.core, batch["encoder_mask"]), memory.pooled_BD)
    return found


def core_vector(state: CoreState | TokenState, mask_BS: Tensor) -> Tensor:
    """One vector_BD of what the core made: its z, or the mean of its latents."""
    return state.z_BD[-1] if isinstance(state, CoreState) else masked_mean(state.low_BSD, mask_BS)
