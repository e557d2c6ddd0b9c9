"""How a snapshot is built: here, in another process, or as that other process. Knows not how that one is shut in.

The store asks its builder, where it has one, instead of calling the build function itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets_data.lineage.errors import IntegrityError
from assets_data.lineage.storage.snapshot import Snapshot
from assets_data.lineage.storage.snapshot_writer import SnapshotWriter

if TYPE_CHECKING:
    from assets_data.lineage.storage.store import Store

SEALED = "sealed"  # the member of a receipt's environment that says what was enforced


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """What a build reaches besides its parents: files it reads, folders whose names it lists, folders it writes (a run
    directory, a ledger), whether it fetches, and the variables with secrets that its settings name.
    """

    reads: Sequence[Path] = ()
    lists: Sequence[Path] = ()
    writes: Sequence[Path] = ()
    network: bool = False
    secrets: Sequence[str] = ()


NOTHING = Outside()
SHUT_IN: list[int] = []  # the process that a sealed one works for, in there: it holds the leases of the call


class Builder:
    """Stands between the store and a build."""

    def of(self, stage: Any, inputs: Any, config: Any, slice_name: str, further: Any) -> Builder:
        """The builder for one call of a declared stage."""
        return self

    def note(self, key: str, snapshot: Snapshot) -> None:
        """A call that was found made."""

    def build(
        self,
        store: Store,
        key: str,
        writer: SnapshotWriter,
        parents: list[Path],
        outside: Outside,
        surroundings: tuple[Mapping[str, Any], Mapping[str, Any]],
    ) -> Mapping[str, Any]:
        """Have the snapshot's files written, and say what was enforced. ``surroundings`` are the checkout and the
        environment as the receipt will have them.
        """
        raise NotImplementedError


class Written(BaseException):
    """Raised inside once the files are written, past every handler of errors; ``writer`` is the writer's state."""

    def __init__(self, writer: Mapping[str, Any]) -> None:
        self.writer = writer


@dataclass(frozen=True, slots=True)
class Inside(Builder):
    """The other process: the call with this key is built into a folder; those found before it are opened, not made."""

    key: str
    found: Mapping[str, str]
    into: Path

    def answer(self, store: Store, key: str, kind: str, build: Any) -> Snapshot:
        """Build and raise :class:`Written`, or the snapshot found before. Raises IntegrityError SEAL_OTHER_CALL."""
        if key == self.key:
            writer = SnapshotWriter(self.into, kind)
            build(writer)
            raise Written(writer.state())
        if key not in self.found:
            what = "inside the seal the stage asked for something else than outside"
            raise IntegrityError("SEAL_OTHER_CALL", what, expected=self.key, found=key, where=kind)
        return replace(store.opened(self.found[key]), reused=True)
