"""geno_lewm as a recipe: what the loop and the stages call. Imports torch only inside the methods that need it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from assets_data.domains.genome.read import Trajectories
from assets_data.lineage import Snapshot, Store
from assets_data.stage import One
from training.recipe import Evaluation, Findings, Issue, Recipe
from training.recipes.geno_lewm.config import PRESETS, GenoLewmConfig, issues
from training.recipes.geno_lewm.data import GenoData, Rows, open_data
from training.recipes.geno_lewm.inspection import inspect
from training.recipes.geno_lewm.state_table import STATE_TABLE

if TYPE_CHECKING:
    from torch import Tensor

    from training.recipes.geno_lewm.model import Predictor


class GenoLewm(Recipe):
    """The change of a frozen encoder's state, edit by edit."""

    name = "geno_lewm"
    item = "trajectories"
    task = "other"
    presets = PRESETS
    config_type = GenoLewmConfig
    inputs = {
        "manifest": One("genome/dataset_manifest"),
        "encoder": One("dna_lm/checkpoint"),
        "state_table": One(STATE_TABLE.kind),
    }
    derived = (STATE_TABLE,)

    def check(self, config: GenoLewmConfig) -> Iterator[Issue]:
        """Contradictions in the config alone."""
        yield from super().check(config)
        yield from issues(config)

    def open_data(self, store: Store, inputs: Mapping[str, Snapshot], config: GenoLewmConfig) -> GenoData:
        """Trajectories and their states."""
        return open_data(store, inputs)

    def inspect(self, data: GenoData, config: GenoLewmConfig) -> Findings:
        """Issues, and the baselines, thresholds and seeds of the gate."""
        return inspect(data, config)

    def model_inputs(self, data: GenoData, config: GenoLewmConfig) -> Mapping[str, Any]:
        """The width of a state, of what is known beside an edit, and the unit of a change: all belong to the model."""
        flank = 0 if data.positions is None else int(data.positions.flank_RKF.shape[2])
        sigma = [float(value) for value in data.sigma_D]
        return {"dims": int(data.states_RSD.shape[2]), "flank": flank, "sigma": sigma}

    def build_model(self, config: GenoLewmConfig, inputs: Mapping[str, Any]) -> Predictor:
        """A new model with weights from torch's generator."""
        from training.recipes.geno_lewm.losses import train_only
        from training.recipes.geno_lewm.model import Predictor

        model = Predictor(config.model, inputs["dims"], inputs.get("flank", 0))
        train_only(model, config.loss)
        return model

    def batch(self, data: Rows, config: GenoLewmConfig, rows: np.ndarray, epochs: np.ndarray) -> dict[str, Tensor]:
        """See :func:`batch_of`; nothing here is random."""
        from training.recipes.geno_lewm.batches import batch_of

        return batch_of(data, rows)

    def items(self, batch: Mapping[str, Tensor]) -> int:
        """The steps that there are."""
        return int(batch["valid"].sum())

    def loss(self, model: Predictor, config: GenoLewmConfig, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """See :func:`change_loss`."""
        from training.recipes.geno_lewm.losses import change_loss

        return change_loss(model(dict(batch)), batch, config.loss)

    def states(
        self, model: Predictor, config: GenoLewmConfig, batch: Mapping[str, Tensor]
    ) -> dict[str, tuple[Tensor, Tensor]]:
        """Predicted and true changes, for the collapse monitor: states themselves hardly differ."""
        valid = batch["valid"]
        return {"change": (model(dict(batch))[valid], batch["change"][valid])}

    def scorer(self, store: Store, checkpoint: Snapshot) -> Callable[[Trajectories], dict[str, np.ndarray]]:
        """What a checkpoint says of single edits; see :func:`open_scorer`."""
        from training.recipes.geno_lewm.score import open_scorer

        return open_scorer(store, checkpoint)

    def evaluate(self, model: Predictor, data: GenoData, config: GenoLewmConfig, preflight: Snapshot) -> Evaluation:
        """The registered test rows, beside baselines."""
        from training.recipes.geno_lewm.evaluate import evaluate

        return evaluate(model, data, preflight)
