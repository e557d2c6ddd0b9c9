"""Before a measurement, the whole of a model that is cut over processes, on rank 0: a twin that nobody trains."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from training.callbacks.base import Callback

if TYPE_CHECKING:
    from training.run import Run


class Whole(Callback):
    """Every process has one, as all must give their rows; rank 0 measures on what it put together.

    Costs rank 0 the memory of the model once more, from the first measurement on.
    """

    def step_end(self, run: Run) -> None:
        plan, sharded = run.plan, run.sharded
        measures = any(run.due(every) for every in (plan.validate_every, plan.monitor_every, plan.collapse_every))
        if sharded is None or not measures:
            return
        with torch.no_grad():
            whole = sharded.whole()
            if run.world.leads:
                twin = run.twin or run.make_twin()
                twin.load_state_dict(whole)
                run.twin = twin
