"""Rules that stages, domains and recipes keep, asked of their declarations alone: nothing that they name is imported.

One that breaks a rule is left out and named (:mod:`assets_data.plugins`). Whoever reads a declaration can then rely on
it: names that Dagster takes, presets of one config type, modules that are there.
"""

from __future__ import annotations

import keyword
import re
import typing
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from assets_data.lineage.queries.reach import EVERYTHING, NOTHING, ROWS, SPLIT
from assets_data.lineage.receipts.code import has_source
from assets_data.stage import Input, Stage

_NAME = r"[A-Za-z][A-Za-z0-9_]{0,99}"
_OPTIONAL = ("schema", "without", "now", "figures")  # functions that a stage may do without

_Presets = Mapping[str, Callable[[], object]]


def is_plain(name: Any) -> bool:
    """Whether it can name a domain, a stage, a check or a job: letters, digits and underscores."""
    return isinstance(name, str) and re.fullmatch(_NAME, name) is not None


def stage_problems(stage: Stage) -> Iterator[str]:
    """Every rule of a stage that this one breaks, by itself."""
    if not re.fullmatch(f"{_NAME}/{_NAME}", stage.kind):
        yield f"{stage.kind!r} is no kind such as text/triples"
        return
    kept = (NOTHING, ROWS, EVERYTHING)
    if stage.learns not in kept and not (stage.learns.startswith(SPLIT) and stage.learns != SPLIT):
        yield f"{stage.kind} learns {stage.learns!r}, which is none of {', '.join(kept)} and learns_from(split)"
    named = [check.name for check in stage.every_check]
    yield from (f"{stage.kind} has a check called {name!r}" for name in named if not is_plain(name))
    yield from (f"{stage.kind} has two checks called {name}" for name in twice(named))
    yield from (f"{stage.kind} {problem}" for problem in argument_problems(stage.inputs))
    for module in stage.modules:
        if not has_source(module):
            yield f"{stage.kind} names the module {module}, which is not there"
    yield from (f"{stage.kind} {problem}" for problem in address_problems(_addresses(stage), _OPTIONAL))
    yield from (f"{stage.kind} {problem}" for problem in preset_problems(stage.presets))
    if not isinstance(stage.presets, Mapping) or not stage.presets:
        return
    config = next(iter(stage.presets.values()))()
    yield from (f"{stage.kind} reads the section {name}, which its config lacks" for name in _lacking(stage, config))


def input_problems(stage: Stage, sliced: Mapping[str, bool]) -> Iterator[str]:
    """What a stage reads against what there is: ``sliced`` says of every kind that is made whether it has slices."""
    for given in stage.inputs.values():
        if given.kind not in sliced:
            yield f"nothing makes what it reads: {given.kind}"
        elif given.many and not sliced[given.kind]:
            yield f"{stage.kind} reads many {given.kind}, of which there is one"
        elif not given.many and sliced[given.kind] and not stage.sliced:
            yield f"{stage.kind} reads one {given.kind}, of which there is one for each slice"


def argument_problems(inputs: Mapping[str, Input], *taken: str) -> Iterator[str]:
    """Inputs are arguments of the stage's function, beside those that every stage gets and the ones ``taken``."""
    for name in inputs:
        free = name.isidentifier() and not keyword.iskeyword(name)
        if not free or name in ("store", "config", "slice_name", "inputs", *taken):
            yield f"reads something as {name!r}, which cannot name an argument"


def preset_problems(presets: Any) -> Iterator[str]:
    """Presets are functions by name that give frozen dataclasses of one type; None where there is no config."""
    if presets is None:
        return
    if not isinstance(presets, Mapping) or not presets:
        yield "has presets that are no mapping from at least one name to a function"
        return
    types = {type(make()) for make in typing.cast(_Presets, presets).values()}
    if len(types) > 1:
        yield f"has presets of several types: {', '.join(sorted(kind.__name__ for kind in types))}"
    for kind in types:
        parameters = getattr(kind, "__dataclass_params__", None)
        if parameters is None or not parameters.frozen:
            yield f"has a preset that gives no frozen dataclass but a {kind.__name__}"


def address_problems(addresses: Mapping[str, str], optional: Collection[str] = ()) -> Iterator[str]:
    """Addresses ``module:function``, by what each is for, whose module is not there; ``optional`` ones may be empty."""
    for what, address in addresses.items():
        module, colon, name = address.partition(":")
        if (address or what not in optional) and not (module and colon and name.isidentifier() and has_source(module)):
            yield f"names {address!r} as {what}, which is not there"


def twice(names: Iterable[str]) -> list[str]:
    """What is among them more than once."""
    return [name for name, count in Counter(names).items() if count > 1]


def _addresses(stage: Stage) -> dict[str, str]:
    own = {name: getattr(stage, name) for name in ("make", *_OPTIONAL)}
    checks = {f"the check {check.name}": check.run for check in stage.checks}
    parts = {name: given.part for name, given in stage.inputs.items() if given.part}
    digests = {f"the part of {name}": part.digest for name, part in parts.items()}
    return {**own, **checks, **digests, **{f"changes of {name}": part.changes for name, part in parts.items()}}


def _lacking(stage: Stage, config: Any) -> list[str]:
    asked = [*stage.sections, *([stage.pin] if stage.pin else [])]
    return [path for path in asked if not _has(config, path)]


def _has(config: Any, path: str) -> bool:
    for name in path.split("."):
        if not hasattr(config, name):
            return False
        config = getattr(config, name)
    return True
