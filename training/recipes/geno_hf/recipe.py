"""geno_hf as a recipe: geno_lewm's model, loss and gate, on the states of another encoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from assets_data.domains.genome.read import Trajectories
from assets_data.lineage import Snapshot, Store
from assets_data.stage import One
from training.recipes.geno_hf.config import PRESETS
from training.recipes.geno_hf.encoder import ENCODER, OPENER, STATE_TABLE
from training.recipes.geno_lewm.config import GenoLewmConfig
from training.recipes.geno_lewm.data import EncoderVerdict, GenoData, open_data
from training.recipes.geno_lewm.recipe import GenoLewm


class GenoHf(GenoLewm):
    """The change of the state of an encoder that was trained elsewhere."""

    name = "geno_hf"
    presets = PRESETS
    inputs = {
        "manifest": One("genome/dataset_manifest"),
        "encoder": One(ENCODER.kind),
        "state_table": One(STATE_TABLE.kind),
    }
    derived = (ENCODER, STATE_TABLE)

    def open_data(self, store: Store, inputs: Mapping[str, Snapshot], config: GenoLewmConfig) -> GenoData:
        """Trajectories and their states. What was trained elsewhere has no gate here."""
        return open_data(store, inputs, EncoderVerdict("undetermined", ["it was trained elsewhere"]))

    def scorer(self, store: Store, checkpoint: Snapshot) -> Callable[[Trajectories], dict[str, Any]]:
        """Lengths of changes; a causal encoder of 6-mers names no single base."""
        from training.recipes.geno_lewm.score import open_lengths

        return open_lengths(store, checkpoint, OPENER)
