"""Beginning a run from another run's state.

A branch is a new run: it takes everything over (weights, optimizer, generators, history, position), which is refused
unless the new data gives the same batches up to there, or the weights alone; the origin is a published snapshot, a
parent in the receipt. Going on from a state that this very run would pass through is no branch: it saves updates and
leaves no trace in what is made but a note.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assets_data.lineage import IntegrityError, Snapshot, TrainingError, digest_json, to_dict
from training import checkpoint, state
from training.beginning import run_order
from training.config import pin_length
from training.data import Data, fixed_members
from training.environment import bit_facts, reproducible
from training.metrics import EMPTY
from training.order import OrderDigest
from training.recipe import Recipe
from training.resume import differing, restore
from training.run import Run
from training.run_directory import METRICS

FIXED = ("recipe", "config.train.seed", "config.train.batch_rows")
"""What a branch cannot change, besides the optimizer and its settings other than the rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A checkpoint folder to begin from. ``reset_progress`` takes its weights only and begins at update 0; ``same_run``
    says that the run would pass through this very state. ``published`` is the id of the snapshot that it is.
    """

    checkpoint: Path
    reset_progress: bool = False
    same_run: bool = False
    published: str = ""

    def facts(self) -> dict[str, Any]:
        """What identifies the origin wherever it lies. Raises IntegrityError when the checkpoint does not verify."""
        if self.reset_progress:
            return {"checkpoint_id": checkpoint.model_id(self.checkpoint), "reset_progress": True}
        saved = checkpoint.read_state(self.checkpoint)
        return {
            "checkpoint_id": saved["checkpoint_id"],
            "update": saved["update"],
            "rows_digest": saved["rows_digest"],
            "run": digest_json(saved["fingerprint"]),
            "reset_progress": self.reset_progress,
        }


def published_origin(snapshot: Snapshot, reset_progress: bool = False) -> Origin:
    """The origin that a published snapshot is: a training state whole, or the weights of either kind."""
    weights_only = reset_progress or checkpoint.STATE not in snapshot.files
    return Origin(checkpoint=snapshot.path, reset_progress=weights_only, published=snapshot.id)


def same_run(newest: Path, recipe: Recipe, config: Any, data: Data, code: str) -> Path | None:
    """The last state up to ``newest``, in the same folder, that a run of ``config`` over ``data`` would pass through.

    That is one of the same config, ``code`` (the version of the training code) and facts that decide bits, of the same
    parents but those that hold the rows, and of the same batches before it, of a run that itself began at update 0 with
    new weights. None: the run can only begin there, too.
    """
    config = pin_length(config, len(data.row_keys))
    with reproducible(config.train) as device:
        bits = bit_facts(device)
    order = run_order(recipe, config, data)
    digest, digests = OrderDigest(), [OrderDigest().hex()]
    for update in range(int(newest.name)):
        digest.add(order.keys(update))
        digests.append(digest.hex())
    for path in reversed(checkpoint.stored(newest.parent)):
        if int(path.name) < len(digests) and (saved := _readable(path)):
            then = saved["fingerprint"]
            same = then["config"] == to_dict(config) and then.get("fixed") == fixed_members(data)
            same = same and then["code"] == code and saved["environment"] == bits and not saved["inexact"]
            if same and not then["origin"] and saved["rows_digest"] == digests[saved["update"]]:
                return path
    return None


def _readable(path: Path) -> dict[str, Any] | None:
    try:
        return checkpoint.read_state(path)
    except IntegrityError:
        return None


def begin_from(run: Run, origin: Origin) -> None:
    """Put ``run``, fresh and at update 0, where ``origin`` says; a state is then to be saved as its own first
    checkpoint.

    An origin that ended early has ended here too, unless the config is another one.
    Raises TrainingError BRANCH_NOTHING_LEFT when no update is left to do, BRANCH_ORDER when the batches before the
    checkpoint are not the same rows in the same order, BRANCH_CONFIG for what a branch cannot change, BRANCH_WEIGHTS
    for a model of another shape.
    """
    if origin.reset_progress:
        _load_weights(run, origin.checkpoint)
        run.journal.rewind(EMPTY)
        return
    saved = checkpoint.read_state(origin.checkpoint)
    changed = [d for d in differing(saved["fingerprint"], run.fingerprint) if not d[0].startswith("origin")]
    _refuse(run, saved, changed, origin.checkpoint)
    restore(run, origin.checkpoint, saved)
    there = {"update": saved["update"], "run": digest_json(saved["fingerprint"])}
    run.taken_over = there if origin.same_run else {}
    run.inexact += [f"{path} changed from {old!r} to {new!r}" for path, old, new in changed if path[:6] != "corpus"]
    run.journal.adopt(_history(origin.checkpoint), saved["history"])
    run.ended = saved["ended"] and not any(path.startswith("config.") for path, _, _ in changed)


def _history(path: Path) -> Path:
    """The metrics beside a published state, or those of the run whose folder this is."""
    return path / METRICS if (path / METRICS).is_file() else path.parents[1] / METRICS


def _load_weights(run: Run, path: Path) -> None:
    try:
        state.load(run.model, checkpoint.load_model(path), run.sharded)
    except RuntimeError as error:
        raise TrainingError("BRANCH_WEIGHTS", f"the weights do not fit this model: {error}", where=path) from error


def _refuse(run: Run, saved: Mapping[str, Any], changed: list[tuple[str, Any, Any]], where: Path) -> None:
    fixed = [
        f"{path}: {old!r} there, {new!r} here"
        for path, old, new in changed
        if path in FIXED or (path.startswith("config.train.optimizer.") and path != "config.train.optimizer.lr")
    ]
    if saved["update"] > run.plan.updates:
        fixed.append(f"config.train.updates: {run.plan.updates}, but the checkpoint is at {saved['update']}")
    own = any(path.startswith("config.") for path, *_ in changed)  # other data alone is restated, not trained on
    if not fixed and saved["update"] == run.plan.updates and own:
        what = f"the checkpoint is at update {saved['update']}, the last one: the branch would train nothing"
        action = "branch from an earlier state, or give it more updates"
        raise TrainingError("BRANCH_NOTHING_LEFT", what, where=where, action=action)
    if fixed:
        action = "give these back, or take the weights only (reset_progress)"
        raise TrainingError("BRANCH_CONFIG", "; ".join(fixed), where=where, action=action)
    _load_weights(run, where)  # to say of a misfit that it is one
    digest = OrderDigest()
    for update in range(saved["update"]):
        digest.add(run.order.keys(update))
    if digest.hex() != saved["rows_digest"]:
        raise TrainingError(
            "BRANCH_ORDER",
            f"the first {saved['update']} updates of this data are not the batches the checkpoint was trained on",
            expected=saved["rows_digest"],
            found=digest.hex(),
            where=where,
            action="branch from an earlier checkpoint, or take the weights only (reset_progress)",
        )
