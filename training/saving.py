"""A run's checkpoint in the making: copied at a step's edge, written, published at an edge, that one or a later one.

Writing needs neither the run nor another process, so a thread can do it while training goes on; one is in flight at a
time. What it raises is raised where the checkpoint is published.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets_data.lineage import to_dict
from training import state
from training.checkpoint import Draft
from training.parallel.pieces import Pieces

if TYPE_CHECKING:
    from training.run import Run


class Saving:
    """All that a run's checkpoint of the present update will say. Where the model is cut, every process makes one."""

    def __init__(self, run: Run, final: Path) -> None:
        tensors, numbers = state.capture(run.model, run.optimizer, run.sharded)
        self._facts = {**_facts(run), "optimizer": numbers}
        self._beside = {"config.json": to_dict(run.config), "references.json": run.references}
        self._draft: Pieces | _Whole = Pieces(run.sharded, final, tensors) if run.sharded else _Whole(final, tensors)
        self._thread: threading.Thread | None = None

    def write(self) -> None:
        """Write it now."""
        self._draft.write()

    def write_behind(self) -> None:
        """Write it while others go on."""
        self._thread = threading.Thread(target=self._draft.write)
        self._thread.start()

    @property
    def written(self) -> bool:
        """Nothing is being written any more."""
        return self._thread is None or not self._thread.is_alive()

    def publish(self) -> Path:
        """Let it appear, once it is written; where the model is cut, every process must ask. Raises StorageError."""
        self._wait()
        return self._draft.publish(self._facts, self._beside)

    def drop(self) -> None:
        """Let go of it, written or not."""
        self._wait()
        self._draft.drop()

    def _wait(self) -> None:
        if self._thread:
            self._thread.join()


class Pending:
    """A checkpoint that is written behind the run, and what is done with it (``after``) once it is there."""

    def __init__(self, saving: Saving, after: Callable[[Path], None]) -> None:
        self.saving, self._after = saving, after

    def settle(self) -> None:
        """Wait for it, publish it. Raises StorageError."""
        self._after(self.saving.publish())


class _Whole:
    """The checkpoint of a model that one process has whole."""

    def __init__(self, final: Path, tensors: dict[str, state.Tensors]) -> None:
        self._draft, self._tensors = Draft.begin(final), tensors
        self._error: BaseException | None = None

    def write(self) -> None:
        try:
            self._draft.write(self._tensors)
        except BaseException as error:  # raised where it is published, which may be another thread
            self._error = error

    def publish(self, facts: dict[str, Any], beside: dict[str, Any]) -> Path:
        try:
            if self._error is not None:
                raise self._error
            return self._draft.publish(facts, beside)
        finally:
            self._draft.drop()

    def drop(self) -> None:
        self._draft.drop()


def _facts(run: Run) -> dict[str, Any]:
    return {
        "fingerprint": run.fingerprint,
        "environment": run.bit_facts(),
        "report": run.environment,
        "inexact": run.inexact,
        "history": run.journal.position(),
        "precision": run.precision.state(),
        "rows_digest": run.rows_digest.hex(),
        "callbacks": {type(hook).__name__: kept for hook in run.hooks if (kept := hook.state())},
        "ended": run.ended,
        "taken_over": run.taken_over,
        "elapsed_s": run.profile.seconds(),
    }
