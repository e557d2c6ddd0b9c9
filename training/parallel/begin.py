"""Where every process of a run begins: rank 0 finds the newest good checkpoint or the origin, the others follow it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from torch import nn

from training import checkpoint
from training.branch import Origin, begin_from
from training.layout import cpu_copy
from training.parallel.replica import Replica
from training.resume import continue_run, restore
from training.run import Run
from training.run_directory import CHECKPOINTS


def begin(run: Run, directory: Path, origin: Origin | None) -> bool:
    """Put ``run`` where it begins; whether it goes on from a checkpoint of its own in ``directory``.

    Raises what resuming and branching do, and TrainingError RANKS_DIFFER unless all processes begin alike.
    """
    begun = False
    if run.world.leads:
        begun = continue_run(run)
        if not begun and origin:
            begin_from(run, origin)
    if run.world.size == 1:
        return begun
    begun, update, run.ended = run.world.tell([begun, run.update, run.ended])
    if not run.world.leads:
        _follow(run, directory, begun, update, origin)
    facts = {"run": run.fingerprint, "bits": run.bit_facts(), "update": run.update}
    run.world.require_same({**facts, "weights": _digests(run.model)})
    if run.world.reduction == "fast":
        run.replica = Replica(run.model, run.losses)
    return begun


def _follow(run: Run, directory: Path, begun: bool, update: int, origin: Origin | None) -> None:
    path = directory / CHECKPOINTS / f"{update:08d}"
    if begun or (origin and not origin.reset_progress):
        restore(run, path, checkpoint.read_state(path))
    elif origin:
        begin_from(run, origin)


def _digests(model: nn.Module) -> dict[str, str]:
    tensors = {name: cpu_copy(value) for name, value in model.named_parameters()}
    parts = {name: checkpoint.tensor_bytes(value).data for name, value in tensors.items()}
    return {name: hashlib.sha256(part).hexdigest() for name, part in parts.items()}
