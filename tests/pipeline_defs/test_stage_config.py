"""Run config of a job of many stages: each has its own presets as choices, whatever those of another are called."""

import dagster as dg
import pytest

from pipeline_defs.catalogue import catalogue
from pipeline_defs.dagster.names import op_name
from pipeline_defs.definitions import defs

STAGES = {stage.kind: stage for stage in catalogue().stages.values() if stage.presets}
RESOURCES = {"store": {"config": {}}}


@pytest.mark.parametrize("domain", sorted(catalogue().domains))
def test_in_the_job_of_a_whole_domain_every_stage_takes_each_of_its_presets_and_no_other(domain):
    job = defs.resolve_job_def(f"{domain}_to_checkpoint")
    stages = [stage for stage in STAGES.values() if op_name(stage.kind) in {node.name for node in job.nodes}]
    assert stages
    for stage in stages:
        for preset in stage.presets:
            dg.validate_run_config(job, {"ops": asked(stage, preset)})
        with pytest.raises(dg.DagsterInvalidConfigError):
            dg.validate_run_config(job, {"ops": asked(stage, "no such")})


def asked(stage, preset):
    return {op_name(stage.kind): {"config": {"preset": preset}}}
