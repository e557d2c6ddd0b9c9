"""A checkpoint trained in a job of its own: started or joined, followed, and then found made like any other.

The job outlives the process that started it, so a run that is executed again joins it instead of starting another. A
run that is cancelled cancels it.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from assets_data.lineage import ConfigError, DataError, Snapshot, StemmaError, Store, TrainingError
from assets_data.lineage.receipts.code import code_version
from assets_data.stage import Stage

if TYPE_CHECKING:
    from training.launch.handle import Handle, Request

log = logging.getLogger("training.launch")

PIPES = "pipes"
"""The launcher whose jobs say by Dagster Pipes how far they are."""

TAIL = 10
"""Lines of a failed job's log that its error shows."""


def train_in_job(
    stage: Stage,
    store: Store,
    inputs: Mapping[str, Snapshot],
    processes: int,
    parallel: str = "ddp",
    launcher: str = "torchrun",
) -> None:
    """Have the checkpoint made by a job of so many processes, unless it is made. Raises TrainingError JOB_FAILED."""
    if store.builder:
        action = "run it unsealed, or inline"
        raise ConfigError("JOB_SEALED", "a job reaches more than a sealed stage may", action=action)
    if _is_made(stage, store, inputs):
        return
    run, request = _request(stage, store, inputs, processes, parallel)
    if launcher != PIPES:
        _submit(run, request, launcher)
        _await(run, show=True)
        return
    from pipeline_defs.dagster.pipes import listening

    with listening(run) as (environment, launched):
        joined = _submit(run, request, launcher, environment)
        launched()
        _await(run, show=joined.launcher != PIPES)


def _request(
    stage: Stage, store: Store, inputs: Mapping[str, Snapshot], processes: int, parallel: str
) -> tuple[Path, Request]:
    """The run's directory, and all that the job is told."""
    from training.job import Job, named_inputs, run_name
    from training.launch.handle import Request
    from training.stages import training_code

    recipe, preflight = stage.bind["recipe"], inputs["preflight"]
    job = Job(store=store, recipe=recipe, inputs=named_inputs(recipe, inputs), preflight=preflight)
    request = Request(
        store=str(store.root.absolute()),
        recipe=recipe.name,
        inputs={name: snapshot.id for name, snapshot in job.inputs.items()},
        preflight=preflight.id,
        requested=dict(store.requested),
        processes=processes,
        parallel=parallel,
    )
    return store.run_dir(run_name(job, code_version(*training_code(recipe)), {})), request


def _submit(run: Path, request: Request, launcher: str, environment: Mapping[str, str] | None = None) -> Handle:
    from training.launch.jobs import submit

    handle = submit(run, request, launcher, environment)
    log.info("job %s of %s processes, submitted %s", run.name, handle.request.processes, handle.submitted)
    return handle


def _await(run: Path, show: bool) -> None:
    """Follow the job until it is over; its lines are shown unless they come another way."""
    from training.launch.handle import JOB, LOG, State, state_of, status_of
    from training.launch.jobs import cancel, follow_log

    last: deque[str] = deque(maxlen=TAIL)
    try:
        for line in follow_log(run):
            last.append(line)
            if show:
                log.info("%s", line)
    except StemmaError:  # its scheduler does not answer: the job goes on, and a run that is executed again joins it
        raise
    except BaseException:  # an interrupted run, whatever its executor raises for that
        cancel(run)
        raise
    if (state := state_of(run)) is not State.COMPLETED:
        what = f"the job ended {state}, with status {status_of(run)}: " + " | ".join(last)
        action = "run it again: training goes on from the newest checkpoint"
        raise TrainingError("JOB_FAILED", what, where=run / JOB / LOG, action=action)


def _is_made(stage: Stage, store: Store, inputs: Mapping[str, Snapshot]) -> bool:
    try:
        stage.call(store.looking(), inputs)
    except DataError as error:
        if error.code != "STAGE_NOT_MADE":
            raise
        return False
    return True
