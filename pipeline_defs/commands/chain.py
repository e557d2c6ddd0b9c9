"""The whole chain in one process: every slice, then what stands on all of them. What ``stemma run`` does.

Each step is an ordinary Dagster run on the instance, so the UI shows it; nothing here knows what an asset computes.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

import dagster as dg

from assets_data.lineage import ConfigError, StemmaError, resolve
from assets_data.sources.sources import slice_names
from pipeline_defs.dagster.partitions import slices
from pipeline_defs.dagster.recipes import RECIPES
from pipeline_defs.dagster.resources import StoreResource
from pipeline_defs.dagster.text import SOURCES, TEXT, WALKS
from pipeline_defs.definitions import defs
from training.recipe import STAGES

DATA = {"raw_slice": SOURCES, "tokenizer": TEXT, "duplicates": TEXT, "triples": TEXT, "walk_corpus": WALKS}
SHARED = "text"  # overrides under this name are for every stage that reads the text settings
RUN_TAGS = {"stemma/command": "run"}  # how a later `stemma run` knows the runs of one that was killed


class ChainFailure(Exception):
    """A step of the chain failed; the message is that step's own error."""


def run_chain(instance: dg.DagsterInstance, recipe: str, config: Mapping[str, Any]) -> None:
    """Materialise every slice of the source and then one recipe. Raises ChainFailure with the first failing step."""
    names = slice_names(_resolved(config, "text__raw_slice", SOURCES), StoreResource().open())
    instance.add_dynamic_partitions(slices.name or "", names)
    config = {**config, "resources": {"io_manager": {"config": {"slices": names}}}}
    for name in names:
        _materialize(instance, ["text/raw_slice"], config, name)
    _materialize(instance, ["text/tokenizer", "text/duplicates"], config)
    for name in names:
        _materialize(instance, ["text/triples"], config, name)
    _materialize(instance, ["text/walk_corpus", "text/dataset_manifest", "text/quality_summary"], config)
    _materialize(instance, [f"{recipe}/{node}" for node in STAGES], config)


def chain_config(recipe: str, preset: str, overrides: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Run config for every configurable stage: the preset where the stage has one of that name, else ``demo``.

    Raises ConfigError for a recipe, preset, stage or field that does not exist, before anything runs.
    """
    _require("recipe", [recipe], RECIPES)
    stages = {f"text__{name}": presets for name, presets in DATA.items()}
    stages[f"{recipe}__preflight_report"] = RECIPES[recipe].presets
    _require("preset", [preset], {name for presets in stages.values() for name in presets})
    _require("stage", overrides, {SHARED, *(op.split("__")[1] for op in stages)})
    ops = {
        op: {
            "config": {
                "preset": preset if preset in presets else "demo",
                "overrides": {
                    **(overrides.get(SHARED, {}) if presets is TEXT else {}),
                    **overrides.get(op.split("__")[1], {}),
                },
            }
        }
        for op, presets in stages.items()
    }
    for op, presets in stages.items():
        _resolved({"ops": ops}, op, presets)
    return {"ops": ops}


def _require(what: str, names: Iterable[str], known: Iterable[str]) -> None:
    if unknown := sorted(set(names) - set(known)):
        raise ConfigError(f"CHAIN_UNKNOWN_{what.upper()}", f"no such {what}", expected=sorted(known), found=unknown)


def _resolved(config: Mapping[str, Any], op: str, presets: Mapping[str, Any]) -> Any:
    chosen = config["ops"][op]["config"]
    return resolve(presets, chosen["preset"], chosen["overrides"])


def _materialize(
    instance: dg.DagsterInstance, assets: list[str], config: Mapping[str, Any], partition: str | None = None
) -> None:
    ops = {asset.replace("/", "__") for asset in assets}
    started = time.monotonic()
    result = defs.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=instance,
        asset_selection=[dg.AssetKey.from_user_string(asset) for asset in assets],
        partition_key=partition,
        tags=RUN_TAGS,
        run_config={
            **config,
            "ops": {op: entry for op, entry in config["ops"].items() if op in ops},
            "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
        },
        raise_on_error=False,
    )
    name = " ".join([*assets, *([partition] if partition else [])])
    print(f"  {time.monotonic() - started:6.1f} s  {'done' if result.success else 'FAILED'}  {name}", flush=True)
    if not result.success:
        raise ChainFailure(_first_error(result.all_events))


def _first_error(events: Iterable[dg.DagsterEvent]) -> str:
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
