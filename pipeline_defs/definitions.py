"""The code location: every asset, check and resource. Loading it imports no torch.

Runs execute in their own process (the executor adds no process per step), so a killed run takes its training with it
and the whole chain costs seconds over the plain functions; the UI's runs, backfills and schedules each get a process
from Dagster's launcher.
"""

import dagster as dg

from pipeline_defs.dagster import automation, checks, recipes, text
from pipeline_defs.dagster import mix_job as mix
from pipeline_defs.dagster.resources import SnapshotIOManager, StoreResource

store = StoreResource()

defs = dg.Definitions(
    assets=[*text.ASSETS, *recipes.ASSETS],
    asset_checks=checks.CHECKS,
    jobs=mix.JOBS,
    sensors=[automation.embedded_slices, automation.http_slices],
    resources={"store": store, "io_manager": SnapshotIOManager(store=store)},
    executor=dg.in_process_executor,
)
