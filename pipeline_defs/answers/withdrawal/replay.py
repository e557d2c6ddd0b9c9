"""Doing again what a receipt says was done: the declared stage, called with a receipt's config, arguments and parents.

What ``rebuild`` and ``withdraw --apply`` share. A kind that no stage declares, or that is made on request only, cannot
be replayed, and is named.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assets_data.lineage import DataError, Snapshot, Store
from assets_data.lineage.queries.explain import ORIGIN
from assets_data.lineage.receipts.code import code_version
from assets_data.lineage.receipts.receipt import Receipt
from assets_data.lineage.storage.tombstones import WITHDRAWN
from assets_data.stage import Stage
from pipeline_defs.catalogue import TRAINING_STATE, catalogue
from training.recipe import find_recipe, is_training

Parents = Mapping[str, list[Snapshot]]
"""What was read, by the name of the input, in the order of the receipt."""


@dataclasses.dataclass(frozen=True, slots=True)
class Replay:
    """Where to publish, and the newest state (a folder) of an earlier run that a training may go on from, if it would
    pass through it or one before; without one, training begins anew.
    """

    store: Store
    state: Path | None = None

    def run(self, receipt: Receipt, parents: Parents) -> Snapshot:
        """What the receipt's stage makes of ``parents`` today. Raises DataError REPLAY_UNKNOWN for another kind."""
        gone = frozenset(bytes.fromhex(record) for record in receipt.arguments.get(WITHDRAWN, ()))
        withdrawing = self.store.withdrawing | gone
        store = dataclasses.replace(self.store, requested=receipt.requested, withdrawing=withdrawing)
        if receipt.stage.endswith(f"/{TRAINING_STATE}"):
            return _training_state(store, receipt, parents)
        stage = catalogue().stages.get(receipt.stage)
        if stage is None or stage.on_request:
            action = "run it by hand, then point its name at the result"
            raise DataError("REPLAY_UNKNOWN", "this kind cannot be replayed", found=receipt.stage, action=action)
        inputs = _inputs(stage, receipt, parents)
        config = stage.replay_config(receipt.config)
        return stage.call(
            store, inputs, config, receipt.arguments.get("slice", ""), **self._further(store, stage, receipt, inputs)
        )

    def _further(self, store: Store, stage: Stage, receipt: Receipt, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """What only a checkpoint takes: whether its origin's weights alone count, and a state that saves updates."""
        if not is_training(stage):
            return {}
        further: dict[str, Any] = {"reset_progress": bool(receipt.arguments.get("reset_progress"))}
        if self.state is not None:
            from training.branch import same_run
            from training.job import Job, named_inputs
            from training.stages import training_code

            recipe = stage.bind["recipe"]
            job = Job(store=store, recipe=recipe, inputs=named_inputs(recipe, inputs), preflight=inputs["preflight"])
            further["state"] = same_run(self.state, recipe, job.config, job.data, code_version(*training_code(recipe)))
        return further


def _inputs(stage: Stage, receipt: Receipt, parents: Parents) -> dict[str, Any]:
    """The stage's inputs as it takes them: slices by name where the receipt says the names, else by place."""
    inputs: dict[str, Any] = {}
    for name, group in parents.items():
        given = stage.inputs.get(name)
        if given and given.many:
            names = receipt.arguments.get("slices") or [str(place) for place in range(len(group))]
            inputs[name] = dict(zip(names, group, strict=True))
        elif len(group) == 1:
            inputs[name] = group[0]
    return {**{name: {} for name, given in stage.inputs.items() if given.many}, **inputs}


def _training_state(store: Store, receipt: Receipt, parents: Parents) -> Snapshot:
    from training.job import Job, named_inputs
    from training.training_state import remake_state

    recipe = find_recipe(receipt.stage.partition("/")[0])
    single = {name: group[0] for name, group in parents.items()}
    job = Job(store=store, recipe=recipe, inputs=named_inputs(recipe, single), preflight=single["preflight"])
    reset_progress = bool(receipt.arguments.get("reset_progress"))
    return remake_state(job, receipt.arguments["update"], single.get(ORIGIN), reset_progress)
