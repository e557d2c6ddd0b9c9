"""Where every process of a run begins: rank 0 finds the newest good checkpoint or the origin, the others follow it."""

from __future__ import annotations

from pathlib import Path

from training import checkpoint
from training.branch import Origin, begin_from
from training.parallel.pieces import digests
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
    begun, update, run.ended = run.world.tell([begun, run.update, run.ended])
    if not run.world.leads:
        _follow(run, directory, begun, update, origin)
    if origin and not begun and not origin.reset_progress:
        run.save()
    if run.world.size > 1:
        facts = {"run": run.fingerprint, "bits": run.bit_facts(), "update": run.update}
        weights = {} if run.sharded else digests(run.model)  # looked at before it was cut
        run.world.require_same({**facts, "weights": weights})
    if run.world.reduction == "fast":
        run.replica = Replica(run.model, run.losses)
    return begun


def _follow(run: Run, directory: Path, begun: bool, update: int, origin: Origin | None) -> None:
    if begun:
        path = directory / CHECKPOINTS / f"{update:08d}"
        restore(run, path, checkpoint.read_state(path))
    elif origin and not origin.reset_progress:
        restore(run, origin.checkpoint, checkpoint.read_state(origin.checkpoint))
    elif origin:
        begin_from(run, origin)
