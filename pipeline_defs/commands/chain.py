"""The whole chain in one process: a recipe's stages and all their ancestors. What ``stemma run`` does.

The store is asked what is made already; only for the rest are Dagster runs started on the instance, so the UI shows
them; nothing here knows what a stage computes. Stages that can go together share a run: those of many slices, then
those over all slices.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from assets_data.domain import Domain
from assets_data.lineage import ConfigError, Store
from assets_data.lineage.storage.look import one_look, rarely_collected
from assets_data.lineage.storage.read_ahead import read_ahead
from assets_data.stage import Stage, load
from pipeline_defs.catalogue import Catalogue, catalogue
from pipeline_defs.commands.passed import Passed
from pipeline_defs.commands.runs import ChainFailure, ChainRuns, say
from pipeline_defs.commands.settings import Settings, stage_overrides
from pipeline_defs.dagster import tags
from pipeline_defs.dagster.names import op_name
from pipeline_defs.dagster.partitions import register_slices
from pipeline_defs.dagster.resources import StoreResource
from pipeline_defs.inputs import stage_name, write_slice_set


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """A recipe's stages, parents first; what is asked of each that takes a config (preset, overrides); and notes
    on presets that some stages lack.
    """

    recipe: str
    preset: str
    stages: Sequence[Stage]
    asked: Mapping[str, Mapping[str, Any]]
    notes: Sequence[str]
    id: str
    how: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the store resource in its runs: whether they are sealed, where checkpoints are trained."""

    @property
    def tags(self) -> dict[str, str]:
        """What every run of the chain is tagged with."""
        return {tags.CHAIN: self.id, tags.RECIPE: self.recipe, tags.PRESET: self.preset, tags.COMMAND: "run"}

    @property
    def ops(self) -> dict[str, Any]:
        """What Dagster's run config says of the assets of all stages."""
        return {op_name(kind): {"config": asked} for kind, asked in self.asked.items()}

    def config(self, stage: Stage) -> Any:
        """The full config of a stage; None for one that takes none."""
        if stage.presets is None:
            return None
        chosen = self.asked[stage.kind]
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


def plan_stages(
    label: str,
    kinds: Iterable[str],
    preset: str,
    settings: Settings,
    only: Collection[str] | None = None,
    chain_id: str | None = None,
) -> Chain:
    """The same for any kinds and all their ancestors; runs are tagged with ``label``.

    ``only`` are the kinds that are to be made, with settings for others passed over; ``chain_id`` is the tag that the
    chain's runs share.
    """
    known = catalogue()
    every = known.above(kinds)
    stages = every if only is None else [stage for stage in every if stage.kind in only]
    meant = stage_overrides(settings, stages if only is None else list(known.stages.values()))
    overrides = {stage.kind: meant[stage.kind] for stage in stages if stage.kind in meant}
    chosen = {kind: known.stage(kind).default_preset(preset) for kind in overrides}
    notes = [f"{kind} has no preset {preset}: {name}" for kind, name in chosen.items() if name != preset]
    asked = {kind: {"preset": chosen[kind], "overrides": fields} for kind, fields in overrides.items()}
    chain = Chain(recipe=label, preset=preset, stages=stages, asked=asked, notes=notes, id=chain_id or _new_id())
    for kind in overrides:
        chain.config(known.stage(kind))
    return chain


def _new_id() -> str:
    return uuid.uuid4().hex[:12]


def run_chain(instance: dg.DagsterInstance, chain: Chain, slices: Mapping[str, Sequence[str]] | None = None) -> None:
    """Materialise every stage of the chain that is not made, each slice of its own; the store is asked first.

    ``slices`` are those of each domain; without them, what the chain's own source stages offer now. Raises ChainFailure
    with the first failing step.
    """
    with one_look():
        known, store = catalogue(), StoreResource(sealed=bool(chain.how.get("sealed"))).open()
        domains = {domain.name: domain for stage in chain.stages if (domain := known.sliced_by(stage))}
        chosen = slices or {name: _slice_names(domain, chain, store) for name, domain in domains.items()}
        for name, names in chosen.items():
            register_slices(instance, name, names)
        configs = {stage.kind: chain.config(stage) for stage in chain.stages}
        passed = Passed(store, known, configs, chosen, instance)
        digest = write_slice_set(store, {name: list(names) for name, names in chosen.items()})
        runs = ChainRuns(instance=instance, chain=chain, digest=digest, store=store)
        through: set[str] = set()
        for wave in waves(known, chain.stages):
            try:
                _run_wave(wave, chosen[wave.domain] if wave.domain else [""], runs, passed)
            except ChainFailure as failure:
                raise ChainFailure(str(failure), {*through, *failure.through}) from failure
            through |= {stage.kind for stage in wave.stages}


def _run_wave(wave: Wave, names: Sequence[str], runs: ChainRuns, passed: Passed) -> None:
    """What is not made of a wave; whatever went through is noted, so that a kill loses one run of it at most."""
    pointed = [stage_name(stage, name) for name in names for stage in wave.stages]
    with rarely_collected(), runs.store.in_use(), read_ahead(runs.store.root, pointed):
        missing = [name for name in names if not passed.holds(wave.stages, name)]
    held = set(names) - set(missing)
    for stage in wave.stages:
        say("reused", stage, [name for name in names if name in held])
    if wave.domain:
        for group in runs.sliced(wave.stages, wave.domain, missing):
            for name in group:
                passed.note(wave.stages, name)
    elif missing:
        runs.whole(wave.stages)
        passed.note(wave.stages, "")


def waves(known: Catalogue, stages: Sequence[Stage]) -> list[Wave]:
    """Stages in runs, parents first: a sliced stage goes with sliced ones of its domain until one is needed whole.

    What they read and is not among them is taken as made.
    """
    left, found = list(stages), list[Wave]()
    done = {given.kind for stage in stages for given in stage.inputs.values()} - {stage.kind for stage in stages}
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
