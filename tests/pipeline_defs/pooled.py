"""A process that makes one asset of the pool `gpu` and stays in it until its stdin closes: something to kill."""

import os
import sys

import dagster as dg

from pipeline_defs.dagster.executor import one_process
from pipeline_defs.dagster.runs import execute


@dg.asset(pool="gpu")
def trained() -> None:
    print("inside", flush=True)
    sys.stdin.read()


DEFS = dg.Definitions(assets=[trained], executor=one_process)


if __name__ == "__main__":
    with dg.DagsterInstance.get() as instance:
        job = DEFS.resolve_implicit_global_asset_job_def()
        quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        done = execute(instance, job, [trained.key], run_config=quiet, tags={"of": os.environ["RUN_NAME"]})
    sys.exit(0 if done.success else 1)
