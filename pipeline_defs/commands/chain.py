"""The whole chain in one process: a recipe's stages and all their ancestors. What ``stemma run`` does.

Each step is an ordinary Dagster run on the instance, so the UI shows it; nothing here knows what a stage computes.
Stages that can go together share a run: those of one slice, then those over all slices.
"""

from __future__ import annotations

import dataclasses
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from assets_data.domain import Domain
from assets_data.lineage import ConfigError, StemmaError, Store
from assets_data.stage import Stage, load
from pipeline_defs.catalogue import Catalogue, catalogue
from pipeline_defs.commands.passed import Passed
from pipeline_defs.commands.settings import Settings, stage_overrides
from pipeline_defs.dagster import tags
from pipeline_defs.dagster.chain_jobs import job_of
from pipeline_defs.dagster.partitions import set_name
from pipeline_defs.dagster.resources import StoreResource
from pipeline_defs.dagster.runs import execute
from pipeline_defs.definitions import defs
from pipeline_defs.inputs import stage_name, write_slice_set


class ChainFailure(Exception):
    """A step of the chain failed; the message is that step's own error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """A recipe's stages, parents first; the run config of each; and notes on presets that some stages lack."""

    recipe: str
    preset: str
    stages: Sequence[Stage]
    ops: Mapping[str, Mapping[str, Any]]
    notes: Sequence[str]
    id: str = dataclasses.field(default_factory=lambda: uuid.uuid4().hex[:12])

    @property
    def tags(self) -> dict[str, str]:
        """What every run of the chain is tagged with."""
        return {tags.CHAIN: self.id, tags.RECIPE: self.recipe, tags.PRESET: self.preset, tags.COMMAND: "run"}

    def config(self, stage: Stage) -> Any:
        """The full config of a stage; None for one that takes none."""
        if stage.presets is None:
            return None
        chosen = self.ops[_op(stage)]["config"]
        return stage.resolve(chosen["preset"], chosen["overrides"])


@dataclass(frozen=True, slots=True)
class Wave:
    """Stages that go together in one run per slice, or (``domain`` None) in one run."""

    domain: str | None
    stages: Sequence[Stage]


def plan_chain(recipe: str, preset: str, settings: Settings) -> Chain:
    """The chain of a recipe: the preset where a data stage has it, else its default one, which is said.

    Raises ConfigError for a recipe, stage or field that does not exist and for a preset that the recipe does not have,
    before anything runs.
    """
    presets = catalogue().recipe(recipe).presets
    if preset not in presets:
        raise ConfigError(
            "CHAIN_UNKNOWN_PRESET", f"{recipe} has no such preset", expected=sorted(presets), found=preset
        )
    return plan_stages(recipe, [f"{recipe}/gate_report"], preset, settings)


def plan_stages(label: str, kinds: Iterable[str], preset: str, settings: Settings) -> Chain:
    """The same for any kinds and all their ancestors; runs are tagged with ``label``."""
    known = catalogue()
    stages = known.above(kinds)
    overrides = stage_overrides(settings, stages)
    chosen = {kind: known.stage(kind).default_preset(preset) for kind in overrides}
    notes = [f"{kind} has no preset {preset}: {name}" for kind, name in chosen.items() if name != preset]
    ops = {
        _op(known.stage(kind)): {"config": {"preset": chosen[kind], "overrides": fields}}
        for kind, fields in overrides.items()
    }
    chain = Chain(recipe=label, preset=preset, stages=stages, ops=ops, notes=notes)
    for kind in overrides:
        chain.config(known.stage(kind))
    return chain


def run_chain(instance: dg.DagsterInstance, chain: Chain) -> None:
    """Materialise every stage of the chain, each slice of its own. Raises ChainFailure with the first failing step."""
    known, store = catalogue(), StoreResource().open()
    domains = {domain.name: domain for stage in chain.stages if (domain := known.sliced_by(stage))}
    slices = {name: _slice_names(domain, chain, store) for name, domain in domains.items()}
    for name, names in slices.items():
        instance.add_dynamic_partitions(set_name(name), names)
    digest = write_slice_set(store, slices)
    configs = {stage.kind: chain.config(stage) for stage in chain.stages}
    passed = Passed(store, known, configs, slices, instance)
    for wave in waves(known, chain.stages):
        for slice_name in slices[wave.domain] if wave.domain else [""]:
            if passed.holds(wave.stages, slice_name):
                _say("reused", wave.stages, slice_name)
                continue
            materialize(instance, chain, wave.stages, digest, slice_name, store)
            passed.note(wave.stages, slice_name)


def waves(known: Catalogue, stages: Sequence[Stage]) -> list[Wave]:
    """Stages in runs, parents first: a sliced stage goes with sliced ones of its domain until one is needed whole."""
    left, done, found = list(stages), set[str](), list[Wave]()
    while left:
        domain = next((_slices_of(known, stage) for stage in left if stage.sliced and _ready(stage, done, [])), None)
        wave: list[Stage] = []
        for stage in left:
            if _slices_of(known, stage) == domain and _ready(stage, done, wave):
                wave.append(stage)
        found.append(Wave(domain, wave))
        done |= {stage.kind for stage in wave}
        left = [stage for stage in left if stage.kind not in done]
    return found


def _slices_of(known: Catalogue, stage: Stage) -> str | None:
    """The domain by whose slices a stage is made; None for one over all slices."""
    domain = known.sliced_by(stage)
    return domain.name if domain else None


def _ready(stage: Stage, done: set[str], wave: Sequence[Stage]) -> bool:
    """Whether all that a stage reads is made, or is made before it in the same run; all slices at once are not."""
    together = {other.kind for other in wave}
    return all(given.kind in done or (given.kind in together and not given.many) for given in stage.inputs.values())


def _slice_names(domain: Domain, chain: Chain, store: Store) -> list[str]:
    return load(domain.slices)(chain.config(domain.source), store)


def _op(stage: Stage) -> str:
    return stage.kind.replace("/", "__")


def materialize(
    instance: dg.DagsterInstance, chain: Chain, stages: Sequence[Stage], digest: str, slice_name: str, store: Store
) -> None:
    """One Dagster run of some stages of a chain, for one slice or (empty) over all that the set ``digest`` names.

    Raises ChainFailure with the first failing step or blocking check.
    """
    before = {stage.kind: store.pointer(stage_name(stage, slice_name)) for stage in stages}
    started = time.monotonic()
    run_config = {
        "resources": {"store": {"config": {"slice_set": digest}}},
        "ops": {op: entry for op, entry in chain.ops.items() if op in {_op(stage) for stage in stages}},
        "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
    }
    keys = [dg.AssetKey(stage.kind.split("/")) for stage in stages]
    job = job_of(defs, keys)
    result = execute(instance, job, keys, run_config=run_config, tags=chain.tags, partition=slice_name)
    for stage in stages:
        _report(stage, before[stage.kind], store.pointer(stage_name(stage, slice_name)), slice_name)
    seconds = time.monotonic() - started
    print(
        f"  {seconds:6.1f} s  {'done' if result.success else 'FAILED'}{f'  {slice_name}' if slice_name else ''}",
        flush=True,
    )
    if not result.success:
        raise ChainFailure(_first_error(result.events))


def _say(word: str, stages: Sequence[Stage], slice_name: str) -> None:
    for stage in stages:
        print(f"           {word:<7} {stage_name(stage, slice_name)}", flush=True)


def _report(stage: Stage, before: Any, after: Any, slice_name: str) -> None:
    _say("-" if after is None else "reused" if before == after else "made", [stage], slice_name)


def _first_error(events: Iterable[dg.DagsterEvent]) -> str:
    """The first step's own error; of a failed check, what it says of itself."""
    evaluations = [
        event.asset_check_evaluation_data
        for event in events
        if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION
    ]
    for evaluation in (found for found in evaluations if not found.passed and found.blocking):
        name = evaluation.asset_check_key.to_user_string()
        return f"{name} failed: {evaluation.description or 'see its metadata'}"
    for event in events:
        if event.is_step_failure:
            return _message(event.step_failure_data.error)
        if event.is_failure and event.event_specific_data is not None:
            return event.message or "run failed"
    return "run failed"


def _message(error: Any) -> str:
    while error is not None and error.cause is not None and error.cls_name not in _OWN:
        error = error.cause
    return error.message.strip() if error is not None else "step failed"


_OWN = {cls.__name__ for cls in (StemmaError, *StemmaError.__subclasses__())}
