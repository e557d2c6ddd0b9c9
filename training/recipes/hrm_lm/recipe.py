"""hrm_lm as a recipe: what the loop and the stages call. Imports torch only inside the methods that need it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from assets_data.lineage import GateError, Snapshot, Store
from assets_data.stage import One
from training.config import Problem
from training.generation import Sampling
from training.recipe import Evaluation, Findings, Recipe
from training.recipes.hrm_lm.config import HrmLmConfig, problems
from training.recipes.hrm_lm.presets import PRESETS

if TYPE_CHECKING:
    from torch import Tensor

    from training.recipes.hrm_lm.data import HrmData
    from training.recipes.hrm_lm.model import HrmLm as Model
    from training.recipes.hrm_lm.rows import TripleRows


class HrmLm(Recipe):
    """An encoder-decoder language model with a hierarchical recurrent core."""

    name = "hrm_lm"
    item = "tokens"
    presets = PRESETS
    config_type = HrmLmConfig
    task = "text-generation"
    inputs = {"manifest": One("text/dataset_manifest")}

    def check(self, config: HrmLmConfig) -> Iterator[Problem]:
        """Contradictions in the config alone."""
        return problems(config)

    def open_data(self, store: Store, inputs: Mapping[str, Snapshot], config: HrmLmConfig) -> HrmData:
        """The manifest's triples, memory-mapped, or made-up sums."""
        from training.recipes.hrm_lm.data import open_data

        return open_data(store, inputs["manifest"], config)

    def inspect(self, data: HrmData, config: HrmLmConfig) -> Findings:
        """Split checks and baselines; registers held-out rows, baselines and thresholds."""
        from training.recipes.hrm_lm.inspection import inspect

        return inspect(data, config)

    def model_inputs(self, data: HrmData, config: HrmLmConfig) -> Mapping[str, Any]:
        """Vocabulary and special tokens, with the tokenizer they belong to."""
        return asdict(data.inputs)

    def build_model(self, config: HrmLmConfig, inputs: Mapping[str, Any]) -> Model:
        """A new model with weights from torch's generator."""
        from training.recipes.hrm_lm.model import HrmLm as Model

        return Model(config.model, inputs["vocab_size"], config.train.batch_rows)

    def batch(
        self, data: HrmData | TripleRows, config: HrmLmConfig, rows: np.ndarray, epochs: np.ndarray
    ) -> dict[str, Tensor]:
        """Padded ids, mask and labels; every epoch sees the same rows."""
        from training.recipes.hrm_lm.rows import pad_batch

        return pad_batch(data, rows)

    def loss(self, model: Model, config: HrmLmConfig, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The configured loss, a mean over the labels that are not padding, and the core's and experts' terms."""
        from training.recipes.hrm_lm.losses import losses

        return losses(model, config, batch)

    def items(self, batch: Mapping[str, Tensor]) -> int:
        """Labels that are not padding: what the loss is a mean of."""
        from training.recipes.hrm_lm.rows import IGNORED

        return int((batch["labels"] != IGNORED).sum())

    def states(
        self, model: Model, config: HrmLmConfig, batch: Mapping[str, Tensor]
    ) -> dict[str, tuple[Tensor, Tensor]]:
        """For the collapse monitor: z against the pooled prompt, decoder states against the true token's head row."""
        from training.recipes.hrm_lm.losses import states

        return states(model, batch)

    def monitor(self, model: Model, data: HrmData, config: HrmLmConfig) -> dict[str, float]:
        """Slot spread, gate, and exact match on the watched sums."""
        from training.recipes.hrm_lm.data import keyed_choice
        from training.recipes.hrm_lm.evaluate import monitor

        gate = config.gate
        rows = keyed_choice(data.validation.row_keys, gate.monitor_rows, gate.seed, "hrm_lm/monitor_rows")
        return monitor(model, data, config, rows)

    def evaluate(self, model: Model, data: HrmData, config: HrmLmConfig, preflight: Snapshot) -> Evaluation:
        """The registered rows against the registered baselines. Raises GateError GATE_OTHER_ROWS when rows moved."""
        from training.recipes.hrm_lm.evaluate import evaluate
        from training.recipes.hrm_lm.inspection import ROWS

        table = preflight.table(ROWS)
        rows = table["row"].to_numpy().astype(np.int64)
        if not np.array_equal(data.test.row_keys[rows], table["row_key"].to_numpy()):
            raise GateError("GATE_OTHER_ROWS", "the test rows are not the registered ones", where=preflight.path)
        lines = preflight.read_json("registration.json")["evaluation"]["baselines"]
        return evaluate(model, data, config, rows, lines)

    def generate(
        self, model: Model, inputs: Mapping[str, Any], prompt_ids: Sequence[int], sampling: Sampling
    ) -> list[int]:
        """The answer to one prompt (ids without specials). A prompt too long for the model loses its beginning."""
        import torch

        from training.recipes.hrm_lm.decode import write

        kept = list(prompt_ids)[-(model.config.max_tokens - 1) :]
        prompt_1S = torch.tensor([[inputs["bos"], *kept]], device=model.head.weight.device)
        mask_1S = torch.ones_like(prompt_1S, dtype=torch.bool)
        return write(model, prompt_1S, mask_1S, bos=inputs["bos"], eos=inputs["eos"], sampling=sampling)[0]
