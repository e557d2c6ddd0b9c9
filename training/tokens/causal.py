"""The base of causal language models: one sequence, next-token logits, and writing token by token. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from training.generation import Sampling, choose
from training.tokens.data import TokenData
from training.tokens.recipe import TokenRecipe
from training.tokens.rows import pad

if TYPE_CHECKING:
    from torch import Tensor, nn


class CausalRecipe(TokenRecipe):
    """A recipe whose model maps ids int64[N, T] to next-token logits float[N, T, V], no place seeing a later one.

    To define: ``name``, ``presets``, ``config_type`` and ``build_model``.
    """

    joined = True

    def model_inputs(self, data: TokenData, config: Any) -> Mapping[str, Any]:
        """The layout, and ``context``: the most tokens the model sees."""
        return {**super().model_inputs(data, config), "context": self._room(config)}

    def logits(self, model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        """What the model makes of the ids alone."""
        return model(batch["input_ids"])

    def write(
        self, model: nn.Module, inputs: Mapping[str, Any], prompts: Sequence[Sequence[int]], sampling: Sampling
    ) -> list[list[int]]:
        """What follows each prompt, to eos or ``max_new_tokens``. The model sees the last ``context`` tokens of ``bos
        prompt answer``; each token costs a pass over all of them.
        """
        import torch

        rows = [[inputs["bos"], *prompt] for prompt in prompts]
        begins, was_training = [len(row) for row in rows], model.training
        model.eval()
        with torch.no_grad():
            for step in range(sampling.max_new_tokens):
                for row, fresh in zip(rows, self._next(model, inputs, rows, step, sampling), strict=True):
                    row.append(fresh)
                if all(inputs["eos"] in row[begin:] for row, begin in zip(rows, begins, strict=True)):
                    break
        model.train(was_training)
        return [_until(row[begin:], inputs["eos"]) for row, begin in zip(rows, begins, strict=True)]

    def _next(
        self, model: nn.Module, inputs: Mapping[str, Any], rows: Sequence[list[int]], step: int, sampling: Sampling
    ) -> list[int]:
        import torch

        windows = [row[-inputs["context"] :] for row in rows]
        ids_NT = torch.from_numpy(pad(windows, inputs["pad"])).to(next(model.parameters()).device)
        last_N = torch.tensor([len(window) - 1 for window in windows], device=ids_NT.device)
        logits_NTV = self.logits(model, {"input_ids": ids_NT})
        last_NV = logits_NTV[torch.arange(len(rows), device=ids_NT.device), last_N]
        return choose(last_NV.float(), step, sampling).tolist()


def _until(ids: list[int], eos: int) -> list[int]:
    return ids[: ids.index(eos)] if eos in ids else ids
