"""The code location: every asset, check, job and resource, made from what is declared. Loading it imports no torch.

Runs execute in their own process (the executor adds no process per step), so a killed run takes its training with it
and the whole chain costs seconds over the plain functions; the UI's runs, backfills and schedules each get a process
from Dagster's launcher. A plug-in that is broken is left out, with a warning that names it and says why.
"""

import warnings

import dagster as dg

from pipeline_defs.catalogue import catalogue
from pipeline_defs.dagster.assets import stage_assets
from pipeline_defs.dagster.automation import dead_runs, registration_sensors
from pipeline_defs.dagster.chain_jobs import chain_jobs
from pipeline_defs.dagster.champion import champion_assets
from pipeline_defs.dagster.checks import stage_checks
from pipeline_defs.dagster.executor import one_process
from pipeline_defs.dagster.jobs import requested_jobs
from pipeline_defs.dagster.resources import SnapshotIOManager, StoreResource
from pipeline_defs.dagster.retention import gc_job, gc_weekly
from pipeline_defs.dagster.slices import slices_job

store = StoreResource()

defs = dg.Definitions(
    assets=[*stage_assets(catalogue()), *champion_assets(catalogue())],
    asset_checks=stage_checks(catalogue()),
    jobs=[*chain_jobs(catalogue()), *requested_jobs(catalogue()), slices_job(catalogue()), gc_job],
    schedules=[gc_weekly],
    sensors=[*registration_sensors(catalogue()), dead_runs],
    resources={"store": store, "io_manager": SnapshotIOManager(store=store)},
    executor=one_process,
)

for name, why in catalogue().broken.items():
    warnings.warn(f"{name} was left out: {why}", stacklevel=1)
