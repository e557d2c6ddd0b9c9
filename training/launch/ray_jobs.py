"""Jobs of a Ray cluster, by the Jobs API over HTTP: a job's name is its address there, which any process can ask.

https://docs.ray.io/en/latest/cluster/running-applications/job-submission/rest.html; ``RAY_API_SERVER_ADDRESS`` is
Ray's own variable for where a cluster listens. Ray's Python package is not needed here.
"""

from __future__ import annotations

import json
import os
import shlex
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assets_data.lineage import TrainingError
from training.launch.handle import JOB, LOG
from training.launch.launcher import GRACE_S, KILLED_S, Place, command, gone

ADDRESS = "http://127.0.0.1:8265"
"""Ray's own default, of a head on this machine."""


class Ray:
    """The agent as a job's entry point, on a node that has a CPU for each process."""

    poll_s = 1.0

    def start(self, run: Path, processes: int, environment: Mapping[str, str]) -> Place:
        """The agent's output goes to the run directory, as that of every launcher does; Ray has none of it."""
        cluster = os.environ.get("RAY_API_SERVER_ADDRESS", ADDRESS).rstrip("/")
        asked = {
            "entrypoint": f"exec {shlex.join(command(run))} >{shlex.quote(str(run / JOB / LOG))} 2>&1",
            "entrypoint_num_cpus": processes,
            "runtime_env": {"env_vars": dict(environment)},
            "metadata": {"run": run.name},
        }
        return Place(name=f"{cluster}/api/jobs/{_ask(f'{cluster}/api/jobs/', asked)['submission_id']}")

    def alive(self, place: Place) -> bool:
        """PENDING and RUNNING are all that is not over, in Ray's words. A cluster begun anew knows no job of before."""
        found = _ask(place.name)
        return found is not None and found["status"] in ("PENDING", "RUNNING")

    def end(self, place: Place) -> None:
        """Ray sends SIGTERM itself, and SIGKILL after its head's RAY_JOB_STOP_WAIT_TIME_S, by default three seconds."""
        _ask(f"{place.name}/stop", {})
        gone(lambda: self.alive(place), GRACE_S + KILLED_S, self.poll_s)


RAY = Ray()


def _ask(address: str, document: dict[str, Any] | None = None) -> Any:
    """The cluster's answer, None for what it does not have. Raises TrainingError JOB_UNREACHED."""
    data = None if document is None else json.dumps(document).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)
    except (OSError, ValueError) as error:
        if isinstance(error, urllib.error.HTTPError) and error.code == 404 and data is None:
            return None
        said = error.read().decode(errors="replace")[:500] if isinstance(error, urllib.error.HTTPError) else str(error)
        action = "is RAY_API_SERVER_ADDRESS right, and the cluster up? a job that was started goes on"
        raise TrainingError("JOB_UNREACHED", f"Ray does not answer: {said}", where=address, action=action) from error
