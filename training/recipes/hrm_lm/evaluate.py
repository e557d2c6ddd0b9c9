"""What hrm_lm measures besides its loss: exact match on sums, slot spread, how far the gate is open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from training.findings import Evaluation, Measurement
from training.generation import Sampling
from training.recipes.hrm_lm.config import HrmLmConfig
from training.recipes.hrm_lm.core import slot_spread
from training.recipes.hrm_lm.model import HrmLm
from training.tokens.data import TokenData
from training.tokens.evaluate import BATCH
from training.tokens.rows import TripleRows, pad_batch

if TYPE_CHECKING:
    from training.recipes.hrm_lm.recipe import HrmLm as Recipe

SPREAD_ROWS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Exact:
    """How many greedy answers are the reference to the last token."""

    hits: int
    checks: int


def exact_match(recipe: Recipe, model: HrmLm, data: TokenData, rows: TripleRows, numbers: np.ndarray) -> Exact:
    """Greedy answers against references."""
    hits, inputs = 0, {"pad": data.layout.pad, "bos": data.layout.bos, "eos": data.layout.eos}
    for begin in range(0, len(numbers), BATCH):
        triples = [rows[row] for row in numbers[begin : begin + BATCH].tolist()]
        how = Sampling(max_new_tokens=max(len(triple.labels) for triple in triples))
        answers = recipe.write(model, inputs, [triple.encoder_ids[1:].tolist() for triple in triples], how)
        for written, triple in zip(answers, triples, strict=True):
            hits += written == [label for label in triple.labels.tolist() if label != data.layout.eos]
    return Exact(hits=hits, checks=len(numbers))


@torch.no_grad()
def core_facts(model: HrmLm, rows: TripleRows, numbers: np.ndarray) -> dict[str, float]:
    """Spread of slow and fast slots and the gate's mean opening; nothing without a core or while the gate is shut."""
    device = model.head.weight.device
    batch = {name: value.to(device) for name, value in pad_batch(rows, numbers[:SPREAD_ROWS]).items()}
    memory = model.remember(batch["encoder_ids"], batch["encoder_mask"])
    if memory.core is None or memory.gate_B is None:
        return {}
    high, low = float(slot_spread(memory.core.high_BKD)), float(slot_spread(memory.core.low_BLD))
    gate_open = float(memory.gate_B.mean())
    return {"slot_spread": min(high, low), "high_slot_spread": high, "low_slot_spread": low, "gate_open": gate_open}


def measure(recipe: Recipe, model: HrmLm, data: TokenData, config: HrmLmConfig, numbers: np.ndarray) -> Evaluation:
    """Everything but the loss, on the test rows ``numbers``."""
    core = core_facts(model, data.test, numbers)
    judged, scalars, lines = [], dict[str, Any](core), []
    if config.model.memory != "encoder":
        spread, checks = core.get("slot_spread", 0.0), min(len(numbers), SPREAD_ROWS) if core else 0
        judged.append(Measurement(name="slot_spread", threshold="slot_spread", value=spread, checks=checks))
    if core:
        lines.append(f"slot spread {core['slot_spread']:.3f}, gate open {core['gate_open']:.3f}")
    if config.data.source == "arithmetic":
        exact = exact_match(recipe, model, data, data.test, numbers)
        rate = exact.hits / max(1, exact.checks)
        judged.append(
            Measurement(name="exact_match", threshold="exact_match", value=rate, hits=exact.hits, checks=exact.checks)
        )
        scalars |= {"exact_match": rate, "exact_match_hits": exact.hits, "exact_match_checks": exact.checks}
        lines.append(f"exact match {exact.hits} of {exact.checks} held-out pairs ({rate:.4f})")
    return Evaluation(measurements=judged, scalars=scalars, summary=lines)


def monitor(
    recipe: Recipe, model: HrmLm, data: TokenData, config: HrmLmConfig, numbers: np.ndarray
) -> dict[str, float]:
    """What the curves show besides the validation loss, on validation rows."""
    points = core_facts(model, data.validation, numbers)
    if config.data.source == "arithmetic":
        exact = exact_match(recipe, model, data, data.validation, numbers)
        points["exact_match"] = exact.hits / max(1, exact.checks)
    return points
