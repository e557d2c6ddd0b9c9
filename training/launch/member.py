"""One process of a job: rank 0 makes the checkpoint, the others train what it orders. Ends with the agent."""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path

from assets_data.lineage import StemmaError, Store
from assets_data.lineage.processes import end_with_parent
from training.config import STALLED
from training.launch.handle import Request, read_handle
from training.launch.progress import told
from training.parallel.follow import dismiss, follow
from training.parallel.world import World, exit_status, joined
from training.recipe import Recipe, find_recipe
from training.stages import make_checkpoint


def main(run: Path) -> int:
    """The exit status, as that of ``python -m training``."""
    parent = os.getppid()
    end_with_parent(signal.SIGKILL)
    if os.getppid() != parent:
        return STALLED  # the agent died before the kernel knew
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    request = read_handle(run).request
    try:
        with joined(request.parallel if request.processes > 1 else None, request.reduction) as world:
            return train(request, world)
    except StemmaError as error:
        print(error, file=sys.stderr)
        return exit_status(error)


def train(request: Request, world: World) -> int:
    """Make the checkpoint with every other process of the group."""
    store, recipe = Store(Path(request.store), request.requested), find_recipe(request.recipe)
    if not world.leads:
        return follow(world, store, recipe)
    with told():
        return lead(request, world, store, recipe)


def lead(request: Request, world: World, store: Store, recipe: Recipe) -> int:
    """Find the inputs, train, publish."""
    inputs = {name: store.snapshot(key) for name, key in request.inputs.items()}
    checkpoint = make_checkpoint(store, recipe, inputs, store.snapshot(request.preflight), world=world)
    dismiss(world)
    print(f"{recipe.name}/checkpoint {checkpoint.id}")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
