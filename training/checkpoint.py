"""Training checkpoints: ``checkpoints/<update>/`` with model, optimizer and generator tensors and ``state.json``.

A part is one file, or one of each process that has rows of it (``model.0.safetensors``), see :mod:`training.shards`.

A checkpoint appears at its final name whole: written beside it, synced, read back and compared with what is in memory,
then renamed. Nothing is opened before its digest is checked, files nobody listed are reported and never opened, and
there is no pickle. ``checkpoint_id`` is a digest over the model's tensors, whatever file holds them.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from assets_data.lineage import IntegrityError, StorageError, TrainingError, digest_json
from assets_data.lineage.identity.digests import load_json, tensor_entries
from assets_data.lineage.storage import atomic, verified
from assets_data.lineage.storage.snapshot_json import MANIFEST
from assets_data.lineage.storage.verified import known_digest
from training.shards import Place, joined
from training.state import Tensors

log = logging.getLogger(__name__)

STATE, MODEL = "state.json", "model.safetensors"
SCHEMA, SHARDED = 1, 2
"""Versions of ``state.json``: with every part in one file, and with parts in pieces, which ``shards`` lists."""


def save(
    folder: Path,
    update: int,
    tensors: Mapping[str, Tensors],
    facts: Mapping[str, Any],
    beside: Mapping[str, Any] | None = None,
) -> Path:
    """Write the checkpoint of ``update`` (updates done) and return its path. Raises StorageError; old ones stay.

    ``beside`` are JSON documents by file name that lie in it for its readers.
    """
    draft = Draft.begin(folder / f"{update:08d}")
    try:
        draft.write(tensors)
        return draft.publish(facts, beside or {})
    finally:
        draft.drop()


@dataclass(slots=True)
class Draft:
    """A checkpoint that lies beside its place, at ``temp``, until it is published at ``final``."""

    final: Path
    temp: Path
    files: dict[str, str] = field(default_factory=dict)
    """Digests of what was written, by file name."""
    shards: dict[str, dict[str, Place]] = field(default_factory=dict)
    """Where the pieces of a file belong, by tensor."""

    @classmethod
    def begin(cls, final: Path) -> Draft:
        """An empty one. Raises StorageError."""
        temp = atomic.temp_beside(final)
        with atomic.disk_errors(final):
            temp.mkdir(parents=True)
        return cls(final, temp)

    def write(
        self, tensors: Mapping[str, Tensors], rank: int = 0, places: Mapping[str, Mapping[str, Place]] | None = None
    ) -> None:
        """Add parts, whole or, with ``places`` by part and tensor, the pieces that process ``rank`` has of them."""
        infix = "" if places is None else f".{rank}"
        with atomic.disk_errors(self.final):
            self.files |= _write_parts(self.temp, {f"{part}{infix}": kept for part, kept in tensors.items() if kept})
        for part, at in (places or {}).items():
            if tensors[part]:
                self.shards[f"{part}{infix}.safetensors"] = dict(at)

    def publish(
        self, facts: Mapping[str, Any], beside: Mapping[str, Any], entries: list[list[Any]] | None = None
    ) -> Path:
        """Let it appear at its final place. ``entries`` identify a model in pieces: of all its tensors what
        :func:`tensor_entries` says. Raises StorageError, also when a checkpoint is there already.
        """
        with atomic.disk_errors(self.final):
            for name, document in beside.items():
                atomic.write_json(self.temp / name, document)
                self.files[name] = known_digest(self.temp / name)
            model = digest_json(tensor_entries(self.temp / MODEL) if entries is None else entries)
            body = {**facts, "update": int(self.final.name), "checkpoint_id": model, "files": self.files}
            body |= {"schema": SHARDED, "shards": self.shards} if self.shards else {"schema": SCHEMA}
            atomic.write_json(self.temp / STATE, {**body, "digest": digest_json(body)})
            if not atomic.publish_directory(self.temp, self.final):
                raise StorageError("CHECKPOINT_EXISTS", "a checkpoint of this update is there", where=self.final)
        return self.final

    def drop(self) -> None:
        """Remove what was not published."""
        shutil.rmtree(self.temp, ignore_errors=True)


def read_state(path: Path) -> dict[str, Any]:
    """``state.json`` of a checkpoint whose every file is right, hashed once per process. Raises IntegrityError."""
    state = path / STATE
    document = load_json(state.read_bytes(), state) if state.is_file() else None
    if not isinstance(document, dict) or document.get("schema") not in (SCHEMA, SHARDED):
        raise IntegrityError("CHECKPOINT_TORN", "no readable state.json of this version", where=path)
    body = {key: value for key, value in document.items() if key != "digest"}
    if digest_json(body) != document.get("digest"):
        raise IntegrityError("CHECKPOINT_STATE", "state.json was changed", where=state)
    for name, digest in document["files"].items():
        found = known_digest(path / name) if (path / name).is_file() else "no file"
        if found != digest:
            raise IntegrityError(
                "CHECKPOINT_FILE", "a file was changed", where=path / name, expected=digest, found=found
            )
    published = (path / MANIFEST).is_file()  # a snapshot lists all that it holds itself
    for extra in (
        sorted({entry.name for entry in path.iterdir()} - {STATE, *document["files"]}) if not published else ()
    ):
        log.warning("ignored a file that does not belong to checkpoint %s: %r", path.name, extra)
    return document


def load_tensors(path: Path, state: Mapping[str, Any]) -> dict[str, Tensors]:
    """The whole tensors of a checkpoint that ``read_state`` accepted, by part, in however many files they lie.

    Raises IntegrityError CHECKPOINT_SHARDS for pieces that do not fill a tensor.
    """
    files = [name for name in state["files"] if name.endswith(".safetensors")]
    whole = {Path(name).stem: load_file(path / name) for name in files if name not in state.get("shards", {})}
    pieces: dict[str, list[tuple[str, torch.Tensor, Place]]] = {}
    for name, places in state.get("shards", {}).items():
        read = load_file(path / name)
        pieces.setdefault(name.split(".")[0], []).extend((key, read[key], at) for key, at in places.items())
    return whole | {part: joined(found, path) for part, found in pieces.items()}


def load_model(path: Path) -> Tensors:
    """The model's tensors, of a checkpoint or of a published one, which has no state."""
    whole = path / MODEL
    return load_file(whole) if whole.is_file() else load_tensors(path, read_state(path))["model"]


def write_model(path: Path, target: Path) -> None:
    """The model of a checkpoint as one file: copied, or joined."""
    if (path / MODEL).is_file():
        shutil.copyfile(path / MODEL, target)
    else:
        save_file(load_model(path), target)


def model_id(path: Path) -> str:
    """The ``checkpoint_id`` of what :func:`load_model` loads."""
    whole = path / MODEL
    return digest_json(tensor_entries(whole)) if whole.is_file() else read_state(path)["checkpoint_id"]


def gather(path: Path, target: Path) -> Path:
    """A checkpoint in one file a part, at ``target/<update>``: a copy of the one at ``path``, pieces joined."""
    state = read_state(path)
    of_its_own = {*state["files"], *("schema", "update", "checkpoint_id", "files", "shards", "digest")}
    facts = {name: value for name, value in state.items() if name not in of_its_own}
    others = [name for name in state["files"] if not name.endswith(".safetensors")]
    beside = {name: load_json((path / name).read_bytes(), path / name) for name in others}
    return save(target, state["update"], load_tensors(path, state), facts, beside)


def link(path: Path, folder: Path, *, alone: bool) -> Path:
    """Keep a verified checkpoint under ``folder`` as well, by hard links: no byte is written twice.

    What is linked stays when the original is removed by retention. With ``alone`` others in ``folder`` are let go.
    """
    state, final = read_state(path), folder / path.name
    if not final.exists():
        temp = atomic.temp_beside(final)
        with atomic.disk_errors(final):
            temp.mkdir(parents=True)
            for name in (STATE, *state["files"]):
                verified.link(path / name, temp / name)
            atomic.publish_directory(temp, final)
    for other in stored(folder) if alone else ():
        if other != final:
            remove(other)
    return final


def remove(path: Path) -> None:
    """Remove a checkpoint; a kill half-way leaves a temp, not half a checkpoint."""
    os.rename(path, condemned := atomic.temp_beside(path))
    for file in condemned.iterdir():
        if file.is_file() and not file.is_symlink():  # a hard link of it may be kept elsewhere
            verified.unlink(file)
    shutil.rmtree(condemned)


def newest(folder: Path) -> tuple[Path, dict[str, Any]] | None:
    """The newest checkpoint that verifies, with its state; None when there is none at all.

    Newer broken ones are quarantined with one warning each. Raises TrainingError CHECKPOINTS_ALL_BROKEN, and moves
    nothing, when none of several is left: starting over is the user's decision.
    """
    broken: list[tuple[Path, IntegrityError]] = []
    for path in reversed(stored(folder)):
        try:
            state = read_state(path)
        except IntegrityError as error:
            broken.append((path, error))
            continue
        for bad, error in broken:
            _quarantine(bad, error)
        return path, state
    if broken:
        reasons = "; ".join(f"{path.name}: {error.code}" for path, error in broken)
        action = "restore one from a backup, or remove the run directory to start over"
        raise TrainingError(
            "CHECKPOINTS_ALL_BROKEN", f"no checkpoint verifies ({reasons})", where=folder, action=action
        )
    return None


def prune(folder: Path, keep: int) -> None:
    """Remove checkpoints older than the ``keep`` newest, but only when those were read back and are right.

    Costs one read of the ``keep`` newest. A broken one among them lets none of the older ones go.
    """
    paths = stored(folder)
    try:
        for path in paths[-keep:]:
            read_state(path)
    except IntegrityError as error:
        log.warning("kept every older checkpoint, because one is broken: %s", error)
        return
    for path in paths[:-keep]:
        remove(path)


def stored(folder: Path) -> list[Path]:
    """Every checkpoint directory, oldest first, verified or not."""
    return sorted(path for path in folder.glob("[0-9]" * 8) if path.is_dir())


def sweep(folder: Path) -> None:
    """Remove what a killed save left behind. Only call while holding the run's lease."""
    for temp in folder.glob(f"{atomic.TEMP_MARK}*"):
        shutil.rmtree(temp)


def _write_parts(folder: Path, tensors: Mapping[str, Tensors]) -> dict[str, str]:
    """Every part's file and its digest; parts are written side by side, as hashing takes longer than the disk."""
    names = [f"{part}.safetensors" for part in tensors]
    with ThreadPoolExecutor(max(1, len(names))) as threads:
        digests = threads.map(_write, [folder / name for name in names], tensors.values())
        return dict(zip(names, digests, strict=True))


def _write(path: Path, tensors: Tensors) -> str:
    """Write, sync, read back, compare with memory; the file's digest."""
    try:
        save_file(tensors, path)
    except SafetensorError as error:  # its Rust side keeps the disk's reason in the text only
        if reason := re.search(r"\(os error (\d+)\)", str(error)):
            raise OSError(int(reason[1]), os.strerror(int(reason[1])), str(path)) from error
        raise
    atomic.sync_path(path)
    if not _holds(path, tensors):
        raise StorageError("CHECKPOINT_READBACK", "the disk gave back other bytes than were written", where=path)
    return known_digest(path)


def _holds(path: Path, tensors: Tensors) -> bool:
    """Whether the file holds these very tensors: names, types, shapes and bytes."""
    try:
        found = load_file(path)
    except SafetensorError:
        return False
    return found.keys() == tensors.keys() and all(
        (read.dtype, read.shape) == (tensors[name].dtype, tensors[name].shape)
        and np.array_equal(tensor_bytes(read), tensor_bytes(tensors[name]))
        for name, read in found.items()
    )


def tensor_bytes(tensor: torch.Tensor) -> np.ndarray:
    """uint8[n]: a contiguous CPU tensor's bytes."""
    return tensor.reshape(-1).view(torch.uint8).numpy()


def _quarantine(path: Path, error: IntegrityError) -> None:
    target = path.parents[1] / "quarantine" / f"{path.name}-{secrets.token_hex(4)}"
    log.warning("skipped broken checkpoint %s, moved to %s: %s", path.name, target, error)
    target.parent.mkdir(exist_ok=True)
    os.rename(path, target)
