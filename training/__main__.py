"""``python -m training``: preflight, training and gate of one recipe on a manifest, with no Dagster and no Polars.

Started by ``torchrun`` on several processes, all of them train and rank 0 does the rest.
Exits 0 when the gate passed (or was skipped), 1 when it did not or an error stopped the run, 75 after a second stall or
where another process of the group is gone.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from assets_data.lineage import Snapshot, StemmaError, Store
from training.config import STALLED, load_config, with_updates
from training.parallel.follow import dismiss, follow
from training.parallel.world import World, exit_status, joined
from training.recipe import find_recipe
from training.trainer import Trainer, find_input

CHILD = "STEMMA_TRAINING_CHILD"


def main(arguments: list[str]) -> int:
    """Run the command line; errors are one line on stderr."""
    chosen = parser().parse_args(arguments)
    try:
        with joined(chosen.parallel, chosen.reduction, behind=chosen.save_behind, ahead=chosen.ahead) as world:
            if not world.leads:
                return follow(world, Store(chosen.store), find_recipe(chosen.recipe))
            trainer = make_trainer(chosen)
            if trainer.config.train.stall_seconds and CHILD not in os.environ and world.size == 1:
                return supervise(arguments)
            return run(trainer, chosen, world)
    except StemmaError as error:
        print(error, file=sys.stderr)
        return exit_status(error)


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(prog="python -m training", description="Preflight, training and gate.")
    made.add_argument("--recipe", required=True, help="name of a folder under training/recipes")
    made.add_argument("--store", required=True, type=Path, help="the store that holds the manifest")
    made.add_argument("--manifest", help="id or name of the manifest; default: what the recipe reads")
    made.add_argument("--input", action="append", default=[], metavar="NAME=ID", help="another input, by id or name")
    made.add_argument("--preset", default="demo", help="named config to start from (%(default)s)")
    made.add_argument("--set", action="append", default=[], metavar="FIELD=JSON", help="change one dotted field")
    made.add_argument("--config", type=Path, help="a saved config.json instead of a preset")
    text = "begin from a run's checkpoint folder, or from a published checkpoint by id or name"
    made.add_argument("--branch-from", metavar="CHECKPOINT", help=text)
    made.add_argument("--reset-progress", action="store_true", help="take only the weights of --branch-from")
    text = (
        "how several processes, such as torchrun starts, share the work: ddp, or fsdp, which cuts the model over them"
    )
    made.add_argument("--parallel", choices=["none", "ddp", "fsdp"], help=text)
    text = "exact: the same bits for every number of processes; fast: DDP's buckets, the same for one number only"
    made.add_argument("--reduction", choices=["exact", "fast"], default="exact", help=text)
    text = "write checkpoints while training goes on: copied at a step's edge, published at a later one; not the last"
    made.add_argument("--save-behind", action="store_true", help=text)
    text = "updates whose batches a thread makes ahead; they are the same (2 on several processes or a GPU, else 0)"
    made.add_argument("--ahead", type=int, help=text)
    made.add_argument("--skip-gate", action="store_true", help="train and do not judge")
    return made


def make_trainer(chosen: argparse.Namespace) -> Trainer:
    """The trainer that the options describe."""
    overrides = dict(map(parse_setting, chosen.set))
    config = None
    if chosen.config:
        config = with_updates(load_config(find_recipe(chosen.recipe).config_type, chosen.config), overrides)
    choices: dict[str, Any] = {"preset": chosen.preset, "overrides": overrides, "config": config}
    inputs = dict(given.split("=", 1) for given in chosen.input)
    return Trainer(chosen.recipe, chosen.manifest, store=chosen.store, inputs=inputs, **choices)


def run(trainer: Trainer, chosen: argparse.Namespace, world: World) -> int:
    """Train and judge; say so when there was nothing left to do."""
    checkpoint = trainer.train(find_origin(trainer.store, chosen), reset_progress=chosen.reset_progress, world=world)
    dismiss(world)
    state = "already complete" if checkpoint.reused else "trained"
    print(f"{trainer.recipe.name}/checkpoint {checkpoint.id} ({state})")
    if chosen.skip_gate:
        return 0
    result = trainer.evaluate()
    print("\n".join(result["summary"]))
    return 0 if result["gate"]["verdict"] == "pass" else 1


def find_origin(store: Store, chosen: argparse.Namespace) -> Snapshot | None:
    """The snapshot to begin from, or None: a run's state is published first, so that it can be a parent."""
    if chosen.branch_from is None:
        return None
    from training.training_state import publish_state

    folder = Path(chosen.branch_from)
    origin = publish_state(store, folder) if folder.is_dir() else find_input(store, chosen.branch_from)
    return origin


def parse_setting(text: str) -> tuple[str, Any]:
    """``field=json``; what is not JSON is taken as text."""
    field, _, value = text.partition("=")
    try:
        return field, json.loads(value)
    except ValueError:
        return field, value


def supervise(arguments: list[str]) -> int:
    """Run the same command in a child, once more when it stalled. SIGTERM is passed on; a terminal sends SIGINT."""
    for attempt in range(2):
        child = subprocess.Popen([sys.executable, "-m", "training", *arguments], env={**os.environ, CHILD: "1"})
        signal.signal(signal.SIGTERM, lambda *_, child=child: child.terminate())
        signal.signal(signal.SIGINT, lambda *_: None)
        status = child.wait()
        if status != STALLED or attempt:
            return status if status >= 0 else 128 - status
        print("stalled; trying once more from the newest checkpoint", file=sys.stderr)
    return STALLED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
