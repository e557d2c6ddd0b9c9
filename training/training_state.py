"""A run's state at one update as a published snapshot: what a branch has as its parent, and what rebuilds it."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path

from assets_data.lineage import Snapshot, SnapshotWriter, Store, digest_json
from assets_data.lineage.identity.digests import load_json
from assets_data.lineage.queries.explain import ORIGIN
from assets_data.lineage.receipts.code import code_version
from training import checkpoint
from training.branch import published_origin
from training.callbacks import Callback
from training.job import Job, references
from training.loop import train
from training.run import Run
from training.run_directory import CHECKPOINTS, METRICS
from training.stages import training_code


def publish_state(store: Store, path: Path) -> Snapshot:
    """Publish a checkpoint folder of a run as a ``<recipe>/training_state``, which a branch can have as its parent.

    Identity is its tensors and its place in the run. What the run itself began from is a parent, too.
    Raises IntegrityError when the folder does not verify.
    """
    saved = checkpoint.read_state(path)
    references = load_json((path / "references.json").read_bytes(), path)
    parents = {**{k: v for k, v in references.items() if k not in ("recipe", "corpus")}, **references["corpus"]}
    began = {"reset_progress": True} if saved["fingerprint"]["origin"].get("reset_progress") else {}

    def build(writer: SnapshotWriter) -> None:
        with tempfile.TemporaryDirectory() as folder:
            whole = checkpoint.gather(path, Path(folder)) if saved.get("shards") else path
            for name in [*checkpoint.read_state(whole)["files"], checkpoint.STATE]:
                target = writer.part(name) if name.endswith(".safetensors") else writer.sidecar(name)
                shutil.copyfile(whole / name, target)
        shutil.copyfile(path.parents[1] / METRICS, writer.sidecar(METRICS))
        writer.write_json("place.json", {name: saved[name] for name in ("update", "rows_digest", "checkpoint_id")})
        writer.stats |= {"update": saved["update"]}

    return store.run_stage(
        name=f"{references['recipe']}/training_state",
        module=__name__,
        config=saved["fingerprint"]["config"],
        arguments={"update": saved["update"], "run": digest_json(saved["fingerprint"]), **began},
        parents={name: store.snapshot(key) for name, key in parents.items()},
        build=build,
    )


def remake_state(job: Job, update: int, origin: Snapshot | None = None, reset_progress: bool = False) -> Snapshot:
    """Train a run, from ``origin`` where it began from one, up to ``update`` and publish its state there."""
    began = published_origin(origin, reset_progress) if origin else None
    code, given = code_version(*training_code(job.recipe)), references(job)
    identity = digest_json([job.preflight.id, code, began.facts() if began else {}, update])
    directory = job.store.run_dir(f"{job.recipe.name}-state-{identity.removeprefix('sha256:')[:16]}")
    with contextlib.suppress(_Reached):
        train(
            job.recipe,
            job.config,
            job.data,
            directory,
            code=code,
            callbacks=[_StopAt(update)],
            origin=began,
            references={**given, **({ORIGIN: origin.id} if origin else {})},
        )
    return publish_state(job.store, directory / CHECKPOINTS / f"{update:08d}")


class _Reached(Exception):
    """The update is done and its state is saved."""


class _StopAt(Callback):
    def __init__(self, update: int) -> None:
        self._update = update

    def train_begin(self, run: Run) -> None:
        self.step_end(run)  # a branch may begin there

    def step_end(self, run: Run) -> None:
        if run.update == self._update:
            run.save()
            raise _Reached
