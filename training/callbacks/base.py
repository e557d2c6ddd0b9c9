"""The six hooks around the loop.

A callback looks at the run and may write files; it never changes weights, generators or order, so any of them can be
taken out without changing the result. Hooks fire in list order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from training.run import Run


class Callback:
    """All six hooks, doing nothing. ``run.update`` counts finished updates."""

    def train_begin(self, run: Run) -> None: ...
    def train_end(self, run: Run) -> None: ...
    def epoch_begin(self, run: Run) -> None: ...
    def epoch_end(self, run: Run) -> None: ...
    def step_begin(self, run: Run) -> None: ...
    def step_end(self, run: Run) -> None: ...

    def state(self) -> dict[str, Any]:
        """What must survive a resume, as JSON; kept in the checkpoint under the class's name."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state` gave; called before ``train_begin``, with ``{}`` when there was none."""

    def close(self) -> None:
        """Let go of threads and the like; called once, however the run ends, also when it never began."""
