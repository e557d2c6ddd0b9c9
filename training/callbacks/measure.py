"""Held-out measurements: the training loss on rows never trained on, and what the recipe's monitor finds.

Both run in evaluation mode without gradients, on a forked generator and the run's own precision, so that measuring or
not measuring, and how often, changes no bit of the training.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from assets_data.lineage import keyed_order
from training.callbacks.base import Callback
from training.config import derived_seed
from training.environment import autocast
from training.generators import forked_generators
from training.optimizer_calls import evaluation_weights

if TYPE_CHECKING:
    from training.run import Run


class Validation(Callback):
    """The recipe's losses on the held-out rows, each a mean over items, as ``val_<name>``."""

    def train_begin(self, run: Run) -> None:
        rows = run.data.validation
        self._chosen = np.empty(0, np.int64) if rows is None else chosen_rows(run, rows.row_keys)

    def step_end(self, run: Run) -> None:
        if len(self._chosen) and run.due(run.plan.validate_every):
            with measuring(run):
                run.journal.record(run.update, validate(run, self._chosen))


class Monitor(Callback):
    """What the recipe measures on held-out data, at intervals and at the end."""

    def step_end(self, run: Run) -> None:
        if run.due(run.plan.monitor_every):
            with measuring(run), autocast(run.plan, run.device):
                points = run.recipe.monitor(run.model, run.data, run.config)
            run.journal.record(run.update, points)


def chosen_rows(run: Run, row_keys: np.ndarray) -> np.ndarray:
    """At most ``max_val_samples`` held-out rows, int64, ascending: the same at every update and on every machine."""
    seed = derived_seed(run.plan.seed, "validation")
    return np.sort(keyed_order(seed, 0, row_keys)[: run.plan.max_val_samples])


def validate(run: Run, rows: np.ndarray) -> dict[str, float]:
    """Mean of every loss over the items of ``rows``, as ``val_<name>``. Asks the device once."""
    data = run.data.validation
    if data is None:
        return {}
    size = run.plan.val_batch_rows or run.plan.batch_rows
    total: dict[str, Tensor] = {}
    items = 0
    for begin in range(0, len(rows), size):
        part = rows[begin : begin + size]
        batch, count = run.batch(data, part, np.zeros(len(part), np.int64))
        for name, value in run.losses(batch).items() if count else ():
            total[name] = total.get(name, 0.0) + value.double() * count
        items += count
    values = torch.stack(list(total.values())).tolist() if total else []
    return {f"val_{name}": value / items for name, value in zip(total, values, strict=True)}


@contextlib.contextmanager
def measuring(run: Run) -> Iterator[None]:
    """:func:`evaluating` for a run; ``run.model`` is a whole one inside, where the model is cut over processes."""
    trained = run.model
    run.model = run.twin or trained
    try:
        with evaluating(run.model, run.optimizer):
            yield
    finally:
        run.model = trained


@contextlib.contextmanager
def evaluating(model: torch.nn.Module, optimizer: torch.optim.Optimizer | None = None) -> Iterator[None]:
    """Evaluation mode of model and optimizer, uncompiled and without gradients; everything is put back afterwards."""
    was_training = model.training
    with torch.no_grad(), forked_generators(), evaluation_weights(optimizer), _uncompiled(model):
        model.eval()
        try:
            yield
        finally:
            model.train(was_training)


@contextlib.contextmanager
def _uncompiled(model: torch.nn.Module) -> Iterator[None]:
    """Measurements come in many shapes; compiling each would cost more than it saves."""
    if getattr(model, "_compiled_call_impl", None) is None:
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield
