"""What a recipe is, and which recipes there are. Needs no torch, so names, presets and stages load in milliseconds.

A recipe is a folder ``training/recipes/<name>/`` whose ``__init__`` offers ``RECIPE``, or an object in a package of
your own that is named by an entry point (group ``stemma.recipes``). It brings config, data, model, loss, batches,
monitoring and evaluation; the loop, order, checkpoints, preflight and gate are the same for all. Its modules import
torch inside functions, or are imported inside functions. Its code, for receipts and staleness, is its whole package
and what that imports of Stemma.

A recipe on the triples of text derives from ``training.tokens.CausalRecipe`` or ``TokenRecipe``, which define all but
the model; ``examples/causal_lm`` is a whole one in a package of its own.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

import numpy as np

from assets_data.lineage import ConfigError, Snapshot, Store
from assets_data.lineage.receipts.code import has_source
from assets_data.plugins import load_offers
from assets_data.soundness import address_problems, argument_problems, is_plain, preset_problems, stage_problems, twice
from assets_data.stage import Input, Stage
from training import recipes
from training.config import TrainConfig
from training.config import problems as train_problems
from training.data import Data
from training.findings import Evaluation, Findings, Issue

if TYPE_CHECKING:
    from torch import Tensor, nn

    from training.order import OrderKind

STAGES = ("preflight_report", "checkpoint", "gate_report")
"""What every recipe makes, in this order; see :func:`training.recipe_stages.recipe_stages`."""
PROMOTED = "promoted_checkpoint"
"""The choice of one of them for use: a snapshot without settings of its own."""


def is_training(stage: Stage) -> bool:
    """Whether the stage is a recipe's checkpoint."""
    return "recipe" in stage.bind and stage.kind == f"{stage.bind['recipe'].name}/{STAGES[1]}"


@dataclass(frozen=True, slots=True)
class Loading:
    """How an export folder's model is loaded: the library's name on the Hugging Face hub, and lines of Python that are
    run in the folder and leave the model in ``model``. For the model card.
    """

    library: str
    code: str


class Recipe:
    """The promises a recipe makes to the loop and to its stages, with what most recipes do where they say nothing.

    A recipe must have ``name``, ``presets``, ``config_type``, ``inputs`` and the methods that are abstract here.
    ``presets`` maps names to functions that give a full config. There must be one, whatever its name; ``demo`` is taken
    where none is asked for, and where there is no ``demo``, the first. ``config_type`` is a frozen dataclass; its field
    ``train`` is a ``training.config.TrainConfig``, from which the loop reads all it does (updates, batch, optimizer,
    schedule, precision, intervals, seed), so a preset sets those there. Every other field of the config is the
    recipe's own, the loss over tokens among them (``training.tokens.TokenLoss``).

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
    - ``remarks(model, inputs, prompt_ids) -> {name: value}``: what ``stemma generate`` says beside such an answer, such
      as how many steps it took; JSON.
    - ``embed(model, config, model_inputs, rows) -> float32[n, D]``: vectors of rows that its domain read from a file,
      for ``stemma embed``.
    - ``begin(model, data)``: put into a new model what it begins from, such as the weights of an input that is another
      recipe's checkpoint. Called once, before the first update of a run that begins anew.
    - ``scorer(store, checkpoint) -> (rows) -> {name: float64[N]}``: scores of rows that are in no table, made by the
      domain that the recipe reads, such as the alleles of a file; for that domain's own commands.
    - ``order(config) -> OrderKind``: another order than the uniform one; the data then offers ``order_values``,
      float64[n], which are the values of the column that the kind names.
    - ``export(checkpoint, folder) -> Loading``: write a published checkpoint's model into an export folder as another
      library loads it, and say how. The checkpoint's own files then lie in ``folder/checkpoint``, and tokenizer files
      in ``folder``. Without it they lie in ``folder`` and are loaded with this recipe's own code.

    - ``after_step(model, config, update)``: what follows an optimizer step outside any gradient, such as moving
      averages; it is part of no loss, so measuring changes nothing. It keeps its state in the model's buffers,
      which a pass must leave alone where ``train.lanes`` is more than 1.
    - ``figures``: ``module:function(gate_report) -> {title: PNG}``: what the UI shows of a verdict besides its curves.

    A model may offer ``parameter_groups()``: a list of ``{"params": [...], "rate": share of the run's rate}`` that
    holds every trained parameter once. It may offer ``checkpoint_gradients()``, which makes it recompute activations in
    the backward pass; without it ``train.gradient_checkpointing`` is refused. And ``shard_units()``, modules that a
    pass calls exactly once: where the model is cut over processes, each is put together only while it runs.
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
    remarks: Callable[..., dict[str, Any]] | None = None
    embed: Callable[..., Any] | None = None
    begin: Callable[..., None] | None = None
    scorer: Callable[..., Any] | None = None
    order: Callable[..., OrderKind] | None = None
    export: Callable[..., Loading] | None = None
    after_step: Callable[..., None] | None = None
    figures: str = ""

    @property
    def package(self) -> str:
        """The package whose source, with all that it imports, is this recipe's code."""
        return type(self).__module__.rpartition(".")[0] or type(self).__module__

    @property
    def in_tree(self) -> bool:
        """Whether it is one of Stemma's own."""
        return type(self).__module__.startswith(f"{recipes.__name__}.")

    def check(self, config: Any) -> Iterator[Issue]:
        """Every contradiction in the config alone; those of ``config.train`` are found here."""
        return (Issue.error(*problem) for problem in train_problems(config.train))

    @abstractmethod
    def open_data(self, store: Store, inputs: Mapping[str, Snapshot], config: Any) -> Data:
        """The data of the inputs, verified and opened. Raises DataError when an input lacks a member."""
        raise NotImplementedError

    @abstractmethod
    def inspect(self, data: Any, config: Any) -> Findings:
        """What data and config say together: issues, and the evaluation fixed before training."""
        raise NotImplementedError

    @abstractmethod
    def model_inputs(self, data: Any, config: Any) -> Mapping[str, Any]:
        """What the model takes from the data, as JSON; with the config, all that is needed to build it again without
        the data. It is registered by the preflight and lies beside the weights.
        """
        raise NotImplementedError

    @abstractmethod
    def build_model(self, config: Any, inputs: Mapping[str, Any]) -> nn.Module:
        """A freshly initialised model, drawn from torch's generator. ``inputs`` are what ``model_inputs`` gave."""
        raise NotImplementedError

    @abstractmethod
    def batch(self, data: Any, config: Any, rows: np.ndarray, epochs: np.ndarray) -> dict[str, Tensor]:
        """CPU tensors of these rows of ``data``, which is what ``open_data`` gave or its ``validation``, see ``Rows``.

        ``rows`` and ``epochs`` are int64[B]: row numbers, and the epoch each is taken in (0 in validation). Anything
        random here is keyed by (seed, epoch, row key).
        """
        raise NotImplementedError

    @abstractmethod
    def loss(self, model: nn.Module, config: Any, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Scalars, each a mean over the batch's items: ``loss`` is minimised, the others are logged."""
        raise NotImplementedError

    def monitor(self, model: nn.Module, data: Any, config: Any) -> dict[str, float]:
        """Held-out measurements for the curves besides the validation loss, on other rows or prompts than the gate's.

        Optional: an empty mapping, as here, writes nothing to the log. Changes no training state.
        """
        return {}

    @abstractmethod
    def evaluate(self, model: nn.Module, data: Any, config: Any, preflight: Snapshot) -> Evaluation:
        """The registered evaluation, on the rows or prompts in the preflight snapshot's tables.

        That the snapshot is the registered one, byte for byte, has been checked by then. That row numbers in it still
        mean the registered rows is for this method to check, by their keys (``TokenRecipe`` does): raise GateError
        GATE_OTHER_ROWS where they do not. Tables that hold the prompts themselves need no such check.
        """
        raise NotImplementedError


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
    members = ((name, getattr(type(recipe), name)) for name in dir(type(recipe)))
    abstract = [name for name, member in members if getattr(member, "__isabstractmethod__", False)]
    yield from (f"it does not define {name}" for name in abstract)
    if missing:
        return
    yield from _own_problems(recipe)
    yield from (problem for stage in recipe.derived for problem in stage_problems(stage))
    kinds = [*(stage.kind for stage in recipe.derived), *(f"{recipe.name}/{stage}" for stage in (*STAGES, PROMOTED))]
    yield from (f"two stages make {kind}" for kind in twice(kinds))
    if not recipe.inputs:
        yield "it reads nothing: inputs is empty"
    for name, given in recipe.inputs.items():
        if given.many:
            yield f"its input {name} is the {given.kind} of many slices; a recipe reads single snapshots"
    for stage in recipe.derived:
        if stage.owner != recipe.name:
            yield f"its stage {stage.kind} does not begin with {recipe.name}/"
        if stage.sliced and all(given.many for given in stage.inputs.values()):
            yield f"its stage {stage.kind} is made slice by slice and reads nothing of one slice"


def _own_problems(recipe: Recipe) -> Iterator[str]:
    """Name, presets, and what it names besides its stages."""
    if not is_plain(recipe.name):
        yield f"{recipe.name!r} is no name: letters, digits and underscores"
    if not has_source(recipe.package):
        yield f"its package {recipe.package} has no source to be hashed"
    yield from (f"it {problem}" for problem in preset_problems(recipe.presets))
    yield from (f"it {problem}" for problem in address_problems({"figures": recipe.figures}, ["figures"]))
    yield from (f"it {problem}" for problem in argument_problems(recipe.inputs, "recipe", "preflight", "checkpoint"))
    if isinstance(recipe.needs, str):
        yield f"needs is the single word {recipe.needs!r}, not a sequence of import names"
    for name, make in recipe.presets.items():
        if not isinstance(config := make(), recipe.config_type):
            yield f"its preset {name} gives no {recipe.config_type.__name__}"
        elif not isinstance(getattr(config, "train", None), TrainConfig):
            yield f"its preset {name} has no train that is a TrainConfig"


def find_recipe(name: str) -> Recipe:
    """The recipe of that name. Raises ConfigError RECIPE_UNKNOWN listing the names, with why one was left out."""
    if (recipe := discover().get(name)) is None:
        why = broken_recipes().get(name)
        what = f"this recipe was left out: {why}" if why else "no such recipe"
        raise ConfigError("RECIPE_UNKNOWN", what, expected=f"one of {sorted(discover())}", found=name)
    return recipe


def _in_tree(name: str) -> Any:
    return getattr(importlib.import_module(f"{recipes.__name__}.{name}"), "RECIPE", None)
