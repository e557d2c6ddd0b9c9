"""What processes other than rank 0 do: wait for what to train, train it, until they are dismissed.

Rank 0 names everything by id, so that no process looks up a name that may have moved in between.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from assets_data.lineage import Store
from training.branch import Origin
from training.job import Job
from training.loop import train
from training.parallel.world import World
from training.recipe import Recipe


def order(world: World, job: Job, run_id: str, code: str, origin: Origin | None) -> None:
    """On rank 0: say what is trained now. The call to :func:`training.loop.train` must follow."""
    inputs = {name: snapshot.id for name, snapshot in job.inputs.items()}
    began = {**asdict(origin), "checkpoint": str(origin.checkpoint)} if origin else None
    world.tell({"inputs": inputs, "preflight": job.preflight.id, "run": run_id, "code": code, "origin": began})


def dismiss(world: World) -> None:
    """On rank 0: let the others go, as nothing more is trained."""
    world.tell(None)


def follow(world: World, store: Store, recipe: Recipe) -> int:
    """On every other rank: train what rank 0 orders; 0 once dismissed. Raises what training raises."""
    while said := world.tell():
        inputs = {name: store.snapshot(key) for name, key in said["inputs"].items()}
        job = Job(store=store, recipe=recipe, inputs=inputs, preflight=store.snapshot(said["preflight"]))
        began = said["origin"]
        origin = Origin(**{**began, "checkpoint": Path(began["checkpoint"])}) if began else None
        directory = store.run_dir(said["run"])
        train(recipe, job.config, job.data, directory, code=said["code"], origin=origin, world=world)
    return 0
