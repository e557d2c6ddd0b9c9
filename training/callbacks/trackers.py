"""Curves to TensorBoard, Weights & Biases or MLflow: off by default, each behind its own optional package."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from assets_data.lineage import ConfigError, to_dict
from training.callbacks.base import Callback
from training.config import TrainConfig

if TYPE_CHECKING:
    from training.run import Run


class Tracker(Callback):
    """Passes on what the journal writes; never asks the device by itself."""

    def train_begin(self, run: Run) -> None:
        self.open(run)
        run.journal.listeners.append(self.send)

    def open(self, run: Run) -> None: ...
    def send(self, update: int, points: Mapping[str, float]) -> None: ...


class TensorBoard(Tracker):
    """Event files under ``tensorboard/`` in the run directory."""

    def open(self, run: Run) -> None:
        _require("tensorboard")
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(run.directory / "tensorboard"), purge_step=run.update + 1)

    def send(self, update: int, points: Mapping[str, float]) -> None:
        for name, value in points.items():
            self._writer.add_scalar(name, value, update)

    def train_end(self, run: Run) -> None:
        self._writer.close()


class WandB(Tracker):
    """One W&B run per run directory, continued on resume. Where it goes is W&B's own environment's business."""

    def open(self, run: Run) -> None:
        name = run.directory.name
        self._run = _require("wandb").init(id=name, name=name, resume="allow", config=to_dict(run.config))

    def send(self, update: int, points: Mapping[str, float]) -> None:
        self._run.log(dict(points), step=update)

    def train_end(self, run: Run) -> None:
        self._run.finish()


class MLflow(Tracker):
    """One MLflow run per process, named after the run directory."""

    def open(self, run: Run) -> None:
        self._mlflow = _require("mlflow")
        self._mlflow.start_run(run_name=run.directory.name)

    def send(self, update: int, points: Mapping[str, float]) -> None:
        self._mlflow.log_metrics(dict(points), step=update)

    def train_end(self, run: Run) -> None:
        self._mlflow.end_run()


TRACKERS: dict[str, type[Tracker]] = {"tensorboard": TensorBoard, "wandb": WandB, "mlflow": MLflow}


def trackers(plan: TrainConfig) -> list[Tracker]:
    """The configured trackers. Raises ConfigError TRACKER_MISSING for one whose package is not installed."""
    for name in plan.trackers:
        _require(name)
    return [TRACKERS[name]() for name in plan.trackers]


def _require(package: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError as error:
        action = f"pip install {package}, or take it out of train.trackers"
        raise ConfigError(
            "TRACKER_MISSING", f"{package} is not installed", where="train.trackers", action=action
        ) from error
