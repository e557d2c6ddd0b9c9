"""Whether declarations say what the functions they name say. Runs no stage."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Iterator
from typing import Any

from assets_data.domain import Domain
from assets_data.lineage import StemmaError, to_dict
from assets_data.lineage.receipts.code import code_version
from assets_data.stage import Stage, load

GIVEN = {"store", "config", "slice_name", "inputs"}
"""What a stage's function may take beside its inputs and what is bound; ``inputs`` is all of them, by name."""


def domain_declarations(domain: Domain) -> Iterator[str]:
    """Everything that a domain names loads, and every stage is declared as its function is written."""
    members = ("slices", "standing", "grown", "recorded", "preview", "find", "carried", "tally", "alike", "embed")
    addresses = {name: getattr(domain, name) for name in members}
    addresses |= {"commands": f"{domain.commands}:add_parsers" if domain.commands else ""}
    addresses |= {f"job {job.name}": job.run for job in domain.jobs}
    yield from _addresses(domain.name, addresses)
    yield from stage_declarations(domain.stages)


def stage_declarations(stages: Iterable[Stage]) -> Iterator[str]:
    """The same for stages alone, a recipe's derived ones, too."""
    for stage in stages:
        addresses = {name: getattr(stage, name) for name in ("make", "schema", "without", "now", "figures")}
        addresses |= {f"check {check.name}": check.run for check in stage.checks}
        parts = {name: given.part for name, given in stage.inputs.items() if given.part}
        addresses |= {f"digest of {name}": part.digest for name, part in parts.items()}
        addresses |= {f"changes of {name}": part.changes for name, part in parts.items()}
        problems = list(_addresses(stage.kind, addresses))
        yield from problems
        if not problems and not stage.on_request:  # what is asked for by hand is called by hand
            yield from _signature(stage)
        yield from _code(stage)
        yield from _presets(stage)
        if not stage.schema and not stage.unchecked:
            yield f"{stage.kind}: it has no schema, and `unchecked` does not say why"


def _addresses(owner: str, addresses: dict[str, str]) -> Iterator[str]:
    for what, address in addresses.items():
        try:
            if address and not callable(load(address)):
                yield f"{owner}: {what} = {address!r} is no function"
        except StemmaError as error:
            yield f"{owner}: {what}: {error}"


def _signature(stage: Stage) -> Iterator[str]:
    parameters = inspect.signature(load(stage.make)).parameters
    needed = {name for name, parameter in parameters.items() if parameter.default is parameter.empty}
    declared = {*stage.inputs, *stage.bind}
    if unknown := sorted(needed - declared - GIVEN):
        yield f"{stage.kind}: its function needs {unknown}, which is not declared"
    if "inputs" not in parameters and (unread := sorted(declared - set(parameters))):
        yield f"{stage.kind}: {unread} is declared, and its function does not take it"
    if ("config" in parameters) != (stage.presets is not None):
        yield f"{stage.kind}: it must have presets if, and only if, its function takes a config"
    if "slice_name" in parameters and not stage.sliced:
        yield f"{stage.kind}: only a sliced stage is told its slice_name"
    if "slice_name" not in parameters and stage.source and stage.sliced:
        yield f"{stage.kind}: a sliced source needs its slice_name"


def _code(stage: Stage) -> Iterator[str]:
    try:
        code_version(*stage.code)
    except StemmaError as error:
        yield f"{stage.kind}: {error}"


def _presets(stage: Stage) -> Iterator[str]:
    for name in stage.presets or {}:
        config = stage.resolve(name, {})
        lacking = [section for section in stage.sections if not hasattr(config, section)]
        if lacking:
            yield f"{stage.kind}: its config has no section {lacking}"
            continue
        recorded = json.loads(json.dumps(stage.receipt_config(config)))
        if _again(stage, recorded) != recorded:
            yield f"{stage.kind}: preset {name} is not the same once it was read from a receipt"


def _again(stage: Stage, recorded: dict[str, Any]) -> Any:
    config = stage.replay_config(recorded)
    return json.loads(json.dumps(stage.receipt_config(config))) if to_dict(config) else None
