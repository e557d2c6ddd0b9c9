"""The part of a config that says how a recipe on text tokens is judged. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from assets_data.lineage import option
from training.recipe import Issue


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenGate:
    """The registered evaluation. Changing any of it after training is refused. A recipe may add fields by deriving."""

    margin: float = option(0.0, "nats per token by which the loss must be below each baseline")
    rows: int = option(2000, "held-out rows the loss is judged on, at most")
    samples: int = option(8, "answers shown in the report")
    sample_tokens: int = option(48, "longest answer shown")
    sample_top_p: float = option(0.9, "nucleus of the sampled answers in the report")
    seed: int = option(0, "chooses rows and drives sampling")


def gate_issues(gate: TokenGate, code: str) -> Iterator[Issue]:
    """Every contradiction inside ``gate``, under the issue code of the recipe whose gate it is."""
    if gate.margin < 0.0 or not 0.0 < gate.sample_top_p <= 1.0:
        yield Issue.error(code, "gate", "margin must not be negative and sample_top_p must be in (0, 1]")
    if min(gate.rows, gate.samples, gate.sample_tokens) < 1:
        yield Issue.error(code, "gate", "rows, samples and sample_tokens must be at least 1")
