"""Which call of a stage made what: the records by which an equal call finds its snapshot, and the move into place."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assets_data.lineage.errors import IntegrityError
from assets_data.lineage.identity.digests import digest_json
from assets_data.lineage.receipts.writer import Build, write_receipt
from assets_data.lineage.storage import atomic
from assets_data.lineage.storage.pointers import Pointers
from assets_data.lineage.storage.snapshot import Snapshot

PARTS = "parts"  # the argument that holds, by input, the digest of the part of it that counts


@dataclasses.dataclass(frozen=True, slots=True)
class StageRecords(Pointers):
    """A store's records of calls, each under the digest of stage, code, config, arguments, parents and seeds."""

    def adopt(self, work: Build, snapshot: Snapshot) -> None:
        """From now on an equal call of a stage finds this snapshot."""
        self._remember(self._record(work), work.stage, snapshot)

    def _record(self, work: Build) -> Path:
        return self.root.joinpath("stages", f"{stage_key(work).removeprefix('sha256:')}.json")

    def _early_record(self, work: Build) -> Path:
        """Where a call is noted that left records out which are not withdrawn yet: a later one without that must not
        find it, however the withdrawal ends.
        """
        left_out = {"withdrawing": sorted(record.hex() for record in self.withdrawing)}
        return self._record(dataclasses.replace(work, arguments={**work.arguments, **left_out}))

    def _remember(self, record: Path, stage: str, snapshot: Snapshot) -> None:
        entry = {"snapshot": snapshot.id, "stage": stage, "receipt": self.receipt_name(snapshot)}
        atomic.write_json(record, entry)

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


def stage_key(work: Build) -> str:
    """The digest under which equal calls of a stage find each other. Of an input of which only a part counts, that
    part stands among the arguments, and the snapshot read does not count.
    """
    parts = {"stage": work.stage, "code": work.code_version, "config": work.config, "arguments": work.arguments}
    whole = {name: ids for name, ids in work.parent_ids.items() if name not in work.arguments.get(PARTS, ())}
    return digest_json({**parts, "parents": whole, "seeds": work.seeds})
