"""The deterministic history of a run, one line per update, fetched from the device one interval at a time."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from assets_data.lineage import TrainingError
from training.metrics import JsonLines, finite

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One finished update (counted from 0). Its numbers may still be on the device."""

    update: int
    epoch: int
    lr: float
    scalars: Mapping[str, Tensor]


class Journal:
    """Collects steps and measurements.

    ``latest`` holds the last value of everything, ``measured`` the update of every held-out measurement's last one.
    ``listeners`` are called with every line written: the update and its numbers. A number that is not finite is
    missing: null in the log, told to no listener, and said as a warning; in ``latest`` it stays what it is, so that
    whoever compares it sees that it is no improvement.
    """

    def __init__(self, path: Path) -> None:
        self.lines = JsonLines(path)
        self.latest: dict[str, float] = {}
        self.measured: dict[str, int] = {}
        self.listeners: list[Callable[[int, Mapping[str, float]], None]] = []
        self._pending: list[Step] = []

    @property
    def headlines(self) -> dict[str, float]:
        """The latest values that fit a line; a name with a slash is a detail of a group, for the log and its plots."""
        return {name: value for name, value in self.latest.items() if "/" not in name}

    def note(self, step: Step) -> None:
        """Keep an update's numbers without asking the device for them."""
        self._pending.append(step)

    def commit(self) -> None:
        """Write one line per pending update. Synchronises with the device once."""
        if not self._pending:
            return
        names = list(self._pending[0].scalars)
        stacked = torch.stack([step.scalars[name].float() for step in self._pending for name in names])
        values_SN = stacked.view(len(self._pending), len(names)).tolist()
        for step, values in zip(self._pending, values_SN, strict=True):
            known = {**dict(zip(names, values, strict=True)), "lr": step.lr}
            self.latest |= known
            self.lines.append({"update": step.update + 1, "epoch": step.epoch, **finite(known)})
            self._tell(step.update + 1, known)
        self._pending.clear()

    def record(self, update: int, points: Mapping[str, float]) -> None:
        """Write held-out measurements taken after ``update`` updates; where there are none, no line.

        Raises TrainingError MEASUREMENT_TYPE, naming it, for one that is no number at all.
        """
        if not points:
            return
        self.commit()
        known = {name: _number(name, value, update) for name, value in points.items()}
        self.latest |= known
        self.measured |= dict.fromkeys(known, update)
        self.lines.append({"update": update, "monitor": finite(known)})
        self._tell(update, known)

    def position(self) -> dict[str, Any]:
        """Length and digest of everything so far, durable."""
        self.commit()
        return self.lines.position()

    def rewind(self, position: Mapping[str, Any]) -> None:
        """Forget everything after ``position``; what a killed process had pending is gone with it."""
        self.lines.rewind(position)

    def adopt(self, source: Path, position: Mapping[str, Any]) -> None:
        """Begin with another run's history up to ``position``."""
        self.lines.adopt(source, position)

    def _tell(self, update: int, points: Mapping[str, float]) -> None:
        numbers = {name: value for name, value in points.items() if math.isfinite(value)}
        if missing := sorted(points.keys() - numbers.keys()):
            log.warning("update %d: not a finite number, so missing in the log: %s", update, ", ".join(missing))
        for listener in self.listeners:
            listener(update, numbers)

    def close(self) -> None:
        """Close the file; what is pending is dropped, as a run that ends well has committed."""
        self.lines.close()


def _number(name: str, value: Any, update: int) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError) as error:  # torch's, for a tensor of several numbers
        raise TrainingError(
            "MEASUREMENT_TYPE",
            f"measurement {name!r} after update {update} is no number",
            expected="a float, or NaN where it is undefined",
            found=type(value).__name__,
            action="mend the recipe's monitor and run again: it continues from the last checkpoint",
        ) from error
