"""Trains a run in forked children that kill themselves (SIGKILL) at chosen moments, and runs them again.

A process of its own, so that torch is imported once, see :mod:`tests.training.forks`. A moment is an update
(``u5``) or the n-th time anything is opened, renamed, removed or made below the run directory (``e17``). The run is the
toy's (``toy_behind`` writes its checkpoints behind the run), or 30 updates of a real recipe, ``recipe`` or
``recipe/what it trains on``, over two epochs and more.
"""

import os
import signal
import sys
from pathlib import Path

from assets_data.lineage import Store, with_overrides
from tests.training import triples, walks
from tests.training.forks import fork, import_as, status_of
from tests.training.odd import OddToy, Rare, Sparse
from tests.training.recipes.hrm_lm.conftest import TINY as TINY_HRM
from tests.training.recipes.walk_lm.conftest import TINY as TINY_WALK
from tests.training.toy import ToyRecipe, toy_config, toy_data
from training.callbacks import Callback
from training.loop import train
from training.parallel.world import World
from training.recipe import discover

WATCHED = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.link", "shutil.rmtree"}
THIRTY = {"train.updates": 30, "train.checkpoint_every": 8, "train.validate_every": 8, "train.monitor_every": 16}
FLOOD = {
    "data.source": "flood", "data.mazes": 120, "data.judged_mazes": 5, "model.max_tokens": 40, "model.prefix_len": 8,
    "model.core.reads": "tokens", "model.core.l_len": 64, "model.core.gradient": "full", "model.core.ds_weight": 0.5,
    "model.core.segments": 3, "model.core.least_segments": 1, "model.core.eval_segments": 4,
    "model.core.reach": 1, "model.relative_positions": True, "model.window": 6,
}  # fmt: skip
TOYS = {"toy_odd": OddToy, "toy_sparse": Sparse, "toy_rare": Rare}
REAL = {
    "walk_lm": (TINY_WALK, lambda store: walks.make_inputs(store, train=40)),  # 120 rows, 8 per update
    "hrm_lm": (TINY_HRM, lambda store: {"manifest": triples.make_manifest(store)}),  # 120 rows, 8 per update
    "hrm_lm/flood": (TINY_HRM | FLOOD, lambda store: {"manifest": triples.make_manifest(store)}),  # 120 mazes
}


class KillAt(Callback):
    def __init__(self, update: int) -> None:
        self.update = update

    def step_end(self, run) -> None:
        if run.update == self.update:
            os.kill(os.getpid(), signal.SIGKILL)


def prepare(name: str, folder: Path) -> tuple:
    """Recipe, config and data of the run."""
    if name.startswith("toy"):
        return TOYS.get(name, ToyRecipe)(), toy_config(), toy_data()
    recipe, (tiny, make_inputs) = discover()[name.partition("/")[0]], REAL[name]
    store = Store(folder)
    config = with_overrides(recipe.config_type(), {**tiny, **THIRTY})
    return recipe, config, recipe.open_data(store, make_inputs(store), config)


def train_once(run: tuple, directory: Path, moment: str | None, world: World) -> int:
    """Returns the number of watched file-system events."""
    events, deadline = 0, int(moment[1:]) if moment and moment[0] == "e" else -1

    def count(name: str, arguments: tuple) -> None:
        nonlocal events
        if name in WATCHED and any(str(directory) in str(argument) for argument in arguments[:2]):
            events += 1
            if events == deadline:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    callbacks = [KillAt(int(moment[1:]))] if moment and moment[0] == "u" else []
    train(*run, directory, code="c", callbacks=callbacks, world=world)
    return events


def in_child(name: str, directory: Path, moment: str | None) -> int:
    """The child's exit status (negative: the signal that ended it); the events it counted go to ``events``."""

    def act() -> None:
        run, world = prepare(name, directory.parent / "data"), World(behind=name.endswith("_behind"))
        directory.with_suffix(".events").write_text(str(train_once(run, directory, moment, world)))

    return status_of(fork(act))


def main(name: str, root: Path, *plans: str) -> None:
    """Each plan is moments joined by commas, one process after the other; a last undisturbed one finishes the run."""
    print_to, sys.stdout = sys.stdout, sys.stderr
    import_as(lambda: train(*prepare(name, root / "data"), root / "warm", code="c"), root / "imported.json")
    for plan in plans:
        killed = [in_child(name, root / plan, moment) for moment in plan.split(",") if moment != "none"]
        print(plan, *killed, in_child(name, root / plan, None), file=print_to)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
