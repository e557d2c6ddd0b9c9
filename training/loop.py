"""The training loop. Running it again on the same directory continues it, bit for bit, from the newest good checkpoint.

Owns the update: batches in order, micro-batches, clipping, schedule, optimizer step. Everything random is a function of
(seed, purpose, index), so the position in the data is the update number and nothing else. Counts are in updates.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from assets_data.lineage import StorageError, TrainingError
from training import checkpoint
from training.beginning import open_run
from training.branch import Origin
from training.callbacks import Callback, standard_callbacks
from training.config import pin_length
from training.data import Data
from training.environment import reproducible
from training.feed import Batch
from training.finite import blame
from training.journal import Step
from training.parallel.begin import begin
from training.parallel.lanes import has_pass, lanes_gradient, weighed
from training.parallel.world import ALONE, World
from training.recipe import Recipe
from training.run import Run
from training.run_directory import run_lease


@dataclass(slots=True)
class StopRequest:
    """A wish to end early: ``signal`` is the name of the signal that asked to stop, or None."""

    signal: str | None = None


def train(
    recipe: Recipe,
    config: Any,
    data: Data,
    directory: Path,
    *,
    code: str,
    callbacks: Sequence[Callback] = (),
    origin: Origin | None = None,
    references: Mapping[str, Any] | None = None,
    world: World = ALONE,
) -> Run:
    """Train to ``config.train.updates`` in ``directory`` and return the finished run; a finished one returns at once.

    ``code`` is the version of the code that trains, ``origin`` a checkpoint to begin from, ``references`` are ids that
    are written beside every checkpoint. In a ``world`` of several processes each calls this; rank 0 keeps the
    directory, the others a folder in it. Raises TrainingError for a run directory in use (RUN_IN_USE) or of another
    corpus, config or code (RESUME_MISMATCH), for a non-finite number (NON_FINITE) and a stop signal (STOPPED).
    """
    config = pin_length(config, len(data.row_keys))
    world.share(config.train.lanes)
    with run_lease(world.directory(directory)), reproducible(config.train) as device, stop_requests() as stop:
        came_from = origin.facts() if origin and not origin.same_run else {}
        own = world.directory(directory)
        run = open_run(recipe, config, data, own, device, code, came_from, references or {}, world)
        run.hooks = standard_callbacks(run, callbacks)
        try:
            begun = begin(run, directory, origin)
            if not (begun and run.finished):  # a branch may have no update left; it begins and ends all the same
                _loop(run, stop)
        except BaseException:
            with contextlib.suppress(StorageError):  # of what stopped the run, the first error tells most
                run.close()
            raise
        run.close()
        if world.leads:
            checkpoint.read_state(run.final)  # success means that the last checkpoint is there and right
    return run


def _loop(run: Run, stop: StopRequest) -> None:
    _fire(run, "train_begin")
    first = run.update
    while not run.finished:
        update = run.update
        if update == first or run.order.epoch(update) != run.order.epoch(update - 1):
            _fire(run, "epoch_begin")
        _fire(run, "step_begin")
        run.step = _update(run, update)
        run.update = update + 1
        run.profile.updated()
        _fire(run, "step_end")
        stopping, run.ended = run.world.any(stop.signal is not None, run.ended)
        if run.finished or run.order.epoch(update + 1) != run.order.epoch(update):
            _refuse_non_finite(run)  # the epoch's summary fetches numbers from the device: look first
            _fire(run, "epoch_end")
        if stopping and not run.finished:
            _refuse_non_finite(run)
            run.save()
            action, signalled = "run again to continue", stop.signal or "another process"
            raise TrainingError("STOPPED", f"{signalled} after update {run.update}, state saved", action=action)
    _fire(run, "train_end")


def _update(run: Run, update: int) -> Step:
    """One optimizer update: gradients of every micro-batch, then, if all is finite, clip and step."""
    fed = run.feed.take(update)
    run.rows_digest.add(run.data.row_keys[fed.rows])
    total = _gradient(run, fed.lanes[0]) if run.plan.lanes == 1 else lanes_gradient(run, update, fed.lanes)
    overflow = run.precision.unscale(run.optimizer)
    grad_norm = run.clip()
    run.guard.observe(update, total["loss"], grad_norm, overflow)
    if run.asks_device(update + 1):
        _refuse_non_finite(run)
    lr = run.plan.optimizer.lr * run.schedule(update)
    run.calls.set_rate(lr, update)
    if run.guard.can_skip or overflow is None or not run.guard.skip:
        with run.sharded.stepping() if run.sharded else contextlib.nullcontext():
            run.calls.step(total["loss"])
        if run.recipe.after_step is not None:
            with torch.no_grad():
                run.recipe.after_step(run.model, run.config, update)
    run.optimizer.zero_grad(set_to_none=True)
    run.precision.update()
    total["grad_norm"] = grad_norm
    if overflow is not None:  # nothing was stepped by an overflown gradient, and JSON knows no infinity
        total |= {"grad_norm": torch.where(overflow > 0, 0.0, grad_norm), "skipped": overflow}
    return Step(update=update, epoch=int(fed.epochs[0]), lr=lr, scalars=total)


def _gradient(run: Run, batches: Sequence[Batch]) -> dict[str, Tensor]:
    """The losses of an update's micro-batches in one lane, their gradient left in the parameters."""
    total: dict[str, Tensor] = {}
    items = sum(count for _, count in batches)
    with run.calls.passes():
        for batch, count in batches:
            losses = run.losses(batch)
            if len(batches) == 1:  # no share to take: three kernels an update less, and the same bits
                run.precision.backward(losses["loss"], again=run.calls.second_order)
                return {name: value.detach() for name, value in losses.items()}
            share = count / items if items else 1 / len(batches)
            if share or has_pass(losses["loss"]):
                run.precision.backward(losses["loss"] * share, again=run.calls.second_order)
            for name, value in losses.items():
                total[name] = total.get(name, 0.0) + weighed(value, share)
    return total


def _refuse_non_finite(run: Run) -> None:
    if (update := run.guard.first_bad_update()) is not None:
        raise blame(run, update)


def _fire(run: Run, name: str) -> None:
    for hook in run.hooks:
        getattr(hook, name)(run)


@contextlib.contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Catch the first SIGTERM or SIGINT, which ends training at the step's edge; the second takes effect at once.

    Outside the main thread, where Python allows no handlers, nothing is caught.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    previous = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def note(number: int, frame: object) -> None:
        request.signal = signal.Signals(number).name
        for each, handler in previous.items():
            signal.signal(each, handler)

    try:
        for number in previous:
            signal.signal(number, note)
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
