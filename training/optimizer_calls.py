"""How the loop calls an optimizer, and which weights it wants to be judged by.

Torch's own are called as ever. Of the library's, some run parts of the model at a rate of their own, some read the
loss, some differentiate twice, and schedule-free ones (Defazio et al. 2024) and SPlus train on other weights than they
answer for: these are measured and published in their evaluation mode.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from assets_data.lineage import TrainingError
from training.config.optimizers import LOSS_READERS, RATE_DIVIDERS, SECOND_ORDER

RATIO = "lr_ratio"
"""Of a group's rate to the run's, where they differ; lies in the group."""
FIRST = "first_update"
"""The first update that moves a group, where it is not 0; lies in the group."""


class OptimizerCalls:
    """One run's optimizer, by the three calls an update makes: ``passes``, ``set_rate`` and ``step``."""

    def __init__(self, optimizer: torch.optim.Optimizer, name: str) -> None:
        self.optimizer, self.name = optimizer, name.lower()
        self.second_order = self.name in SECOND_ORDER
        self._trusted = type(optimizer).__module__.startswith("torch.")

    def passes(self) -> contextlib.AbstractContextManager[object]:
        """Around the forward and backward passes: with attention that can be differentiated twice where that is due."""
        return _twice_differentiable() if self.second_order else contextlib.nullcontext()

    def set_rate(self, lr: float, update: int = 0) -> None:
        """``lr`` is the run's rate of this update; every group's follows, and is 0 before the group's first update."""
        for group in self.optimizer.param_groups:
            group["lr"] = 0.0 if update < group.get(FIRST, 0) else lr * group.get(RATIO, 1.0)
            if "max_lr" in group:  # of AliG, which finds its own rate below it
                group["max_lr"] = lr

    def step(self, loss: Tensor) -> None:
        """One step; ``loss`` is this update's. Raises TrainingError OPTIMIZER_STEP for what the library raises."""
        if self._trusted:
            self.optimizer.step()
            return
        if self.name in RATE_DIVIDERS and not any(group["lr"] for group in self.optimizer.param_groups):
            return
        try:
            if self.name in LOSS_READERS:
                value = float(loss)
                self.optimizer.step(lambda: value)
            else:
                self.optimizer.step()
        except Exception as error:  # whatever a foreign optimizer does to a model of another kind than its author's
            message = f"{self.name} failed on this model: {type(error).__name__}: {error}"
            action = "look at train.optimizer.kwargs, or take another optimizer; the last checkpoint is intact"
            raise TrainingError("OPTIMIZER_STEP", message, where="train.optimizer", action=action) from error


@contextlib.contextmanager
def _twice_differentiable() -> Iterator[None]:
    """The fused attention kernels have no second derivative. Torch warns of a cycle that ``zero_grad`` breaks."""
    with sdpa_kernel(SDPBackend.MATH), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Using backward.. with create_graph")
        yield


def has_evaluation_weights(optimizer: torch.optim.Optimizer) -> bool:
    """Whether ``optimizer`` trains on other weights than those it answers for."""
    return callable(getattr(optimizer, "eval", None)) and callable(getattr(optimizer, "train", None))


@contextlib.contextmanager
def evaluation_weights(optimizer: torch.optim.Optimizer | None) -> Iterator[None]:
    """The model's parameters are those to evaluate inside, and to the bit what they were afterwards.

    Costs a copy of the parameters for an optimizer that tells the two apart, nothing for any other.
    """
    if optimizer is None or not has_evaluation_weights(optimizer):
        yield
        return
    groups = optimizer.param_groups
    members = [group["params"] for group in groups]
    kept = [[(p, p.detach().clone()) for p in params if optimizer.state.get(p)] for params in members]
    for group, pairs in zip(groups, kept, strict=True):  # a parameter that never had a gradient has but one value
        group["params"] = [p for p, _ in pairs]
    try:
        optimizer.eval()  # type: ignore[attr-defined]
        try:
            yield
        finally:
            optimizer.train()  # type: ignore[attr-defined]
    finally:
        for group, params in zip(groups, members, strict=True):
            group["params"] = params
        with torch.no_grad():
            for p, value in (pair for pairs in kept for pair in pairs):  # going there and back rounds
                p.copy_(value)
