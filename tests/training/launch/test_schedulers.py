"""Jobs of a real scheduler, where one is: Ray at RAY_API_SERVER_ADDRESS, SLURM if its commands are there."""

import os
import shutil

import pytest

from assets_data.lineage import Store
from tests.training.launch.test_jobs import ENDLESS, first_update, require_nobody
from training.checkpoint import stored
from training.launch.handle import State, read_handle, state_of, status_of
from training.launch.jobs import cancel, follow_log, submit

THERE = {"ray": "RAY_API_SERVER_ADDRESS" in os.environ, "slurm": shutil.which("sbatch") is not None}


@pytest.fixture(params=sorted(THERE))
def launcher(request):
    """Ray needs RAY_JOB_STOP_WAIT_TIME_S=10 of its head, or it ends a job before that can save."""
    if not THERE[request.param]:
        pytest.skip(f"no {request.param} here")
    return request.param


@pytest.mark.slow
def test_a_job_of_a_scheduler_is_joined_cancelled_and_started_again(tmp_path, request_of, launcher):
    store = Store(tmp_path / "store")
    run = store.run_dir("walk_lm-endless")
    handle = submit(run, request_of(**ENDLESS), launcher)
    assert handle.name and not handle.pid
    first_update(run)
    assert state_of(run) is State.RUNNING and submit(run, request_of(**ENDLESS), launcher) == handle
    assert cancel(run) is State.CANCELLED and status_of(run) is not None  # it ended by itself
    [directory] = [path for path in store.root.glob("runs/*") if stored(path / "checkpoints")]
    assert int(stored(directory / "checkpoints")[-1].name) > 0  # SIGTERM saved at the step's edge
    require_nobody(directory)
    short = {**ENDLESS, "train.updates": 20, "train.checkpoint_every": 10}
    submit(run, request_of(**short), launcher)
    assert read_handle(run) != handle
    lines = list(follow_log(run))
    assert state_of(run) is State.COMPLETED, lines
    assert lines[-1].startswith("walk_lm/checkpoint sha256:")
