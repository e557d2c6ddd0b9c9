"""What trains again by itself: on a new dataset, and once a week. Both are off until somebody switches them on.

A training's key is its recipe, the snapshots that it reads and its config: the same never trains twice, also when a
tick is repeated, the daemon restarts, or the data comes back to what it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dagster as dg

from assets_data.lineage import Store, digest_json
from pipeline_defs.catalogue import Catalogue
from pipeline_defs.dagster import tags
from pipeline_defs.dagster.automation import IN_QUEUE
from pipeline_defs.dagster.dataset_jobs import dataset_job
from pipeline_defs.dagster.requests import ops_config
from pipeline_defs.dagster.resources import StoreResource
from pipeline_defs.operations import operations


def chosen_recipes(known: Catalogue) -> list[str]:
    """The recipes that retrain by themselves. Raises ConfigError for a name that is none."""
    return [known.recipe(name).name for name in operations().recipes] or list(known.recipes)


def training_request(known: Catalogue, store: Store, recipe: str, prefix: str = "") -> dg.RunRequest | None:
    """The run of a recipe on what its inputs stand for now; None while one of them was never made.

    ``prefix`` goes before the key: a run that is wanted again although nothing changed.
    """
    pointers = {name: store.pointer(given.kind) for name, given in known.recipe(recipe).inputs.items()}
    ids = {name: entry["snapshot"] for name, entry in pointers.items() if entry}
    if len(ids) < len(pointers):
        return None
    stages = [stage for stage in known.stages.values() if stage.owner == recipe and not stage.sliced]
    config = {"ops": ops_config(known, stages)}
    key = digest_json({"recipe": recipe, "inputs": ids, "config": config}).removeprefix("sha256:")[:16]
    named = {tags.CHAIN: key[:12], tags.RECIPE: recipe, tags.PRESET: operations().preset}
    manifest = {tags.MANIFEST: ids["manifest"]} if "manifest" in ids else {}
    return dg.RunRequest(
        run_key=f"{prefix}{recipe}:{key}", job_name=f"retrain_{recipe}", run_config=config, tags={**named, **manifest}
    )


def retraining_sensor(known: Catalogue, jobs: Sequence[Any]) -> dg.SensorDefinition:
    """``retrain_on_new_manifest``."""

    @dg.sensor(
        name="retrain_on_new_manifest",
        minimum_interval_seconds=operations().tick_seconds,
        jobs=jobs,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Fires when a recipe's dataset is another snapshot: preflight, training, gate and promotion of it.",
    )
    def sensor(context: dg.SensorEvaluationContext, store: StoreResource) -> Any:
        making = [dataset_job(domain) for domain in known.domains]
        if any(context.instance.get_runs(dg.RunsFilter(job_name=job, statuses=IN_QUEUE), limit=1) for job in making):
            return dg.SkipReason("a dataset is being made")
        found = [request for name in chosen_recipes(known) if (request := training_request(known, store.open(), name))]
        asked = set((context.cursor or "").split())
        new = [request for request in found if request.run_key not in asked]
        if not new:
            return dg.SkipReason("every recipe was asked for on what its dataset is now" if found else "no dataset yet")
        keys = " ".join(sorted(asked | {str(request.run_key) for request in new}))
        return dg.SensorResult(run_requests=new, cursor=keys)

    return sensor


def weekly_schedules(known: Catalogue, jobs: Sequence[Any]) -> list[dg.ScheduleDefinition]:
    """``weekly_retrain_<recipe>``: on the data as it stands; what did not change is found, not trained."""
    by_name = {job.name: job for job in jobs}
    return [_weekly(known, by_name[f"retrain_{recipe}"], recipe) for recipe in known.recipes]


def _weekly(known: Catalogue, job: Any, recipe: str) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=f"weekly_retrain_{recipe}",
        cron_schedule=operations().retrain_at,
        job=job,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description=f"Once a week (`retrain_at` of operations.toml): preflight, training, gate, promotion of {recipe}.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        prefix = f"{context.scheduled_execution_time:%Y-%m-%d}/"
        return training_request(known, StoreResource().open(), recipe, prefix) or dg.SkipReason("no dataset yet")

    return schedule
