"""What a recipe is, and which recipes there are. Needs no torch, so names, presets and stages load in milliseconds.

A recipe is a folder ``training/recipes/<name>/`` whose ``__init__`` offers ``RECIPE``. It brings config, data, model,
loss, batches, monitoring and evaluation; the loop, order, checkpoints, preflight and gate are the same for all. Its
modules import torch inside functions, or are imported inside functions.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from assets_data.lineage import ConfigError, Snapshot, Store
from training import recipes
from training.config import Problem

if TYPE_CHECKING:
    import pyarrow as pa
    from torch import Tensor, nn

STAGES = ("preflight_report", "checkpoint", "gate_report")


@dataclass(frozen=True, slots=True)
class TableRef:
    """A published table that holds training rows. Its ``row_key`` column gives their keys, see ``order.table_keys``.

    ``chunks`` 0: each of its rows is a training row. ``chunks`` n >= 1: each is cut into n training rows.
    """

    snapshot: str
    file: str
    chunks: int = 0


class Rows(Protocol):
    """Rows that ``Recipe.batch`` takes as its data: those of a held-out split need no more than this to the loop."""

    @property
    def row_keys(self) -> np.ndarray:
        """uint64[n]: the order's keys, from each row's digest."""
        ...


class Data(Rows, Protocol):
    """Training rows at hand, memory-mapped, plus whatever the recipe's other methods need."""

    @property
    def items_per_row(self) -> float:
        """What one row counts for in throughput (tokens, cells, frames)."""
        ...

    @property
    def members(self) -> Mapping[str, str]:
        """Names and ids of the snapshots read, for the run's fingerprint and the receipts."""
        ...

    @property
    def tables(self) -> Sequence[TableRef]:
        """Where the training rows are stored, in the order of ``row_keys``: the concatenation of the tables' keys."""
        ...

    @property
    def validation(self) -> Rows | None:
        """Held-out rows on which the loop measures the same loss; never trained on."""
        ...


@dataclass(frozen=True, slots=True)
class Issue:
    """One finding of a preflight. Errors stop the run, warnings do not."""

    code: str
    severity: Literal["error", "warning"]
    path: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a recipe finds out before the first update, and the evaluation it registers for the gate."""

    issues: Sequence[Issue]
    dataset: Mapping[str, Any]
    model_inputs: Mapping[str, Any]
    thresholds: Mapping[str, float]
    evaluation: Mapping[str, Any]
    tables: Mapping[str, pa.Table] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One number the gate judges: ``value`` over ``checks`` trials against the registered threshold of that name.

    ``hits`` is set for proportions and gives the interval. No checks means undetermined.
    """

    name: str
    threshold: str
    value: float
    checks: int
    hits: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What a recipe measured on a checkpoint: what is judged, and what is reported beside it."""

    measurements: Sequence[Measurement]
    scalars: Mapping[str, Any]
    tables: Mapping[str, Sequence[Mapping[str, Any]]]
    summary: Sequence[str]


class Recipe(Protocol):
    """The promises a recipe makes to the loop and to the three stages.

    A recipe may also offer these, found by :func:`offered`; without one the loop does what is said here.

    - ``items(batch) -> int``: how many items ``loss`` is a mean of, such as labels that are not ignored. Weighs
      micro-batches and validation batches; without it all rows weigh the same.
    - ``states(model, config, batch) -> {name: (predicted_ND, target_ND)}``: vectors for the collapse monitor.
    - ``generate(model, inputs, prompt_ids, sampling) -> ids``: the answer to one prompt, without specials, for ``stemma
      generate``; ``inputs["tokenizer"]`` is then the id of a tokenizer's snapshot, or ``generation.BYTES``.

    A model may offer ``checkpoint_gradients()``, which makes it recompute activations in the backward pass; without it
    ``train.gradient_checkpointing`` is refused.
    """

    name: str
    item: str
    presets: Mapping[str, Callable[[], Any]]
    config_type: type

    def check(self, config: Any) -> Iterator[Problem]:
        """Every contradiction in the config alone."""
        ...

    def open_data(self, store: Store, manifest: Snapshot, config: Any) -> Data:
        """The manifest's data, verified and opened. Raises DataError when the manifest lacks a member."""
        ...

    def inspect(self, data: Any, config: Any) -> Findings:
        """What data and config say together: issues, and the evaluation fixed before training."""
        ...

    def model_inputs(self, data: Any, config: Any) -> Mapping[str, Any]:
        """The sizes the model takes from the data; with the config, all that is needed to build it."""
        ...

    def build_model(self, config: Any, inputs: Mapping[str, Any]) -> nn.Module:
        """A freshly initialised model, drawn from torch's generator."""
        ...

    def batch(self, data: Any, config: Any, rows: np.ndarray, epochs: np.ndarray) -> dict[str, Tensor]:
        """CPU tensors of these rows of ``data``, which is the training data or its ``validation``.

        Anything random here is keyed by (seed, epoch, row key).
        """
        ...

    def loss(self, model: nn.Module, config: Any, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Scalars, each a mean over the batch's items: ``loss`` is minimised, the others are logged."""
        ...

    def monitor(self, model: nn.Module, data: Any, config: Any) -> dict[str, float]:
        """Held-out measurements for the curves, on other prompts than the gate's. Changes no training state."""
        ...

    def evaluate(self, model: nn.Module, data: Any, config: Any, preflight: Snapshot) -> Evaluation:
        """The registered evaluation, on the tables the preflight snapshot holds."""
        ...


def offered(recipe: Recipe, name: str) -> Callable[..., Any] | None:
    """One of the optional members of a recipe, or None."""
    return getattr(recipe, name, None)


def discover() -> dict[str, Recipe]:
    """Every recipe by name, in alphabetical order. Raises ConfigError RECIPE_BROKEN for a folder without ``RECIPE``."""
    found: dict[str, Recipe] = {}
    for module in sorted(pkgutil.iter_modules(recipes.__path__), key=lambda info: info.name):
        recipe = getattr(importlib.import_module(f"{recipes.__name__}.{module.name}"), "RECIPE", None)
        if recipe is None or recipe.name != module.name:
            raise ConfigError(
                "RECIPE_BROKEN", "a recipe folder must offer RECIPE under its own name", found=module.name
            )
        found[module.name] = recipe
    return found
