"""The base of recipes on text tokens: everything but the model, its logits and how it writes. Imports no torch."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from assets_data.documents import read_registration
from assets_data.lineage import Snapshot, Store
from assets_data.stage import One
from training.generation import Sampling
from training.recipe import Evaluation, Findings, Issue, Recipe
from training.tokens.config import gate_issues, loss_issues
from training.tokens.data import TokenData, open_tokens
from training.tokens.rows import IGNORED, TripleRows, joined_batch, pad_batch

if TYPE_CHECKING:
    from torch import Tensor, nn


class TokenRecipe(Recipe):
    """A recipe on the triples of a text manifest, judged by its loss against what counts can do.

    Its config has ``train: TrainConfig``, ``loss: TokenLoss`` and ``gate: TokenGate`` (or one derived from it). To
    define: ``name``, ``presets``, ``config_type``, ``build_model``, ``logits`` and ``write``. ``room`` is the dotted
    name of the config's field that says how many tokens a sequence may have; a longer row is an error in the preflight.
    ``joined`` says whether the model reads prefix and suffix as one sequence.
    """

    item = "tokens"
    task = "text-generation"
    inputs = {"manifest": One("text/dataset_manifest")}
    room: str = "model.context"
    joined: bool = False

    def check(self, config: Any) -> Iterator[Issue]:
        """Contradictions of training, loss and gate."""
        yield from super().check(config)
        yield from loss_issues(config.loss)
        yield from gate_issues(config.gate, f"{self.name.upper()}_GATE")

    def open_data(self, store: Store, inputs: Mapping[str, Snapshot], config: Any) -> TokenData:
        """The triples of every slice, by split; the tokenizer is a member."""
        return open_tokens(store, inputs["manifest"], self.joined)

    def inspect(self, data: TokenData, config: Any) -> Findings:
        """Checks of splits and lengths; registers test rows, unigram and bigram baselines, and the margin."""
        from training.tokens.inspection import inspect

        return inspect(data, config.gate, self.name, (self.room, self._room(config)))

    def model_inputs(self, data: TokenData, config: Any) -> Mapping[str, Any]:
        """The layout: ``tokenizer`` (its snapshot's id), ``vocab_size``, and the ids ``pad``, ``bos`` and ``eos``."""
        return asdict(data.layout)

    def batch(
        self, data: TokenData | TripleRows, config: Any, rows: np.ndarray, epochs: np.ndarray
    ) -> dict[str, Tensor]:
        """Padded rows, see :mod:`training.tokens.rows`; every epoch sees the same ones."""
        return joined_batch(data, rows) if self.joined else pad_batch(data, rows)

    def items(self, batch: Mapping[str, Tensor]) -> int:
        """Labels that count: what the loss is a mean of."""
        return int((batch["labels"] != IGNORED).sum())

    @abstractmethod
    def logits(self, model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        """float[N, T, V]: the model's logits where the batch has its ``labels`` (int64[N, T])."""
        raise NotImplementedError

    def loss(self, model: nn.Module, config: Any, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The configured token loss of the logits, a mean over the labels that count."""
        from training.tokens.losses import token_loss

        return token_loss(config.loss)(self.logits(model, batch).flatten(0, 1), batch["labels"].flatten())

    @abstractmethod
    def write(
        self, model: nn.Module, inputs: Mapping[str, Any], prompts: Sequence[Sequence[int]], sampling: Sampling
    ) -> list[list[int]]:
        """The answer to each prompt; prompts and answers are ids without specials. ``inputs`` are the model's."""
        raise NotImplementedError

    def generate(
        self, model: nn.Module, inputs: Mapping[str, Any], prompt_ids: Sequence[int], sampling: Sampling
    ) -> list[int]:
        """The answer to one prompt."""
        return self.write(model, inputs, [prompt_ids], sampling)[0]

    def measure(self, model: nn.Module, data: TokenData, config: Any, rows: np.ndarray) -> Evaluation:
        """What is judged or reported of the test rows ``rows`` besides the loss: here nothing."""
        return Evaluation()

    def evaluate(self, model: nn.Module, data: TokenData, config: Any, preflight: Snapshot) -> Evaluation:
        """The registered rows against the registered baselines. Raises GateError GATE_OTHER_ROWS when rows moved."""
        from training.tokens.evaluate import evaluate
        from training.tokens.inspection import registered_rows

        rows = registered_rows(preflight, data)
        lines = read_registration(preflight)["evaluation"]["baselines"]
        return evaluate(self, model, data, config, rows, lines)

    def _room(self, config: Any) -> int:
        return reduce(getattr, self.room.split("."), config)
