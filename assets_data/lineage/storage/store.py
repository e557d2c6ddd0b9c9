"""The store: one root directory with snapshots, receipts, stage records, pointers and run directories.

Owns reuse and publication. A stage is reused when its name, code, config, arguments and parent ids are the same *and*
what it published still verifies; what fails verification is quarantined, named, and rebuilt. One writer per stage key.
What lies in it by id is in :mod:`shelves`, by name in :mod:`pointers`, by call in :mod:`stage_records`.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from assets_data.lineage.config import to_dict
from assets_data.lineage.errors import DataError, IntegrityError
from assets_data.lineage.identity.digests import load_json
from assets_data.lineage.receipts.code import code_version, commit, environment
from assets_data.lineage.receipts.reader import read_receipt, unedited
from assets_data.lineage.receipts.receipt import SourcePart, made_digest
from assets_data.lineage.receipts.writer import Build, predicate
from assets_data.lineage.storage import atomic
from assets_data.lineage.storage.folders import file_bytes
from assets_data.lineage.storage.locks import lease, mark_used
from assets_data.lineage.storage.look import verified_once
from assets_data.lineage.storage.record_rows import holds_any, keep_index
from assets_data.lineage.storage.sealing import NOTHING, SEALED, Builder, Inside, Outside
from assets_data.lineage.storage.snapshot import Snapshot
from assets_data.lineage.storage.snapshot_writer import SnapshotWriter
from assets_data.lineage.storage.stage_records import PARTS, StageRecords, stage_key
from assets_data.lineage.storage.tombstones import WITHDRAWN


@dataclasses.dataclass(frozen=True, slots=True)
class Store(StageRecords):
    """Everything Stemma keeps, under ``root``. Cheap to make; nothing is created before the first write.

    ``requested`` is what a person asked for (preset and overrides): noted in receipts, never part of an identity.
    ``withdrawing`` are records (32 bytes each) that are being withdrawn, before the withdrawal is in force. One that
    is :meth:`looking` finds a stage or refuses it, and never makes it.
    """

    requested: Mapping[str, Any] = dataclasses.field(default_factory=dict[str, Any])
    builder: Builder | None = None

    def looking(self) -> Store:
        """The same store for one look at what is made: a stage is found or refused, and of snapshots that it meets
        again and again each is verified once. Not to be kept for longer than a command.
        """
        return dataclasses.replace(self, look=verified_once(self.snapshot_path, self.snapshot))

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
        parts: Mapping[str, str] | None = None,
    ) -> Snapshot:
        """Publish what ``build`` writes as a snapshot of kind ``name``, or return what an equal call published before.

        What holds a withdrawn record is never returned; it is made again.
        ``arguments`` are identity-relevant inputs that are neither config nor snapshots (a source digest);
        ``sources`` are the outside files behind them, named in the receipt and in nothing else; ``outside`` is what the
        build reaches besides its parents, for a builder that shuts it in. ``parts`` are inputs of which only a part
        counts, with the digest of that part: an equal call read an equal part, whatever else its parent says. The
        receipt names the parent that was really read, and the digest among its arguments.
        Raises IntegrityError before any work when a parent's files changed, StorageError when the disk refuses, and
        DataError STAGE_NOT_MADE for what a store that only finds does not have.
        """
        work = Build(
            stage=name,
            code_version=code_version(*((module,) if isinstance(module, str) else module)),
            config=dict(cast("Mapping[str, Any]", config)) if isinstance(config, Mapping) else to_dict(config),
            arguments={**(arguments or {}), **({PARTS: dict(parts)} if parts else {})},
            requested=self.requested,
            parents={k: [v] if isinstance(v, Snapshot) else list(v) for k, v in parents.items()},
            seeds=dict(seeds or {}),
            sources=tuple(sources),
            tree={},
            environment={},  # a call that finds its snapshot made needs neither; the work begins in _publish
        )
        if isinstance(self.builder, Inside):
            return self.builder.answer(self, stage_key(work), name, build)
        if self.look:  # its parents were verified when it was told of them
            return self._published(self._record(work)) or _not_made(name)
        with self.in_use():
            for parent in (snapshot for group in work.parents.values() for snapshot in group):
                parent.verify()
                mark_used(parent.path)
        record = self._record(work)
        early = self._early_record(work) if self.withdrawing else record
        with lease(record.with_suffix(".lock")) as called_before:
            found = None if parts and self.withdrawing else self._published(record)  # its receipt may name a holder
            found = found or (self._published(early) if early != record else None)
            if not found and called_before:  # not each time: it lists every file of the store
                atomic.sweep_temps(record)
                atomic.sweep_temps(self._temp_root(record))
            found = found or self._publish(record, early, work, build, outside)
        if self.builder:
            self.builder.note(stage_key(work), found)
        return found

    def _published(self, record: Path) -> Snapshot | None:
        """What an equal call published, if record, receipt and every file still say so; else it is built again."""
        withdrawn = self.withdrawn  # one that cannot be read ends the work here: it is no fault of the snapshot
        try:
            entry = load_json(file_bytes(record), record)
            receipt = self.root / entry["receipt"]
            if not self._accepts(receipt):
                return None
        except (FileNotFoundError, KeyError, IntegrityError):
            return None
        try:
            with self.in_use():
                snapshot = dataclasses.replace(self.snapshot(entry["snapshot"]), reused=True, receipt=receipt)
                mark_used(snapshot.path)
            return None if holds_any(snapshot, withdrawn) else snapshot
        except IntegrityError as error:
            self.quarantine(self.snapshot_path(entry["snapshot"]), error)
            return None

    def _accepts(self, receipt: Path) -> bool:
        """Whether a call's receipt is sound, and for a builder tells of a making that was shut in: what could reach
        anything is made again, and has another receipt. A look asks only that nobody edited it: it meets thousands.
        """
        if self.look and not self.builder:
            unedited(receipt)
            return True
        made = read_receipt(receipt)
        return not self.builder or SEALED in made.environment

    def _publish(
        self, record: Path, early: Path, work: Build, build: Callable[[SnapshotWriter], None], outside: Outside
    ) -> Snapshot:
        work = dataclasses.replace(work, started=datetime.now(UTC), tree=commit(), environment=environment())
        temp_root = self._temp_root(record)
        with atomic.disk_errors(temp_root):
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

    def _temp_root(self, record: Path) -> Path:
        return self.root / "snapshots" / record.stem

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


def _not_made(kind: str) -> Snapshot:
    raise DataError("STAGE_NOT_MADE", "this was not made yet, or is not what it was", found=kind)
