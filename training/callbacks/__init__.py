"""What looks on while a run trains: six hooks, and the callbacks every run has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from assets_data.lineage import ConfigError
from training.callbacks.base import Callback
from training.callbacks.best import Best
from training.callbacks.checkpoints import Checkpoints
from training.callbacks.collapse import Collapse
from training.callbacks.log import Log
from training.callbacks.measure import Monitor, Validation, evaluating
from training.callbacks.progress import Progress
from training.callbacks.reports import Reports
from training.callbacks.trackers import trackers
from training.callbacks.watchdog import Watchdog
from training.callbacks.whole import Whole

if TYPE_CHECKING:
    from training.run import Run

__all__ = [
    "Best",
    "Callback",
    "Checkpoints",
    "Collapse",
    "Log",
    "Monitor",
    "Progress",
    "Reports",
    "Validation",
    "Watchdog",
    "evaluating",
    "standard_callbacks",
]


def standard_callbacks(run: Run, further: Sequence[Callback]) -> list[Callback]:
    """Every callback of a run, in the order in which its hooks fire.

    Checkpoints come after all that keep something, so that what is kept is what was known after that very update.
    A process that does not lead has only ``further`` and the watchdog, and what gives its share of a model that is cut.
    What a callback keeps lies in the checkpoint under its class's name. Raises ConfigError CALLBACK_NAME for one of
    ``further`` that has the name of a callback that is there anyway.
    """
    watchdog = [Watchdog()] if run.plan.stall_seconds else []
    whole = [Whole()] if run.sharded else []
    if not run.world.leads:
        return [*whole, *further, *([Checkpoints()] if run.sharded else []), *watchdog]
    best = Best()
    before = [*whole, Log(), Validation(), Monitor(), Collapse(), best, *trackers(run.plan)]
    after = [Checkpoints(best), Progress(), Reports(), *watchdog]
    names = {type(hook).__name__ for hook in [*before, *after]}
    if taken := sorted(names & {type(hook).__name__ for hook in further}):
        raise ConfigError("CALLBACK_NAME", "every run has a callback of this name; give the class another", found=taken)
    return [*before, *further, *after]
