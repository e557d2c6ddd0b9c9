"""The one set of tags that every run of Stemma's has, whoever started it: chain, recipe, preset, manifest, commit.

Sensors, alerts and the timeline go by them. A run has those of which something can be known as it begins.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from assets_data.lineage import Store
from assets_data.lineage.receipts.code import commit
from pipeline_defs.catalogue import catalogue
from pipeline_defs.home import stemma_root

CHAIN, RECIPE, PRESET = "stemma/chain", "stemma/recipe", "stemma/preset"
MANIFEST, COMMIT = "stemma/manifest", "stemma/commit"
COMMAND, GPU = "stemma/command", "stemma/gpu"


def tag_run(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """Add what the run does not say of itself yet; what it was given stays."""
    found = {CHAIN: run.root_run_id or run.run_id, COMMIT: _commit(), **_of_recipe(run)}
    missing = {name: value for name, value in found.items() if value and name not in run.tags}
    if missing:
        instance.add_run_tags(run.run_id, missing)


def _commit() -> str:
    return str(commit().get("commit") or "")


def _of_recipe(run: dg.DagsterRun) -> dict[str, str]:
    owners = {key.path[0] for key in run.asset_selection or ()}
    presets = sorted({preset for op in _ops(run).values() if (preset := op.get("config", {}).get("preset"))})
    known = catalogue()
    recipe = run.tags.get(RECIPE) or ",".join(sorted(owners & known.recipes.keys()))
    found = {RECIPE: recipe, PRESET: ",".join(presets)}
    return found | ({MANIFEST: _manifest(recipe)} if recipe in known.recipes else {})


def _ops(run: dg.DagsterRun) -> Mapping[str, Any]:
    config: Any = run.run_config
    return config.get("ops", {})


def _manifest(recipe: str) -> str:
    """The ids of the manifests that the recipe reads, as they are when the run begins."""
    store = Store(stemma_root() / "store")
    inputs = [given.kind for given in catalogue().recipes[recipe].inputs.values()]
    entries = [store.pointer(kind) for kind in inputs if kind.endswith("/dataset_manifest")]
    return ",".join(entry["snapshot"] for entry in entries if entry)
