"""What hrm_lm measures besides its loss: exact match on sums, slot spread, how far the gate is open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from training.findings import Evaluation, Measurement
from training.generation import Sampling
from training.recipes.hrm_lm.answers import exact as exact_mazes
from training.recipes.hrm_lm.answers import measure_flood, used_segments
from training.recipes.hrm_lm.config import HrmLmConfig
from training.recipes.hrm_lm.core import CoreState, slot_spread
from training.recipes.hrm_lm.flood import TRAINED_DEPTHS, FloodRows
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
    facts = {"gate_open": float(memory.gate_B.mean())}
    if memory.core.high_BKD.shape[1]:
        facts["high_slot_spread"] = float(slot_spread(memory.core.high_BKD))
    if isinstance(memory.core, CoreState):  # latents of tokens are held apart by the tokens themselves
        facts["low_slot_spread"] = float(slot_spread(memory.core.low_BLD))
    spreads = [value for name, value in facts.items() if name.endswith("_spread")]
    return {**facts, **({"slot_spread": min(spreads)} if spreads else {})}


def measure(recipe: Recipe, model: HrmLm, data: TokenData, config: HrmLmConfig, numbers: np.ndarray) -> Evaluation:
    """Everything but the loss, on the test rows ``numbers``."""
    core = core_facts(model, data.test, numbers)
    judged, scalars, lines, tables = [], dict[str, Any](core), [], {}
    if judges_spread(config):
        spread, checks = core.get("slot_spread", 0.0), min(len(numbers), SPREAD_ROWS) if core else 0
        judged.append(Measurement(name="slot_spread", threshold="slot_spread", value=spread, checks=checks))
    if "slot_spread" in core:
        lines.append(f"slot spread {core['slot_spread']:.3f}, gate open {core['gate_open']:.3f}")
    if config.data.source == "flood":
        mazes = measure_flood(model, cast(FloodRows, data.test), config, numbers)
        judged, lines = [*judged, *mazes.measurements], [*lines, *mazes.summary]
        scalars |= dict(mazes.scalars)
        tables = mazes.tables
    if config.data.source == "arithmetic":
        exact = exact_match(recipe, model, data, data.test, numbers)
        rate = exact.hits / max(1, exact.checks)
        judged.append(
            Measurement(name="exact_match", threshold="exact_match", value=rate, hits=exact.hits, checks=exact.checks)
        )
        scalars |= {"exact_match": rate, "exact_match_hits": exact.hits, "exact_match_checks": exact.checks}
        lines.append(f"exact match {exact.hits} of {exact.checks} held-out pairs ({rate:.4f})")
    return Evaluation(measurements=judged, scalars=scalars, tables=tables, summary=lines)


def judges_spread(config: HrmLmConfig) -> bool:
    """Whether there are slots whose spread can be judged."""
    return config.model.memory != "encoder" and config.model.core.h_len > 0


def monitor(
    recipe: Recipe, model: HrmLm, data: TokenData, config: HrmLmConfig, numbers: np.ndarray
) -> dict[str, float]:
    """What the curves show besides the validation loss, on validation rows."""
    points = core_facts(model, data.validation, numbers)
    if config.data.source == "arithmetic":
        exact = exact_match(recipe, model, data, data.validation, numbers)
        points["exact_match"] = exact.hits / max(1, exact.checks)
    if config.data.source == "flood":
        mazes = cast(FloodRows, data.validation)
        depth_N, hits_N = mazes.depth_N[numbers], exact_mazes(model, mazes, numbers, used_segments(model))[0][-1]
        for name, among_N in (("near", depth_N <= max(TRAINED_DEPTHS)), ("deep", depth_N > max(TRAINED_DEPTHS))):
            points[f"exact_{name}"] = float(hits_N[among_N].mean()) if among_N.any() else 0.0
    return points
