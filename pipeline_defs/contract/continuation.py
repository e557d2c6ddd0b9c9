"""Whether a training that was cut off goes on exactly, and goes on from nothing that learned from another snapshot."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from assets_data.lineage import TrainingError
from training.data import Data, fixed_members
from training.recipe import Recipe


def continuation_problems(recipe: Recipe, config: Any, data: Data, folder: Path) -> Iterator[str]:
    """Cut off after an update and run again, it ends with the same bits; under another fixed member it is refused."""
    from training.loop import train

    calm = train(recipe, config, data, folder / "calm", code="contract")
    lines = [json.loads(line) for line in (folder / "calm" / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    if len(losses) != calm.plan.updates or not all(map(math.isfinite, losses)):
        yield f"three updates gave the losses {losses}"
    for update in (1, 2):
        _train_cut_off(recipe, config, data, folder / f"cut-{update}", update)
        train(recipe, config, data, folder / f"cut-{update}", code="contract")
        if _outcome(folder / f"cut-{update}") != _outcome(folder / "calm"):
            yield f"cut off after update {update} and run again, it ends in another state"
    for name in fixed_members(data):
        try:
            train(recipe, config, cast(Data, _Replaced(data, name)), folder / "calm", code="contract")
            yield f"a run went on although {name} was replaced"
        except TrainingError as error:
            if error.code != "RESUME_MISMATCH":
                yield f"with another {name}: {error}"


def _train_cut_off(recipe: Recipe, config: Any, data: Data, directory: Path, update: int) -> None:
    from training.callbacks import Callback
    from training.loop import train

    class CutOff(Exception):
        pass

    class StopAt(Callback):
        def step_end(self, run: Any) -> None:
            if run.update == update:
                raise CutOff

    try:
        train(recipe, config, data, directory, code="contract", callbacks=[StopAt()])
    except CutOff:
        return


def _outcome(directory: Path) -> tuple[Any, ...]:
    """Digests of everything that must be bit-equal: tensors, optimizer, generators, history, callbacks."""
    from training.checkpoint import read_state, stored

    state = read_state(stored(directory / "checkpoints")[-1])
    return state["files"], state["callbacks"], (directory / "metrics.jsonl").read_bytes()


class _Replaced:
    """The same data with another snapshot as one of its members."""

    def __init__(self, data: Data, name: str) -> None:
        self._data, self.members = data, {**data.members, name: "sha256:" + "0" * 64}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._data, name)
