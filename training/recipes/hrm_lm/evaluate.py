"""Measures a model on held-out rows: loss, exact match, slot spread, samples. The verdict is :mod:`training.gate`'s.

Shapes: N rows, T labels of a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from training.gate import Z95
from training.generation import Sampling
from training.recipe import Evaluation, Measurement
from training.recipes.hrm_lm.config import HrmLmConfig
from training.recipes.hrm_lm.core import slot_spread
from training.recipes.hrm_lm.data import HrmData
from training.recipes.hrm_lm.decode import write
from training.recipes.hrm_lm.model import HrmLm
from training.recipes.hrm_lm.rows import IGNORED, TripleRows, pad_batch

BATCH, SPREAD_ROWS = 128, 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Nats per label with the 95% interval that the scatter between rows gives it."""

    nats: float
    interval: tuple[float, float]
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Exact:
    """How many greedy answers are the reference to the last token."""

    hits: int
    checks: int


@torch.no_grad()
def heldout_loss(model: HrmLm, rows: TripleRows, numbers: np.ndarray) -> Loss:
    """Cross-entropy of every label of these rows, whatever loss the model was trained with."""
    nats, tokens = [], []
    for batch in _batches(model, rows, numbers):
        logits_NTV = model(batch["encoder_ids"], batch["encoder_mask"], batch["decoder_ids"]).logits_BTV.float()
        nats_NT = F.cross_entropy(logits_NTV.transpose(1, 2), batch["labels"], ignore_index=IGNORED, reduction="none")
        nats.append(nats_NT.double().sum(dim=1).cpu())
        tokens.append((batch["labels"] != IGNORED).sum(dim=1).cpu())
    nats_N, tokens_N = torch.cat(nats).numpy(), torch.cat(tokens).numpy()
    mean = float(nats_N.sum() / tokens_N.sum())
    half = Z95 * float(np.sqrt(np.square(nats_N - mean * tokens_N).sum()) / tokens_N.sum())
    return Loss(nats=mean, interval=(mean - half, mean + half), tokens=int(tokens_N.sum()))


@torch.no_grad()
def exact_match(model: HrmLm, data: HrmData, rows: TripleRows, numbers: np.ndarray) -> Exact:
    """Greedy answers against references."""
    hits = 0
    for batch in _batches(model, rows, numbers):
        longest = batch["labels"].shape[1]
        for written, labels in zip(_answers(model, data, batch, longest), batch["labels"].tolist(), strict=True):
            hits += written == [label for label in labels if label not in (IGNORED, data.inputs.eos)]
    return Exact(hits=hits, checks=len(numbers))


@torch.no_grad()
def core_facts(model: HrmLm, rows: TripleRows, numbers: np.ndarray) -> dict[str, float]:
    """Spread of slow and fast slots and the gate's mean opening; nothing without a core or while the gate is shut."""
    batch = next(_batches(model, rows, numbers[:SPREAD_ROWS]))
    memory = model.remember(batch["encoder_ids"], batch["encoder_mask"])
    if memory.core is None or memory.gate_B is None:
        return {}
    high, low = float(slot_spread(memory.core.high_BKD)), float(slot_spread(memory.core.low_BLD))
    gate_open = float(memory.gate_B.mean())
    return {"slot_spread": min(high, low), "high_slot_spread": high, "low_slot_spread": low, "gate_open": gate_open}


def evaluate(
    model: HrmLm, data: HrmData, config: HrmLmConfig, numbers: np.ndarray, baselines: Mapping[str, float]
) -> Evaluation:
    """The whole registered evaluation of one model on the test rows ``numbers``."""
    loss, core = heldout_loss(model, data.test, numbers), core_facts(model, data.test, numbers)
    judged = [
        Measurement(
            name=f"nats_below_{name}", threshold="margin", value=baselines[name] - loss.nats, checks=loss.tokens
        )
        for name in ("unigram", "bigram")
    ]
    scalars: dict[str, Any] = {
        "heldout_loss": loss.nats,
        "heldout_loss_interval": list(loss.interval),
        "heldout_tokens": loss.tokens,
        "heldout_rows": len(numbers),
        "unigram_loss": baselines["unigram"],
        "bigram_loss": baselines["bigram"],
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        **core,
    }
    if config.model.memory != "encoder":
        spread, checks = core.get("slot_spread", 0.0), min(len(numbers), SPREAD_ROWS) if core else 0
        judged.append(Measurement(name="slot_spread", threshold="slot_spread", value=spread, checks=checks))
    if config.data.source == "arithmetic":
        exact = exact_match(model, data, data.test, numbers)
        rate = exact.hits / max(1, exact.checks)
        judged.append(
            Measurement(name="exact_match", threshold="exact_match", value=rate, hits=exact.hits, checks=exact.checks)
        )
        scalars |= {"exact_match": rate, "exact_match_hits": exact.hits, "exact_match_checks": exact.checks}
    samples = list(_samples(model, data, config, numbers[: config.gate.samples]))
    return Evaluation(
        measurements=judged, scalars=scalars, tables={"samples": samples}, summary=_summary(scalars, samples)
    )


def monitor(model: HrmLm, data: HrmData, config: HrmLmConfig, numbers: np.ndarray) -> dict[str, float]:
    """What the curves show besides the validation loss, on validation rows."""
    points = core_facts(model, data.validation, numbers)
    if config.data.source == "arithmetic":
        exact = exact_match(model, data, data.validation, numbers)
        points["exact_match"] = exact.hits / max(1, exact.checks)
    return points


def _batches(model: HrmLm, rows: TripleRows, numbers: np.ndarray) -> Iterator[dict[str, Tensor]]:
    device = model.head.weight.device
    for begin in range(0, len(numbers), BATCH):
        batch = pad_batch(rows, numbers[begin : begin + BATCH])
        yield {name: value.to(device) for name, value in batch.items()}


def _answers(
    model: HrmLm, data: HrmData, batch: Mapping[str, Tensor], tokens: int, **sampling: float
) -> list[list[int]]:
    how = Sampling(max_new_tokens=tokens, **sampling)  # type: ignore[arg-type]
    specials = {"bos": data.inputs.bos, "eos": data.inputs.eos}
    return write(model, batch["encoder_ids"], batch["encoder_mask"], **specials, sampling=how)


def _samples(model: HrmLm, data: HrmData, config: HrmLmConfig, numbers: np.ndarray) -> Iterator[dict[str, str]]:
    gate = config.gate
    batch = next(_batches(model, data.test, numbers))
    greedy = _answers(model, data, batch, gate.sample_tokens)
    sampled = _answers(model, data, batch, gate.sample_tokens, temperature=1.0, top_p=gate.sample_top_p, seed=gate.seed)
    for row, first, second in zip(numbers.tolist(), greedy, sampled, strict=True):
        example = data.test[row]
        reference = example.labels[: gate.sample_tokens]
        texts = {"prompt": example.encoder_ids, "reference": reference, "greedy": first, "sampled": second}
        yield {name: data.decode(ids) for name, ids in texts.items()}


def _summary(scalars: Mapping[str, Any], samples: Sequence[Mapping[str, str]]) -> list[str]:
    low, high = scalars["heldout_loss_interval"]
    lines = [
        f"held-out loss {scalars['heldout_loss']:.4f} nats ({low:.4f} to {high:.4f}) over {scalars['heldout_tokens']:,}"
        f" tokens; unigram {scalars['unigram_loss']:.4f}, bigram {scalars['bigram_loss']:.4f}"
    ]
    if "slot_spread" in scalars:
        lines.append(f"slot spread {scalars['slot_spread']:.3f}, gate open {scalars['gate_open']:.3f}")
    if "exact_match" in scalars:
        hits, checks = scalars["exact_match_hits"], scalars["exact_match_checks"]
        lines.append(f"exact match {hits} of {checks} held-out pairs ({scalars['exact_match']:.4f})")
    lines += [f"  {sample['prompt'][-40:]!r} -> {sample['greedy'][:40]!r}" for sample in samples[:3]]
    return lines
