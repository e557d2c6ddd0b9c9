"""Measures a model on registered test rows: its loss against the baselines, and what it writes.

The verdict is :mod:`training.gate`'s. Shapes: N rows, T labels of a row, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.findings import Evaluation, Measurement
from training.gate import Z95
from training.generation import Sampling
from training.tokens.data import TokenData
from training.tokens.rows import IGNORED, TripleRows

if TYPE_CHECKING:
    from training.tokens.recipe import TokenRecipe

BATCH = 128
"""Rows per forward pass; logits take 4 * BATCH * T * V bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Nats per label with the 95% interval that the scatter between rows gives it."""

    nats: float
    interval: tuple[float, float]
    tokens: int


def evaluate(
    recipe: TokenRecipe,
    model: nn.Module,
    data: TokenData,
    config: Any,
    rows: np.ndarray,
    baselines: Mapping[str, float],
) -> Evaluation:
    """The loss on the test rows ``rows`` below each baseline, what the recipe measures besides, and samples."""
    loss = heldout_loss(recipe, model, config, data.test, rows)
    more = recipe.measure(model, data, config, rows)
    samples = write_samples(recipe, model, data, config, rows[: config.gate.samples])
    below = [
        Measurement(
            name=f"nats_below_{name}",
            threshold="margin",
            value=baselines[name] - loss.nats,
            checks=loss.tokens,
            interval=(baselines[name] - loss.interval[1], baselines[name] - loss.interval[0]),
        )
        for name in ("unigram", "bigram")
    ]
    scalars: dict[str, Any] = {
        "heldout_loss": loss.nats,
        "heldout_loss_interval": list(loss.interval),
        "heldout_tokens": loss.tokens,
        "heldout_rows": len(rows),
        "unigram_loss": baselines["unigram"],
        "bigram_loss": baselines["bigram"],
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
    }
    return Evaluation(
        measurements=[*below, *more.measurements],
        scalars={**scalars, **more.scalars},
        tables={"samples": samples, **more.tables},
        summary=[_loss_line(scalars), *more.summary, *_sample_lines(samples)],
    )


@torch.no_grad()
def heldout_loss(recipe: TokenRecipe, model: nn.Module, config: Any, rows: TripleRows, numbers: np.ndarray) -> Loss:
    """Cross-entropy of every label of these rows, whatever loss the model was trained with.

    The interval is that of a ratio of sums over independent rows (Cochran 1977, 6.3).
    """
    nats, tokens = [], []
    for batch in batches(recipe, model, config, rows, numbers):
        logits_NTV, labels_NT = recipe.logits(model, batch).float(), batch["labels"]
        nats_NT = F.cross_entropy(logits_NTV.transpose(1, 2), labels_NT, ignore_index=IGNORED, reduction="none")
        nats.append(nats_NT.double().sum(dim=1).cpu())
        tokens.append((labels_NT != IGNORED).sum(dim=1).cpu())
    nats_N, tokens_N = torch.cat(nats).numpy(), torch.cat(tokens).numpy()
    mean = float(nats_N.sum() / tokens_N.sum())
    half = Z95 * float(np.sqrt(np.square(nats_N - mean * tokens_N).sum()) / tokens_N.sum())
    return Loss(nats=mean, interval=(mean - half, mean + half), tokens=int(tokens_N.sum()))


def batches(
    recipe: TokenRecipe, model: nn.Module, config: Any, rows: TripleRows, numbers: np.ndarray
) -> Iterator[dict[str, Tensor]]:
    """The recipe's batches of some rows, ``BATCH`` at a time, where the model is."""
    device = next(model.parameters()).device
    for begin in range(0, len(numbers), BATCH):
        part = numbers[begin : begin + BATCH]
        batch = recipe.batch(rows, config, part, np.zeros(len(part), np.int64))
        yield {name: value.to(device) for name, value in batch.items()}


def write_samples(
    recipe: TokenRecipe, model: nn.Module, data: TokenData, config: Any, rows: np.ndarray
) -> list[dict[str, str]]:
    """Prompt, reference, greedy and sampled answer of some test rows, as text."""
    if not len(rows):
        return []
    gate, inputs = config.gate, recipe.model_inputs(data, config)
    triples = [data.test[row] for row in rows.tolist()]
    prompts = [triple.encoder_ids[1:].tolist() for triple in triples]
    nucleus = {"temperature": 1.0, "top_p": gate.sample_top_p, "seed": gate.seed}
    how = (Sampling(max_new_tokens=gate.sample_tokens), Sampling(max_new_tokens=gate.sample_tokens, **nucleus))
    greedy, sampled = (recipe.write(model, inputs, prompts, sampling) for sampling in how)
    return [
        {
            "prompt": data.decode(triple.encoder_ids),
            "reference": data.decode(triple.labels[: gate.sample_tokens]),
            "greedy": data.decode(first),
            "sampled": data.decode(second),
        }
        for triple, first, second in zip(triples, greedy, sampled, strict=True)
    ]


def _loss_line(scalars: Mapping[str, Any]) -> str:
    low, high = scalars["heldout_loss_interval"]
    return (
        f"held-out loss {scalars['heldout_loss']:.4f} nats ({low:.4f} to {high:.4f}) over {scalars['heldout_tokens']:,}"
        f" tokens; unigram {scalars['unigram_loss']:.4f}, bigram {scalars['bigram_loss']:.4f}"
    )


def _sample_lines(samples: Sequence[Mapping[str, str]]) -> list[str]:
    return [f"  {sample['prompt'][-40:]!r} -> {sample['greedy'][:40]!r}" for sample in samples[:3]]
