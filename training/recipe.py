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


class Data(Protocol):
    """Training rows at hand, memory-mapped, plus whatever the recipe's other methods need."""

    row_keys: np.ndarray
    """uint64[n]: the order's keys, from each row's digest."""
    items_per_row: float
    """What one row counts for in throughput (tokens, cells, frames)."""
    members: Mapping[str, str]
    """Names and ids of the snapshots read, for the run's fingerprint."""


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
    """The promises a recipe makes to the loop and to the three stages."""

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
        """CPU tensors of these rows. Anything random here is keyed by (seed, epoch, row key)."""
        ...

    def loss(self, model: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Scalars, each a mean over the batch: ``loss`` is minimised, the others are logged."""
        ...

    def monitor(self, model: nn.Module, data: Any, config: Any) -> dict[str, float]:
        """Held-out measurements for the curves, on other prompts than the gate's. Changes no training state."""
        ...

    def evaluate(self, model: nn.Module, data: Any, config: Any, preflight: Snapshot) -> Evaluation:
        """The registered evaluation, on the tables the preflight snapshot holds."""
        ...


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
