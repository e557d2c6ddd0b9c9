"""The training loop. Running it again on the same directory continues it, bit for bit, from the newest good checkpoint.

Owns the update: batches in order, micro-batches, clipping, schedule, optimizer step. Everything random is a function of
(seed, purpose, index), so the position in the data is the update number and nothing else. Counts are in updates.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from assets_data.lineage import TrainingError
from training import checkpoint
from training.callbacks import Callback, Checkpoints, Log, Monitor, Progress
from training.environment import reproducible
from training.finite import blame
from training.journal import Step
from training.recipe import Data, Recipe
from training.run import Run, continue_run, open_run
from training.run_directory import run_lease
from training.schedules import lr_factor
from training.stop import StopRequest, stop_requests


def train(
    recipe: Recipe, config: Any, data: Data, directory: Path, *, code: str, callbacks: Sequence[Callback] = ()
) -> Run:
    """Train to ``config.train.updates`` in ``directory`` and return the finished run; a finished one returns at once.

    ``code`` is the version of the code that trains. Raises TrainingError for a run directory in use (RUN_IN_USE) or of
    another corpus, config or code (RESUME_MISMATCH), for a non-finite number (NON_FINITE) and a stop signal (STOPPED).
    """
    with run_lease(directory), reproducible(config.train) as device, stop_requests() as stop:
        run = open_run(recipe, config, data, directory, device, code)
        try:
            continue_run(run)
            if not run.finished:
                _loop(run, [Log(), Monitor(), Checkpoints(), *callbacks, Progress()], stop)
        finally:
            run.close()
        checkpoint.read_state(run.final)  # success means that the last checkpoint is there and right
    return run


def _loop(run: Run, hooks: Sequence[Callback], stop: StopRequest) -> None:
    _fire(hooks, "train_begin", run)
    for update in range(first := run.update, run.plan.updates):
        if update == first or run.order.epoch(update) != run.order.epoch(update - 1):
            _fire(hooks, "epoch_begin", run)
        _fire(hooks, "step_begin", run)
        run.step = _update(run, update)
        run.update = update + 1
        _fire(hooks, "step_end", run)
        if run.finished or run.order.epoch(update + 1) != run.order.epoch(update):
            _refuse_non_finite(run)  # the epoch's summary fetches numbers from the device: look first
            _fire(hooks, "epoch_end", run)
        if stop.signal and not run.finished:
            _refuse_non_finite(run)
            run.save()
            action = "run again to continue"
            raise TrainingError("STOPPED", f"{stop.signal} after update {run.update}, state saved", action=action)
    _fire(hooks, "train_end", run)


def _update(run: Run, update: int) -> Step:
    """One optimizer update: gradients of every micro-batch, then, if all is finite, clip and step."""
    plan, (rows, epochs) = run.plan, run.order.batch(update)
    lr = plan.optimizer.lr * lr_factor(plan.schedule, update, plan.updates)
    total: dict[str, Tensor] = {}
    for micro in np.split(np.arange(len(rows)), plan.accumulation):
        losses = run.losses(rows[micro], epochs[micro])
        (losses["loss"] / plan.accumulation).backward()
        for name, value in losses.items():
            total[name] = total.get(name, 0.0) + value.detach() / plan.accumulation
    grad_norm = nn.utils.clip_grad_norm_(run.model.parameters(), plan.grad_clip or float("inf"))
    run.guard.observe(update, total["loss"], grad_norm)
    if run.asks_device(update + 1):
        _refuse_non_finite(run)
    for group in run.optimizer.param_groups:
        group["lr"] = lr
    run.optimizer.step()
    run.optimizer.zero_grad(set_to_none=True)
    return Step(update=update, epoch=int(epochs[0]), lr=lr, scalars={**total, "grad_norm": grad_norm})


def _refuse_non_finite(run: Run) -> None:
    if (update := run.guard.first_bad_update()) is not None:
        raise blame(run.model, update, *run.order.batch(update), run.losses)


def _fire(hooks: Sequence[Callback], name: str, run: Run) -> None:
    for hook in hooks:
        getattr(hook, name)(run)
