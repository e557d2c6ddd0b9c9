"""The parts of a config that recipes on tokens have: their loss and how they are judged. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from assets_data.lineage import ConfigError, option
from training.recipe import Issue

LOSSES = ("cross_entropy", "z_loss", "bi_tempered_logistic", "focal_cosine", "multi_margin")
PER_ELEMENT = "it takes one yes or no per output element, and a token label is one class out of the vocabulary"
UNFIT_LOSSES = {
    **dict.fromkeys(
        ("bceloss", "bcefocalloss", "focalloss", "softf1loss", "binarybitemperedlogisticloss"), PER_ELEMENT
    ),
    **dict.fromkeys(
        ("diceloss", "jaccardloss", "lovaszhingeloss", "tverskyloss", "focaltverskyloss"),
        "it compares regions of a segmentation mask, and token labels have no regions",
    ),
    "ldamloss": "it needs the count of every class in the data, which a config does not hold",
    "bitemperedlogisticloss": "it is offered as bi_tempered_logistic",
    "focalcosineloss": "it is offered as focal_cosine",
}
"""The library's losses that cannot take token labels, or go by another name here, with the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenLoss:
    """The loss over token labels, by name: a recipe's field ``loss``. See :mod:`training.tokens.losses`."""

    FORMERLY = "train.loss"

    name: str = option("cross_entropy", "cross_entropy, z_loss, bi_tempered_logistic, focal_cosine or multi_margin")
    kwargs: Mapping[str, Any] = field(
        default_factory=dict, metadata={"doc": "arguments of the loss, such as label_smoothing"}
    )


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


def loss_issues(loss: TokenLoss) -> Iterator[Issue]:
    """A loss that is unknown or unfit for token labels, or arguments that it does not take."""
    if reason := UNFIT_LOSSES.get(loss.name.lower()):
        yield Issue.error("LOSS_UNFIT", "loss.name", f"{loss.name} cannot be used: {reason}")
    elif loss.name not in LOSSES:
        yield Issue.error("LOSS_UNKNOWN", "loss.name", f"{loss.name!r} is not one of {sorted(LOSSES)}")
    else:
        from training.tokens.losses import token_loss

        try:
            token_loss(loss)
        except ConfigError as error:
            yield Issue.error(error.code, "loss.kwargs", str(error))
        except ImportError as error:
            yield Issue.error("DEPENDENCY_MISSING", str(error.name), f"{loss.name}: {error}")
