"""Where a run goes on: at its own newest good checkpoint, at another run's, or at the beginning.

Owns the two answers to "may this be continued here": refuse, or not bit-exact. Another corpus, config, seed or code is
another run and is refused, with every difference listed. Another thread count, torch version or device continues, and
the run says from then on that it is not bit-exact and why.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from assets_data.lineage import TrainingError
from training import checkpoint, state
from training.metrics import EMPTY
from training.order import OrderDigest
from training.run import Run
from training.run_directory import BEST, CHECKPOINTS


def continue_run(run: Run) -> bool:
    """Go to where the newest good checkpoint left off; False, and an empty history, when there is none."""
    folder, best = run.directory / CHECKPOINTS, run.directory / BEST
    checkpoint.sweep(folder)
    checkpoint.sweep(best)
    found = checkpoint.newest(folder)
    if found is None:
        shutil.rmtree(best, ignore_errors=True)
        run.journal.rewind(EMPTY)
        return False
    path, saved = found
    refuse_other_run(saved["fingerprint"], run.fingerprint, path)
    restore(run, path, saved)
    run.journal.rewind(saved["history"])
    run.ended = saved["ended"]
    for later in checkpoint.stored(best):
        if int(later.name) > run.update:  # what a killed process did after its last checkpoint is done again
            checkpoint.remove(later)
    return True


def restore(run: Run, path: Path, saved: Mapping[str, Any]) -> None:
    """Put a verified checkpoint's weights, optimizer, scaler, generators, callbacks and position into ``run``."""
    state.restore(run.model, run.optimizer, checkpoint.load_tensors(path, saved), saved["optimizer"], run.sharded)
    run.precision.restore(saved["precision"])
    run.rows_digest = OrderDigest(saved["rows_digest"])
    for hook in run.hooks:
        hook.restore(saved["callbacks"].get(type(hook).__name__, {}))
    run.update, run.profile.before = saved["update"], saved["elapsed_s"]
    run.taken_over = saved.get("taken_over", {})
    run.inexact = [*saved["inexact"], *inexact_reasons(saved["environment"], run.bit_facts())]


def refuse_other_run(saved: Mapping[str, Any], current: Mapping[str, Any], where: Path) -> None:
    """Raise TrainingError RESUME_MISMATCH listing every differing field of the two fingerprints."""
    differences = [f"{path}: {old!r} in the checkpoint, {new!r} now" for path, old, new in differing(saved, current)]
    if differences:
        raise TrainingError(
            "RESUME_MISMATCH",
            "this run directory belongs to another run: " + "; ".join(differences),
            where=where,
            action="give back what differs to resume, or start a new run in an empty directory",
        )


def inexact_reasons(saved: Mapping[str, Any], current: Mapping[str, Any]) -> list[str]:
    """Why a continuation here may differ in bits from an undisturbed run; empty when it will not."""
    return [f"{path} changed from {old!r} to {new!r}" for path, old, new in differing(saved, current)]


def differing(saved: Any, current: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """``(dotted path, old, new)`` for every leaf that differs; a missing leaf is None."""
    if isinstance(saved, Mapping) and isinstance(current, Mapping):
        for key in sorted({*saved, *current}):
            yield from differing(saved.get(key), current.get(key), f"{path}.{key}" if path else str(key))
    elif saved != current:
        yield path, saved, current
