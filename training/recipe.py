"""What a recipe is, and which recipes there are. Needs no torch, so names, presets and stages load in milliseconds.

A recipe is a folder ``training/recipes/<name>/`` whose ``__init__`` offers ``RECIPE``, or an object in a package of
your own that is named by an entry point (group ``stemma.recipes``). It brings config, data, model, loss, batches,
monitoring and evaluation; the loop, order, checkpoints, preflight and gate are the same for all. Its modules import
torch inside functions, or are imported inside functions.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from assets_data.lineage import ConfigError, Snapshot, Store
from assets_data.plugins import load_offers
from assets_data.stage import Input, Stage
from training import recipes
from training.config import Problem
from training.config import problems as train_problems

if TYPE_CHECKING:
    import pyarrow as pa  # pyright: ignore[reportMissingTypeStubs]
    from torch import Tensor, nn

    from training.order import OrderKind

STAGES = ("preflight_report", "checkpoint", "gate_report")
"""What every recipe makes, in this order; see ``training.stages.recipe_stages``."""


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
        """Names and ids of every snapshot that was read besides the manifest: those that hold the rows, and what else
        decides the result (a tokenizer, an encoder's checkpoint). For the run's fingerprint and the receipts."""
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
    tables: Mapping[str, pa.Table] = field(default_factory=dict[str, Any])  # pyright: ignore


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One number the gate judges: ``value`` over ``checks`` trials against the registered threshold of that name.

    It passes when it is above the threshold, or below it where ``direction`` says so (a loss, an error). ``hits`` is
    set for proportions and gives the interval; any other measurement may bring its own. No checks: undetermined.
    """

    name: str
    threshold: str
    value: float
    checks: int
    hits: int | None = None
    interval: tuple[float, float] | None = None
    direction: Literal["above", "below"] = "above"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What a recipe measured on a checkpoint: what is judged, and what is reported beside it."""

    measurements: Sequence[Measurement]
    scalars: Mapping[str, Any]
    tables: Mapping[str, Sequence[Mapping[str, Any]]]
    summary: Sequence[str]


class Recipe:
    """The promises a recipe makes to the loop and to its stages, with what most recipes do where they say nothing.

    A recipe must have ``name``, ``presets`` (name to a function that gives a full config; ``demo`` is taken where no
    preset is asked for, else the first), ``config_type`` (frozen dataclass with a field ``train: TrainConfig``),
    ``inputs``, and the methods that raise NotImplementedError here.

    ``inputs`` are the snapshots it reads, by the name under which its methods get them: a domain's manifest, a table,
    another recipe's checkpoint, as in ``{"manifest": One("text/dataset_manifest")}``. ``derived`` are stages of its own
    that come between those and the preflight, such as a table that a model makes; they may be inputs too. ``item`` is
    what throughput counts, ``task`` what model cards say (a task name of the Hugging Face hub), ``needs`` the import
    names of further packages, which the preflight requires.

    Optional members, None where a recipe does without:

    - ``items(batch) -> int``: how many items ``loss`` is a mean of, such as labels that are not ignored. Weighs
      micro-batches and validation batches; without it all rows weigh the same.
    - ``states(model, config, batch) -> {name: (predicted_ND, target_ND)}``: vectors for the collapse monitor.
    - ``generate(model, inputs, prompt_ids, sampling) -> ids``: the answer to one prompt, without specials, for ``stemma
      generate``; ``inputs["tokenizer"]`` is then the id of a tokenizer's snapshot, or ``generation.BYTES``.
    - ``order(config) -> OrderKind``: another order than the uniform one; the data then offers ``order_values``,
      float64[n], which are the values of the column that the kind names.
    - ``export(checkpoint, folder)``: add what other programs need to an export folder.

    A model may offer ``checkpoint_gradients()``, which makes it recompute activations in the backward pass; without it
    ``train.gradient_checkpointing`` is refused.
    """

    name: str
    presets: Mapping[str, Callable[[], Any]]
    config_type: type
    inputs: Mapping[str, Input] = {}
    derived: Sequence[Stage] = ()
    needs: Sequence[str] = ()
    item: str = "rows"
    task: str = "other"
    items: Callable[..., int] | None = None
    states: Callable[..., Any] | None = None
    generate: Callable[..., Any] | None = None
    order: Callable[..., OrderKind] | None = None
    export: Callable[..., Any] | None = None

    @property
    def package(self) -> str:
        """The package whose source, with all that it imports, is this recipe's code."""
        return type(self).__module__.rpartition(".")[0] or type(self).__module__

    def check(self, config: Any) -> Iterator[Problem]:
        """Every contradiction in the config alone."""
        return train_problems(config.train)

    def open_data(self, store: Store, inputs: Mapping[str, Snapshot], config: Any) -> Data:
        """The data of the inputs, verified and opened. Raises DataError when an input lacks a member."""
        raise NotImplementedError

    def inspect(self, data: Any, config: Any) -> Findings:
        """What data and config say together: issues, and the evaluation fixed before training."""
        raise NotImplementedError

    def model_inputs(self, data: Any, config: Any) -> Mapping[str, Any]:
        """The sizes the model takes from the data; with the config, all that is needed to build it."""
        raise NotImplementedError

    def build_model(self, config: Any, inputs: Mapping[str, Any]) -> nn.Module:
        """A freshly initialised model, drawn from torch's generator. ``inputs`` are what ``model_inputs`` gave."""
        raise NotImplementedError

    def batch(self, data: Any, config: Any, rows: np.ndarray, epochs: np.ndarray) -> dict[str, Tensor]:
        """CPU tensors of these rows of ``data``, which is the training data or its ``validation``.

        Anything random here is keyed by (seed, epoch, row key).
        """
        raise NotImplementedError

    def loss(self, model: nn.Module, config: Any, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Scalars, each a mean over the batch's items: ``loss`` is minimised, the others are logged."""
        raise NotImplementedError

    def monitor(self, model: nn.Module, data: Any, config: Any) -> dict[str, float]:
        """Held-out measurements for the curves, on other prompts than the gate's. Changes no training state."""
        return {}

    def evaluate(self, model: nn.Module, data: Any, config: Any, preflight: Snapshot) -> Evaluation:
        """The registered evaluation, on the tables the preflight snapshot holds."""
        raise NotImplementedError


def fixed_members(data: Data) -> dict[str, str]:
    """The snapshots that training reads besides the rows: a tokenizer, an encoder, a state table. Another one of them
    makes another run, whatever the rows are."""
    tables = {table.snapshot for table in data.tables}
    return {name: key for name, key in data.members.items() if key not in tables}


def discover() -> dict[str, Recipe]:
    """Every sound recipe by name: those of the tree, then those of installed packages."""
    return _found()[0]


def broken_recipes() -> dict[str, str]:
    """Recipes that were left out, and why: one broken plug-in never takes the others with it."""
    return _found()[1]


@functools.cache
def _found() -> tuple[dict[str, Recipe], dict[str, str]]:
    offers: list[tuple[str, Callable[[], Any]]] = [
        (info.name, functools.partial(_in_tree, info.name)) for info in pkgutil.iter_modules(recipes.__path__)
    ]
    offers += [(entry.name, entry.load) for entry in entry_points(group="stemma.recipes")]
    return load_offers(offers, check_recipe, Recipe)


def check_recipe(recipe: Recipe) -> Iterator[str]:
    """Every rule of a recipe that this one breaks."""
    missing = [name for name in ("name", "presets", "config_type") if not getattr(recipe, name, None)]
    yield from (f"it has no {name}" for name in missing)
    required = ("open_data", "inspect", "model_inputs", "build_model", "batch", "loss", "evaluate")
    inherited = [name for name in required if getattr(type(recipe), name) is getattr(Recipe, name)]
    yield from (f"it does not define {name}" for name in inherited)
    for name, make in recipe.presets.items() if not missing else ():
        if not isinstance(make(), recipe.config_type):
            yield f"its preset {name} gives no {recipe.config_type.__name__}"
    if not recipe.inputs:
        yield "it reads nothing: inputs is empty"
    for stage in recipe.derived if not missing else ():
        if stage.owner != recipe.name:
            yield f"its stage {stage.kind} does not begin with {recipe.name}/"


def find_recipe(name: str) -> Recipe:
    """The recipe of that name. Raises ConfigError RECIPE_UNKNOWN listing the names, with why one was left out."""
    if (recipe := discover().get(name)) is None:
        why = broken_recipes().get(name)
        what = f"this recipe was left out: {why}" if why else "no such recipe"
        raise ConfigError("RECIPE_UNKNOWN", what, expected=f"one of {sorted(discover())}", found=name)
    return recipe


def _in_tree(name: str) -> Any:
    return getattr(importlib.import_module(f"{recipes.__name__}.{name}"), "RECIPE", None)
