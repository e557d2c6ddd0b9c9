"""What a stage is: one declaration that every reader of the chain goes by.

A stage makes one kind of snapshot. Its declaration names the function that makes it, what the function reads, its
config, and what it learns from records. The Dagster asset, ``stemma run``, ``status``, ``rebuild``, ``withdraw``,
``uses``, the checks and the docs are read from it; none of them knows a stage by name. Declaring imports nothing heavy:
functions are named as ``module:function`` and imported when they are called.

    Stage(
        kind="text/triples",
        make="assets_data.domains.text.triples:make_triples",
        inputs={"documents": One("text/documents"), "tokenizer": One("text/tokenizer"), "drops": One("text/drops")},
        sliced=True, presets=TEXT, sections=("triples",), learns=ROWS,
    )
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from assets_data.lineage import ConfigError, Snapshot, Store, from_recorded, read_sections, resolve
from assets_data.lineage.queries.reach import EVERYTHING, NOTHING, ROWS, SPLIT

__all__ = [
    "EVERYTHING",
    "NOTHING",
    "ROWS",
    "Check",
    "Input",
    "Many",
    "One",
    "Outcome",
    "Part",
    "Stage",
    "learns_from",
    "load",
]


def learns_from(split: str) -> str:
    """The stage learns from the records of one split only and names none: a tokenizer, a graph.

    The other answers to what a stage learns: ``ROWS``, its tables name the records they were made from, and who is not
    named there is not in it; ``NOTHING``, it names or counts what it reads (a manifest, a report); ``EVERYTHING``, it
    may have learned from every record it read, and names none.
    """
    return f"{SPLIT}{split}"


@dataclass(frozen=True, slots=True)
class Part:
    """The part of an input that counts for one slice, by two functions named as ``module:function``.

    - ``digest(read, slice_name) -> str``: the same for two snapshots whose part is the same. The stage's own function
      hands it to ``Store.run_stage``, so that a slice is not made again while its part stays as it is.
    - ``changes(read, own, records) -> bool``: whether taking records out of ``read`` changes the part for the snapshot
      ``own``.
    """

    digest: str
    changes: str


@dataclass(frozen=True, slots=True)
class Input:
    """A kind of snapshot that a stage reads: one of it, or (``many``) those of every slice at hand, by slice name.

    ``part`` is set where only a part of what is read counts.
    """

    kind: str
    many: bool = False
    part: Part | None = None


def One(kind: str, part: Part | None = None) -> Input:
    """One snapshot of a kind; for a sliced stage that reads a sliced one, that of the same slice."""
    return Input(kind, part=part)


def Many(kind: str) -> Input:
    """The snapshots of every slice at hand, as a mapping from slice name."""
    return Input(kind, many=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a check found: whether it passed, numbers beside, and the first failures for people.

    One that did not pass and is a ``warning`` is shown and blocks nothing.
    """

    passed: bool
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])
    failures: Sequence[Mapping[str, Any]] = ()
    warning: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A promise about what a stage made: ``module:function(store, snapshot) -> Outcome``. It blocks what is below."""

    name: str
    run: str
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One declaration. ``kind`` is the snapshot's kind and the asset's key: ``domain/stage`` or ``recipe/stage``.

    ``sections`` are the parts of the config that the stage reads and its receipt holds; none: all of it. ``source``
    stages read from outside; a ``sliced`` stage is told its ``slice_name`` where its function takes it. ``pin`` names
    a config field: once made, the stage's snapshot is returned whatever its inputs become, until that field asks for
    another. ``bind`` are constants for the function. ``without`` is ``module:function(writer, snapshot, records)``, the
    stage's own way to leave records out, and ``now`` is ``module:function(config, arguments)``, what its source would
    make of its arguments today. ``figures`` is ``module:function(snapshot) -> {title: PNG}``. A stage ``on_request`` is
    no asset. ``unchecked`` says why it has no schema.
    """

    kind: str
    make: str
    says: str
    inputs: Mapping[str, Input] = field(default_factory=dict[str, Input])
    sliced: bool = False
    source: bool = False
    presets: Mapping[str, Callable[[], Any]] | None = None
    sections: tuple[str, ...] = ()
    learns: str = EVERYTHING
    schema: str = ""
    unchecked: str = ""
    checks: tuple[Check, ...] = ()
    modules: tuple[str, ...] = ()
    pin: str = ""
    bind: Mapping[str, Any] = field(default_factory=dict[str, Any])
    without: str = ""
    now: str = ""
    figures: str = ""
    tags: tuple[str, ...] = ()
    pool: str = ""
    on_request: bool = False

    @property
    def owner(self) -> str:
        """The domain or recipe that the stage belongs to."""
        return self.kind.partition("/")[0]

    @property
    def name(self) -> str:
        """The kind without its owner: ``triples``."""
        return self.kind.partition("/")[2]

    @property
    def code(self) -> tuple[str, ...]:
        """The modules whose source, with all that they import, decides what the stage makes."""
        return self.modules or (self.make.partition(":")[0],)

    @property
    def every_check(self) -> tuple[Check, ...]:
        """Its schema as a check, and the checks it lists."""
        says = "Schemas on whole columns of every table."
        return (*((Check(name="schema", run=self.schema, says=says),) if self.schema else ()), *self.checks)

    def call(
        self, store: Store, inputs: Mapping[str, Any], config: Any = None, slice_name: str = "", **further: Any
    ) -> Snapshot:
        """Make the snapshot, or find it made. Inputs that the stage may do without can be left out."""
        function = load(self.make)
        if store.builder:
            store = dataclasses.replace(store, builder=store.builder.of(self, inputs, config, slice_name, further))
        own = {"store": store, "config": config, "slice_name": slice_name, "inputs": inputs}
        offered = {**own, **inputs, **self.bind, **further}
        return function(**{name: offered[name] for name in _parameters(function) if name in offered})

    @property
    def config_type(self) -> type[Any]:
        """The class of its config."""
        config: object = (self.presets or {})[self.default_preset()]()
        return type(config)

    def reads(self, field: str) -> bool:
        """Whether a dotted field of its config lies in a section that the stage reads."""
        return not self.sections or field.partition(".")[0] in self.sections

    def default_preset(self, wanted: str = "demo") -> str:
        """``wanted`` where the stage has it, else ``demo``, else its first."""
        presets = self.presets or {}
        return next((name for name in (wanted, "demo", *presets) if name in presets), "")

    def resolve(self, preset: str, overrides: Mapping[str, Any]) -> Any:
        """The full config a run asked for; None for a stage that takes none."""
        return None if self.presets is None else resolve(self.presets, preset, overrides)

    def receipt_config(self, config: Any) -> Mapping[str, Any]:
        """What of a full config the stage's receipt holds; a field that asks for another pinned one is no part."""
        chosen = {} if config is None else read_sections(config, self.sections)
        if self.pin:
            section, _, name = self.pin.rpartition(".")
            chosen = {**chosen, section: {**chosen[section], name: False}}
        return chosen

    def replay_config(self, recorded: Mapping[str, Any]) -> Any:
        """The full config again, from what a receipt holds; a pinned stage is asked for another one.

        Raises ConfigError where what the receipt holds is no config of this stage.
        """
        if self.presets is None:
            return None
        section, _, name = self.pin.rpartition(".")
        if isinstance(chosen := recorded.get(section), Mapping):
            recorded = {**recorded, section: {**chosen, name: True}}
        return from_recorded(self.config_type, recorded)


@functools.cache
def _parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(inspect.signature(function).parameters)


def load(address: str) -> Any:
    """What ``module:name`` names. Raises ConfigError STAGE_ADDRESS where it names nothing."""
    module, _, name = address.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigError("STAGE_ADDRESS", f"cannot import what a stage names: {error}", found=address) from error
