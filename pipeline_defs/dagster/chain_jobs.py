"""The chain as named jobs, one for each domain and each recipe. Their tags are what run launchers route by.

A launcher reads the tags of a run, which are those of its job: one process per run makes tags of single ops mean
nothing to it. So a job that trains carries the tags of a machine with a GPU (``operations.toml``, ``[gpu_tags]``).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import dagster as dg

from assets_data.stage import Stage
from pipeline_defs.answers.champion.standing import PROMOTED
from pipeline_defs.catalogue import Catalogue, catalogue
from pipeline_defs.dagster.names import asset_key
from pipeline_defs.dagster.tags import GPU, RECIPE
from pipeline_defs.operations import operations

AssetJob = Any
"""What ``define_asset_job`` gives: a job before its assets are known."""


def chain_jobs(known: Catalogue) -> list[AssetJob]:
    """``<domain>_to_checkpoint``: a domain's stages and the recipes on them; ``retrain_<recipe>``: a recipe's own."""
    return [
        *(_from_domain(known, domain) for domain in known.domains if _recipes_on(known, domain)),
        *(_of_recipe(known, recipe) for recipe in known.recipes),
        *(_of_slices(known, domain) for domain in known.domains),
    ]


def job_of(defs: dg.Definitions, keys: Iterable[dg.AssetKey]) -> dg.JobDefinition:
    """The smallest named job that has all these assets; Dagster's job of all assets where none has."""
    wanted = set(keys)
    named = [defs.resolve_job_def(job.name) for job in chain_jobs(catalogue())]  # Dagster keeps what it resolved
    fitting = [job for job in named if wanted <= set(job.asset_layer.executable_asset_keys)]
    smallest = min(fitting, key=lambda job: len(set(job.asset_layer.executable_asset_keys)), default=None)
    return smallest or defs.resolve_implicit_global_asset_job_def()


def _from_domain(known: Catalogue, domain: str) -> AssetJob:
    recipes = _recipes_on(known, domain)
    return dg.define_asset_job(
        f"{domain}_to_checkpoint",
        selection=_assets(known, {domain, *recipes}),
        description=f"From slices of {domain} to the gates of {' and '.join(recipes)}.",
        tags=_gpu(),
    )


def _of_recipe(known: Catalogue, recipe: str) -> AssetJob:
    return dg.define_asset_job(
        f"retrain_{recipe}",
        selection=_assets(known, {recipe}, sliced=False),
        description=f"Preflight, training, gate and promotion of {recipe}, on the data as it stands.",
        tags={RECIPE: recipe, **_gpu()},
    )


def _of_slices(known: Catalogue, domain: str) -> AssetJob:
    keys = (asset_key(stage.kind) for stage in first_stages(known, domain))
    return dg.define_asset_job(
        slices_job(domain),
        selection=dg.AssetSelection.assets(*keys),
        description=f"What a slice of {domain} is by itself: all that is made before every slice is needed.",
    )


def slices_job(domain: str) -> str:
    """The name of the job that makes a domain's slices, each by itself."""
    return f"{domain}_slices_alone"


def first_stages(known: Catalogue, domain: str) -> list[Stage]:
    """A domain's source and the sliced stages that read nothing but their own slice, parents first."""
    found = [known.domains[domain].source]
    for stage in known.domains[domain].stages:
        read = stage.inputs.values()
        if stage.sliced and read and all(not one.many and one.kind in {s.kind for s in found} for one in read):
            found.append(stage)
    return found


def _gpu() -> dict[str, str]:
    return {GPU: "true", **operations().gpu_tags}


def _recipes_on(known: Catalogue, domain: str) -> list[str]:
    """The recipes that read something of a domain, and of no other domain."""
    above = {name: {stage.owner for stage in known.above([f"{name}/gate_report"])} for name in known.recipes}
    return [name for name, owners in above.items() if owners & known.domains.keys() == {domain}]


def _assets(known: Catalogue, owners: set[str], sliced: bool = True) -> dg.AssetSelection:
    stages = [stage for stage in known.stages.values() if stage.owner in owners and not stage.on_request]
    kinds = [stage.kind for stage in stages if sliced or not stage.sliced]
    kinds += [f"{recipe}/{PROMOTED}" for recipe in sorted(owners & known.recipes.keys())]
    return dg.AssetSelection.assets(*(asset_key(kind) for kind in kinds))
