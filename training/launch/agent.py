"""The process that answers for a job: starts its members with torchrun's own agent, and notes how they ended.

``python -m training.launch.agent RUN``. A group that stalled, or lost a member, is started once more: it goes on from
the newest checkpoint.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from assets_data.lineage.storage import atomic
from assets_data.lineage.storage.store import lease
from training.config import STALLED
from training.launch.handle import AGENT, BEGUN, ENDED, JOB, LOCK, Request, read_handle

MEMBER = "training.launch.member"
ATTEMPTS = 2


def main(run: Path) -> int:
    """The job's exit status, which is noted beside its handle."""
    with lease(run / LOCK):
        pass  # by now whoever submits has written the handle, or is gone
    with lease(run / JOB / AGENT):
        return attempts(run)


def attempts(run: Path) -> int:
    """Start the group, and once more where it stalled or lost a member; the exit status, which is noted."""
    (run / JOB / BEGUN).touch()
    request = read_handle(run).request
    status = STALLED
    for attempt in range(ATTEMPTS):
        if attempt:
            print("a process stalled or was lost; once more from the newest checkpoint", flush=True)
        status = group(run, request)
        if status != STALLED:
            break
    atomic.write_json(run / JOB / ENDED, {"status": status})
    return status


def group(run: Path, request: Request) -> int:
    """The members' exit status. What others ended with because one was gone counts only where nothing else did."""
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    os.environ.setdefault("OMP_NUM_THREADS", "1")  # as torchrun does; train.threads is what decides
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=request.processes,
        run_id=run.name,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
    )
    try:
        elastic_launch(config, sys.executable)("-m", MEMBER, str(run))
    except ChildFailedError as error:
        ended = {failure.exitcode for failure in error.failures.values()}
        own = ended - {STALLED, -signal.SIGTERM, -signal.SIGKILL}
        return max(own, key=abs) if own else STALLED
    except SignalException as error:
        return 128 + int(error.sigval)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
