"""Which directory the encoder is, and presets. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from assets_data.lineage import option
from training.recipes.geno_lewm.config import PRESETS as PREDICTORS
from training.recipes.geno_lewm.config import StatesConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryConfig:
    """Where the encoder lies."""

    directory: str = option(
        "", "a local Hugging Face directory of a Llama on 6-mers; without one a small untrained model is made, to try"
    )


PRESETS = {"smoke": PREDICTORS["smoke"], "demo": PREDICTORS["demo"], "carbon": PREDICTORS["demo"]}
"""``carbon``: a real encoder's states, on a GPU, in smaller batches."""
DIRECTORIES = dict.fromkeys(PRESETS, DirectoryConfig)
STATES = {"smoke": StatesConfig, "demo": StatesConfig, "carbon": lambda: StatesConfig(batch=8, shard=256)}
