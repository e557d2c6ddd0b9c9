"""Settings of the mix stage. Reads nothing itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from assets_data.domains.text.read import SPLITS
from assets_data.lineage import ConfigError, option


@dataclass(frozen=True, slots=True, kw_only=True)
class MixConfig:
    """Shares of the sources and the size of each split. Shares hold in every split."""

    weights: dict[str, float] | None = option(None, "share of each source by name; none: all alike")
    by: Literal["tokens", "rows"] = option("tokens", "what shares and sizes count: tokens of text, or rows")
    train: int = option(0, "tokens or rows of the training split; 0: the most for which no row is repeated")
    validation: int = option(0, "the same, of the validation split")
    test: int = option(0, "the same, of the test split")
    tokenizer: str = option("", "id of the tokenizer all sources must have been made with; empty: the one they share")
    seed: int = option(7, "seed of which rows are taken, and of their order")

    def __post_init__(self) -> None:
        weights = self.weights or {}
        problems = [f"weight of {name} must be a positive number" for name, w in weights.items() if not 0 < w < 2**53]
        problems += [f"{split} must be at least 0" for split in SPLITS if getattr(self, split) < 0]
        if problems:
            raise ConfigError("MIX_CONFIG", "mix: " + "; ".join(problems))


def demo() -> MixConfig:
    """Every source alike by tokens, as much as there is without repeating a row."""
    return MixConfig()


PRESETS = {"demo": demo}
