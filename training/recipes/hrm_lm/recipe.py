"""hrm_lm as a recipe: what the loop and the stages call. Imports torch only inside the methods that need it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from assets_data.lineage import Snapshot, Store
from training.generation import Sampling, decode_bytes, encode_bytes
from training.recipe import Evaluation, Findings, Issue
from training.recipes.hrm_lm.config import HrmLmConfig, issues
from training.recipes.hrm_lm.presets import PRESETS
from training.tokens import TokenRecipe
from training.tokens.inspection import register, registered_rows

if TYPE_CHECKING:
    from torch import Tensor

    from training.recipes.hrm_lm.model import HrmLm as Model
    from training.tokens.data import TokenData


class HrmLm(TokenRecipe):
    """An encoder-decoder language model with a hierarchical recurrent core."""

    name = "hrm_lm"
    presets = PRESETS
    config_type = HrmLmConfig
    room = "model.max_tokens"
    figures = "assets_data.domains.text.maze_figures:gate_figures"

    def check(self, config: HrmLmConfig) -> Iterator[Issue]:
        """Contradictions in the config alone."""
        yield from super().check(config)
        yield from issues(config)

    def open_data(self, store: Store, inputs: Mapping[str, Snapshot], config: HrmLmConfig) -> TokenData:
        """The manifest's triples, memory-mapped, or made-up sums."""
        from training.recipes.hrm_lm.data import open_data

        return open_data(store, inputs["manifest"], config)

    def inspect(self, data: TokenData, config: HrmLmConfig) -> Findings:
        """As for any recipe on tokens; the core's spread, sums and mazes have thresholds of their own."""
        gate = config.gate
        if config.data.source == "flood":
            room, rows = (self.room, self._room(config)), np.arange(len(data.test))
            goals = {"near": gate.near, "deep": gate.deep}
            if config.model.memory != "encoder" and config.model.core.reads == "tokens":
                goals["deep_gain"] = gate.deep_gain
            findings = register(data, rows, self.name, room, goals, {})
        else:
            findings = super().inspect(data, config)
        thresholds = dict(findings.thresholds)
        if config.model.memory != "encoder" and config.model.core.h_len:
            thresholds["slot_spread"] = gate.slot_spread
        if config.data.source == "arithmetic":
            thresholds["exact_match"] = gate.exact_match
        dataset = {"source": config.data.source, **findings.dataset}
        return replace(findings, thresholds=thresholds, dataset=dataset)

    def model_inputs(self, data: TokenData, config: HrmLmConfig) -> Mapping[str, Any]:
        """The layout, ``source``: what a prompt is, ``goals``: how many a maze has, if any, and of a core over tokens
        how many segments it was trained with (at least, at most) and runs in use.
        """
        found, core = {**super().model_inputs(data, config), "source": config.data.source}, config.model.core
        if goals := getattr(data.test, "goals", 0):
            found["goals"] = goals
        if config.model.memory == "encoder" or core.reads != "tokens":
            return found
        return found | {"segments": [core.least_segments or core.segments, core.segments, core.eval_segments]}

    def build_model(self, config: HrmLmConfig, inputs: Mapping[str, Any]) -> Model:
        """A new model with weights from torch's generator."""
        from training.recipes.hrm_lm.model import HrmLm as Model

        return Model(config.model, inputs["vocab_size"], config.train.batch_rows)

    def logits(self, model: Model, batch: Mapping[str, Tensor]) -> Tensor:
        """The decoder's, at its own places."""
        return model(batch["encoder_ids"], batch["encoder_mask"], batch["decoder_ids"]).logits_BTV

    def loss(self, model: Model, config: HrmLmConfig, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The configured loss, a mean over the labels that are not padding, and the core's and experts' terms."""
        from training.recipes.hrm_lm.losses import losses

        return losses(model, config, batch)

    def states(
        self, model: Model, config: HrmLmConfig, batch: Mapping[str, Tensor]
    ) -> dict[str, tuple[Tensor, Tensor]]:
        """For the collapse monitor: z against the pooled prompt, decoder states against the true token's head row."""
        from training.recipes.hrm_lm.losses import states

        return states(model, batch)

    def after_step(self, model: Model, config: HrmLmConfig, update: int) -> None:
        """The update's rows open the gate."""
        model.count_rows(config.train.batch_rows)

    def monitor(self, model: Model, data: TokenData, config: HrmLmConfig) -> dict[str, float]:
        """Slot spread, gate, and exact match on the watched sums."""
        from training.recipes.hrm_lm.evaluate import monitor
        from training.tokens.data import keyed_choice

        gate = config.gate
        rows = keyed_choice(data.validation.row_keys, gate.monitor_rows, gate.seed, f"{self.name}/monitor_rows")
        return monitor(self, model, data, config, rows)

    def evaluate(self, model: Model, data: TokenData, config: HrmLmConfig, preflight: Snapshot) -> Evaluation:
        """Mazes have no baselines by counts: there, what is exactly right is all that is judged besides the spread."""
        if config.data.source != "flood":
            return super().evaluate(model, data, config, preflight)
        from training.recipes.hrm_lm.evaluate import measure

        return measure(self, model, data, config, registered_rows(preflight, data))

    def measure(self, model: Model, data: TokenData, config: HrmLmConfig, rows: np.ndarray) -> Evaluation:
        """Slot spread, and exact match on sums or mazes."""
        from training.recipes.hrm_lm.evaluate import measure

        return measure(self, model, data, config, rows)

    def remarks(self, model: Model, inputs: Mapping[str, Any], prompt_ids: Sequence[int]) -> dict[str, Any]:
        """``segments``: how many a core over tokens runs for this prompt; a maze's may have halted before the last."""
        if "segments" not in inputs:
            return {}
        if inputs["source"] != "flood":
            return {"segments": model.config.core.eval_segments}
        from training.recipes.hrm_lm.answers import answer_maze

        return {"segments": answer_maze(model, decode_bytes(prompt_ids), inputs.get("goals", 0))[1]}

    def write(
        self, model: Model, inputs: Mapping[str, Any], prompts: Sequence[Sequence[int]], sampling: Sampling
    ) -> list[list[int]]:
        """The answer to each prompt. A prompt too long for the model loses its beginning. A maze is answered at once,
        whatever the sampling, as a picture. Raises ConfigError FLOOD_MAZE for a prompt that is no maze to such a model.
        """
        import torch

        if inputs.get("source") == "flood":
            from training.recipes.hrm_lm.answers import answer_maze

            texts, goals = map(decode_bytes, prompts), inputs.get("goals", 0)
            return [encode_bytes(answer_maze(model, text, goals)[0]) for text in texts]
        from training.recipes.hrm_lm.decode import write
        from training.tokens.rows import pad_masked

        room, device = model.config.max_tokens - 1, model.head.weight.device
        kept = [[inputs["bos"], *list(prompt)[max(0, len(prompt) - room) :]] for prompt in prompts]
        ids_NS, mask_NS = (torch.from_numpy(array).to(device) for array in pad_masked(kept, inputs["pad"]))
        return write(model, ids_NS, mask_NS, bos=inputs["bos"], eos=inputs["eos"], sampling=sampling)
