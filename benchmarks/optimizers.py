"""Which optimizers and schedules a run can have: every name that the installed library and torch offer, tried.

walk_lm's smoke preset, its kwargs included, with nothing but the name changed, over made-up rows: six updates in one
go, and three, a stop, and three more from the checkpoint. Both must end in the same bytes, of weights, optimizer state
and generators. What the preflight refuses is listed with its code and reason. ``python -m benchmarks.optimizers``.
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytorch_optimizer

from assets_data.lineage import with_overrides
from benchmarks.result import save
from benchmarks.training_loop import Unmeasured
from benchmarks.training_peers import RECIPE, MadeUpRows
from training.callbacks import Callback
from training.checkpoint import read_state
from training.checks import config_issues
from training.config.problems import OWN_SCHEDULES
from training.loop import train
from training.optim import TORCH_OPTIMIZERS
from training.recipes.walk_lm.config import WalkLmConfig

UPDATES, STOP, WARMUP = 6, 3, 1
KEPT = ("files", "optimizer", "checkpoint_id")
"""What must be the same in both last checkpoints: digests of all files, and the rest of the optimizer's state."""
ARGUMENTS: dict[str, dict[str, Any]] = {
    "cosine_annealing_with_warm_restart": {"T_0": 2},
    "multi_step": {"milestones": [2, 4]},
    "step": {"step_size": 2},
}
"""What schedules need that does not follow from the run; without it they are refused, naming it."""


class Stopped(Exception):
    """Stands for whatever ends a process between two updates."""


class StopAt(Callback):
    """Ends the run after the checkpoint of update ``STOP``."""

    def step_begin(self, run: Any) -> None:
        if run.update == STOP:
            raise Stopped


def optimizer_names() -> list[str]:
    """Every name there is, in lower case."""
    return sorted({*TORCH_OPTIMIZERS, *pytorch_optimizer.get_supported_optimizers()})


def schedule_names() -> list[str]:
    """Every name there is."""
    return sorted({*OWN_SCHEDULES, *pytorch_optimizer.get_supported_lr_schedulers()})


def base_config() -> WalkLmConfig:
    """The smoke preset, six updates long."""
    smoke = RECIPE.presets["smoke"]()
    schedule = replace(smoke.train.schedule, warmup=WARMUP)
    plan = replace(smoke.train, updates=UPDATES, checkpoint_every=STOP, monitor_every=0, validate_every=0)
    return replace(smoke, train=replace(plan, schedule=schedule, batch_rows=8, device="cpu"))


def try_optimizer(name: str) -> dict[str, Any]:
    """What becomes of the config with this optimizer."""
    return outcome(with_overrides(base_config(), {"train.optimizer.name": name}))


def try_schedule(name: str, arguments: dict[str, Any] | None = None) -> dict[str, Any]:
    """What becomes of the config with this schedule."""
    warmup = 0 if name == "cosine" else WARMUP
    changes = {"name": name, "warmup": warmup, "kwargs": arguments or {}}
    return outcome(with_overrides(base_config(), {f"train.schedule.{key}": value for key, value in changes.items()}))


def outcome(config: WalkLmConfig) -> dict[str, Any]:
    """``{"result": "bit-equal" or "differs"}``, with the warnings; or ``"refused"`` with code, path and reason."""
    issues = list(config_issues(RECIPE, config))
    for issue in issues:
        if issue.severity == "error":
            return {"result": "refused", "code": issue.code, "path": issue.path, "reason": issue.message}
    with tempfile.TemporaryDirectory() as folder:
        whole, resumed = (ended(config, Path(folder) / name, stop) for name, stop in (("whole", False), ("cut", True)))
    result = "bit-equal" if all(whole[key] == resumed[key] for key in KEPT) else "differs"
    warnings = sorted({issue.code for issue in issues})
    return {"result": result, **({"warnings": warnings} if warnings else {})}


def ended(config: WalkLmConfig, folder: Path, stop: bool) -> dict[str, Any]:
    """The last checkpoint's state of one run; with ``stop`` of one that was ended half-way and run again."""
    if stop:
        with contextlib.suppress(Stopped):
            train(Unmeasured(), config, rows(), folder, code="benchmark", callbacks=[StopAt()])  # type: ignore[arg-type]
    return read_state(train(Unmeasured(), config, rows(), folder, code="benchmark").final)  # type: ignore[arg-type]


@cache
def rows() -> MadeUpRows:
    """The same rows for every name."""
    return MadeUpRows(base_config().model.context + 1)


def counted(found: dict[str, dict[str, Any]]) -> dict[str, int]:
    """How many names came to which result."""
    results = [entry["result"] for entry in found.values()]
    return {result: results.count(result) for result in sorted(set(results))}


def main() -> None:
    """Try every name and save."""
    logging.disable(logging.WARNING)
    tries: dict[str, tuple[list[str], Callable[[str], dict[str, Any]]]] = {
        "optimizers": (optimizer_names(), try_optimizer),
        "schedules": (schedule_names(), lambda name: try_schedule(name, ARGUMENTS.get(name))),
    }
    figures: dict[str, Any] = {"updates": UPDATES, "stopped_after": STOP, "schedule_arguments": ARGUMENTS}
    for kind, (names, attempt) in tries.items():
        found = {name: attempt(name) for name in names}
        figures[kind] = {"names": len(names), "results": counted(found), "by_name": found}
    save("optimizers", ["torch", "pytorch_optimizer"], figures)


if __name__ == "__main__":
    main()
