"""The code location: every asset, check, job and resource, made from what is declared. Loading it imports no torch.

Runs execute in their own process (the executor adds no process per step), so a killed run takes its training with it
and the whole chain costs seconds over the plain functions; the UI's runs, backfills and schedules each get a process
from Dagster's launcher. A plug-in that is broken is left out, with a warning that names it and says why.
"""

import warnings

import dagster as dg

from pipeline_defs.catalogue import catalogue
from pipeline_defs.dagster.alerts import alert_sensors
from pipeline_defs.dagster.assets import stage_assets
from pipeline_defs.dagster.automation import dead_runs, new_slices_sensor, registration_sensors
from pipeline_defs.dagster.chain_jobs import chain_jobs
from pipeline_defs.dagster.champion import champion_assets
from pipeline_defs.dagster.checks import stage_checks
from pipeline_defs.dagster.dataset_jobs import dataset_jobs
from pipeline_defs.dagster.executor import one_process
from pipeline_defs.dagster.jobs import requested_jobs, verify_everything
from pipeline_defs.dagster.resources import SnapshotIOManager, StoreResource
from pipeline_defs.dagster.retention import gc_job, gc_weekly
from pipeline_defs.dagster.retraining import retraining_sensor, weekly_schedules
from pipeline_defs.dagster.slices import slices_job

store = StoreResource()
known = catalogue()
jobs = chain_jobs(known)
datasets = dataset_jobs(known)

defs = dg.Definitions(
    assets=[*stage_assets(known), *champion_assets(known)],
    asset_checks=stage_checks(known),
    jobs=[*jobs, *datasets, *requested_jobs(known), slices_job(known), verify_everything, gc_job],
    sensors=[
        *registration_sensors(known),
        dead_runs,
        new_slices_sensor(known, [*jobs, *datasets]),
        retraining_sensor(known, jobs),
        *alert_sensors(known),
    ],
    schedules=[*weekly_schedules(known, jobs), gc_weekly],
    resources={"store": store, "io_manager": SnapshotIOManager(store=store)},
    executor=one_process,
)

for name, why in known.broken.items():
    warnings.warn(f"{name} was left out: {why}", stacklevel=1)
