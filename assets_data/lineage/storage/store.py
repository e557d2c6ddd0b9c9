"""The store: one root directory with snapshots, receipts, stage records, pointers and run directories.

Owns reuse and publication. A stage is reused when its name, code, config, arguments and parent ids are the same *and*
what it published still verifies; what fails verification is quarantined, named, and rebuilt. One writer per stage key.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from assets_data.lineage.config import to_dict
from assets_data.lineage.errors import DataError, IntegrityError, StorageError
from assets_data.lineage.identity.digests import digest_json, load_json
from assets_data.lineage.receipts.byproducts import require_named
from assets_data.lineage.receipts.code import code_version, commit, environment
from assets_data.lineage.receipts.reader import read_receipt
from assets_data.lineage.receipts.receipt import SourcePart, made_digest
from assets_data.lineage.receipts.writer import Build, predicate, write_receipt
from assets_data.lineage.storage import atomic
from assets_data.lineage.storage.names import read_pointer, require_kind, require_name
from assets_data.lineage.storage.record_rows import holds_any, keep_index
from assets_data.lineage.storage.sealing import NOTHING, SEALED, SHUT_IN, Builder, Inside, Outside
from assets_data.lineage.storage.snapshot import Snapshot, SnapshotWriter
from assets_data.lineage.storage.tombstones import WITHDRAWN, withdrawn_records


@dataclasses.dataclass(frozen=True, slots=True)
class Store:
    """Everything Stemma keeps, under ``root``. Cheap to make; nothing is created before the first write.

    ``requested`` is what a person asked for (preset and overrides): noted in receipts, never part of an identity.
    ``withdrawing`` are records (32 bytes each) that are being withdrawn, before the withdrawal is in force. With
    ``only_find`` a stage is found or refused, never made.
    """

    root: Path
    requested: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    withdrawing: frozenset[bytes] = frozenset()
    only_find: bool = False
    builder: Builder | None = None

    @property
    def withdrawn(self) -> np.ndarray:
        """uint8[n, 32], ascending: the records that nothing made here may hold."""
        return withdrawn_records(self.root, self.withdrawing)

    def snapshot_path(self, snapshot_id: str) -> Path:
        """Where a snapshot with this id is, or would be."""
        return self.root / "snapshots" / snapshot_id.removeprefix("sha256:")

    def opened(self, snapshot_id: str) -> Snapshot:
        """The snapshot in this id's place, its files not yet hashed.

        Raises IntegrityError SNAPSHOT_MISPLACED when it is another one, and RECEIPT_FILES when receipts name other
        files than it lists: a file of it, or a statistic, was made to look published.
        """
        snapshot = Snapshot.open(self.snapshot_path(snapshot_id))
        if snapshot.id.removeprefix("sha256:") != snapshot_id.removeprefix("sha256:"):
            raise IntegrityError(
                "SNAPSHOT_MISPLACED", "another snapshot is in its place", expected=snapshot_id, found=snapshot.id
            )
        require_named(snapshot, self.receipts(snapshot_id))
        return snapshot

    def snapshot(self, snapshot_id: str) -> Snapshot:
        """The snapshot, every file verified. Raises IntegrityError when it is missing or differs from its id."""
        snapshot = self.opened(snapshot_id)
        snapshot.verify()
        return snapshot

    def receipts(self, snapshot_id: str) -> list[Path]:
        """Every receipt for this id, by name."""
        return sorted((self.root / "receipts" / snapshot_id.removeprefix("sha256:")).glob("*.json"))

    def snapshot_ids(self, folder: str = "snapshots") -> list[str]:
        """Every id that has a folder, sorted; what dead writers left and odd names are none. Likewise ``receipts``."""
        names = (path.name for path in (self.root / folder).glob("[0-9a-f]*"))
        return sorted(f"sha256:{name}" for name in names if re.fullmatch("[0-9a-f]{64}", name))

    def point(self, name: str, snapshot: Snapshot) -> None:
        """Make ``name`` (its kind, and which one of it) stand for this snapshot from now on.

        Raises DataError STORE_NAME or STORE_NAME_KIND, and RECORD_WITHDRAWN where the snapshot names a withdrawn one.
        """
        require_kind(name, snapshot.kind)
        self._require_none_withdrawn(name, snapshot)
        receipt = str(snapshot.receipt.relative_to(self.root)) if snapshot.receipt else None
        atomic.write_json(self._pointer(name), {"snapshot": snapshot.id, "receipt": receipt})

    def pointed(self, name: str) -> Snapshot:
        """The snapshot ``name`` stands for, verified.

        Raises DataError when nothing was published under that name, or what it stands for is of another kind.
        """
        if (entry := self.pointer(name)) is None:
            raise DataError(
                "STORE_NOTHING_THERE",
                "nothing was published under this name",
                found=name,
                where=self.root,
                action=f"materialise {name} first",
            )
        receipt = self.root / entry["receipt"] if entry["receipt"] else None
        snapshot = self.snapshot(entry["snapshot"])
        require_kind(name, snapshot.kind)
        return dataclasses.replace(snapshot, receipt=receipt)

    def pointer(self, name: str) -> dict[str, Any] | None:
        """``{"snapshot", "receipt"}`` of a name, or None; nothing is verified."""
        path = self._pointer(name)
        return read_pointer(path) if path.exists() else None

    def all_names(self) -> list[str]:
        """Every name anything was published under."""
        folder = self.root / "pointers"
        return sorted(str(path.relative_to(folder).with_suffix("")) for path in folder.rglob("*.json"))

    def names(self, prefix: str) -> list[str]:
        """Every name right below ``prefix``, sorted, without the prefix: the slices at hand.

        Raises DataError STORE_NAME for what is no name.
        """
        return sorted(path.stem for path in (self.root / "pointers" / require_name(prefix)).glob("*.json"))

    def _pointer(self, name: str) -> Path:
        return self.root / "pointers" / f"{require_name(name)}.json"

    def _require_none_withdrawn(self, name: str, snapshot: Snapshot) -> None:
        if holds_any(snapshot, self.withdrawn):
            raise DataError(
                "RECORD_WITHDRAWN",
                "this snapshot holds a record that was withdrawn",
                found=snapshot.id,
                where=name,
                action="run the chain again: what is made now leaves withdrawn records out",
            )

    def run_dir(self, run_id: str) -> Path:
        """The mutable directory of one training run, made if needed."""
        path = self.root / "runs" / run_id
        path.mkdir(parents=True, exist_ok=True)
        return path

    def run_stage(
        self,
        *,
        name: str,
        module: str | tuple[str, ...],
        config: Any,
        parents: Mapping[str, Snapshot | Sequence[Snapshot]],
        build: Callable[[SnapshotWriter], None],
        arguments: Mapping[str, Any] | None = None,
        seeds: Mapping[str, int] | None = None,
        sources: Sequence[SourcePart] = (),
        outside: Outside = NOTHING,
    ) -> Snapshot:
        """Publish what ``build`` writes as a snapshot of kind ``name``, or return what an equal call published before.

        What holds a withdrawn record is never returned; it is made again.
        ``arguments`` are identity-relevant inputs that are neither config nor snapshots (a source digest);
        ``sources`` are the outside files behind them, named in the receipt and in nothing else; ``outside`` is what the
        build reaches besides its parents, for a builder that shuts it in.
        Raises IntegrityError before any work when a parent's files changed, StorageError when the disk refuses, and
        DataError STAGE_NOT_MADE for what a store that only finds does not have.
        """
        work = Build(
            stage=name,
            code_version=code_version(*((module,) if isinstance(module, str) else module)),
            config=dict(config) if isinstance(config, Mapping) else to_dict(config),
            arguments=dict(arguments or {}),
            requested=self.requested,
            parents={k: [v] if isinstance(v, Snapshot) else list(v) for k, v in parents.items()},
            seeds=dict(seeds or {}),
            sources=tuple(sources),
            tree={},
            environment={},  # a call that finds its snapshot made needs neither; the work begins in _publish
        )
        if isinstance(self.builder, Inside):
            return self.builder.answer(self, stage_key(work), name, build)
        with self.in_use():
            for parent in (snapshot for group in work.parents.values() for snapshot in group):
                parent.verify()
                mark_used(parent.path)
        record, early = self._record(work), self._early_record(work)
        if self.only_find:
            return self._published(record) or _not_made(name)
        with lease(record.with_suffix(".lock")):
            atomic.sweep_temps(record)
            found = self._published(record) or (self._published(early) if early != record else None)
            found = found or self._publish(record, early, work, build, outside)
        if self.builder:
            self.builder.note(stage_key(work), found)
        return found

    def _published(self, record: Path) -> Snapshot | None:
        """What an equal call published, if record, receipt and every file still say so; else it is built again."""
        withdrawn = self.withdrawn  # one that cannot be read ends the work here: it is no fault of the snapshot
        try:
            entry = load_json(record.read_bytes(), record)
            receipt = self.root / entry["receipt"]
            made = read_receipt(receipt)
        except (FileNotFoundError, KeyError, IntegrityError):
            return None
        if self.builder and SEALED not in made.environment:
            return None  # made by whatever could be reached then: it is made again, and has another receipt
        try:
            with self.in_use():
                snapshot = dataclasses.replace(self.snapshot(entry["snapshot"]), reused=True, receipt=receipt)
                mark_used(snapshot.path)
            return None if holds_any(snapshot, withdrawn) else snapshot
        except IntegrityError as error:
            self.quarantine(self.snapshot_path(entry["snapshot"]), error)
            return None

    def _early_record(self, work: Build) -> Path:
        """Where a call is noted that left records out which are not withdrawn yet: a later one without that must not
        find it, however the withdrawal ends.
        """
        if not self.withdrawing:
            return self._record(work)
        left_out = {"withdrawing": sorted(record.hex() for record in self.withdrawing)}
        return self._record(dataclasses.replace(work, arguments={**work.arguments, **left_out}))

    def _publish(
        self, record: Path, early: Path, work: Build, build: Callable[[SnapshotWriter], None], outside: Outside
    ) -> Snapshot:
        work = dataclasses.replace(work, started=datetime.now(UTC), tree=commit(), environment=environment())
        temp_root = self.root / "snapshots" / record.stem
        with atomic.disk_errors(temp_root):
            atomic.sweep_temps(temp_root)
            temp = atomic.temp_beside(temp_root)
            temp.mkdir(parents=True)
            try:
                writer = SnapshotWriter(temp, work.stage)
                work = self._build(work, writer, build, outside)
                writer.stats["seconds"] = round((datetime.now(UTC) - work.started).total_seconds(), 3)
                around = {**work.environment, **writer.environment}
                arguments = {**work.arguments, **writer.found}
                said = predicate(dataclasses.replace(work, arguments=arguments, environment=around))
                writer.finish(made_digest(said))
                snapshot = self._place(temp, said)
            finally:
                shutil.rmtree(temp, ignore_errors=True)
        self._remember(early if WITHDRAWN in writer.found else record, work.stage, snapshot)
        keep_index(snapshot)
        return snapshot

    def _build(
        self, work: Build, writer: SnapshotWriter, build: Callable[[SnapshotWriter], None], outside: Outside
    ) -> Build:
        if self.builder is None:
            build(writer)
            return work
        parents = [snapshot.path for group in work.parents.values() for snapshot in group]
        surroundings = work.tree, work.environment
        enforced = self.builder.build(self, stage_key(work), writer, parents, outside, surroundings)
        return dataclasses.replace(work, environment={**work.environment, SEALED: enforced})

    @contextlib.contextmanager
    def in_use(self, *, alone: bool = False) -> Iterator[None]:
        """While snapshots are found and marked as used; ``alone``: nothing finds any meanwhile, so they may go.

        A store that cannot be written cannot be collected either, and needs no lock.
        """
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(OSError):
                file = stack.enter_context(open(self.root / "gc.lock", "ab"))
                fcntl.flock(file, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
            yield

    def adopt(self, work: Build, snapshot: Snapshot) -> None:
        """From now on an equal call of a stage finds this snapshot."""
        self._remember(self._record(work), work.stage, snapshot)

    def _record(self, work: Build) -> Path:
        return self.root / "stages" / f"{stage_key(work).removeprefix('sha256:')}.json"

    def _remember(self, record: Path, stage: str, snapshot: Snapshot) -> None:
        receipt = str(snapshot.receipt.relative_to(self.root)) if snapshot.receipt else None
        atomic.write_json(record, {"snapshot": snapshot.id, "stage": stage, "receipt": receipt})

    def _place(self, temp: Path, said: Mapping[str, Any]) -> Snapshot:
        """Move a finished directory to its id, its receipt first, so that no snapshot is ever without one.

        When the id is there already, keep that one if it verifies: the receipt is then about its files.
        """
        made = Snapshot.open(temp)
        final, receipts = self.snapshot_path(made.id), self.root / "receipts"
        while True:
            if not final.exists():
                receipt = write_receipt(receipts, said, made)
                if atomic.publish_directory(temp, final):
                    return dataclasses.replace(made, path=final, receipt=receipt)
            try:
                found = self.snapshot(made.id)
                return dataclasses.replace(found, receipt=write_receipt(receipts, said, found))
            except IntegrityError as error:
                self.quarantine(final, error)

    def quarantine(self, path: Path, reason: IntegrityError) -> None:
        """Move a broken directory aside, never to be reused, with the reason beside it."""
        if path.exists():
            target = self.root / "quarantine" / f"{path.name[:16]}-{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
            target.parent.mkdir(parents=True, exist_ok=True)
            os.rename(path, target)
            atomic.write_json(
                target.with_suffix(".json"), {"code": reason.code, "reason": str(reason), "was": str(path)}
            )


def _not_made(kind: str) -> Snapshot:
    raise DataError("STAGE_NOT_MADE", "this was not made yet, or is not what it was", found=kind)


def stage_key(work: Build) -> str:
    """The digest under which equal calls of a stage find each other."""
    parts = {"stage": work.stage, "code": work.code_version, "config": work.config, "arguments": work.arguments}
    return digest_json({**parts, "parents": work.parent_ids, "seeds": work.seeds})


def mark_used(path: Path) -> None:
    """Note on a snapshot's directory that a run read or found it now: what was used lately is not collected."""
    with contextlib.suppress(OSError):
        os.utime(path)


@contextlib.contextmanager
def lease(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on ``path``; waits for another holder, and ends with the process however it dies."""
    try:
        with atomic.disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = open(path, "ab")  # noqa: SIM115 - held open for as long as the lease is
    except StorageError:
        if not SHUT_IN:
            raise
        yield  # the process that this one works for holds it
        return
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
