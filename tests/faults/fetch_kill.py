"""Makes a raw slice over HTTP in forked children that kill themselves (SIGKILL) at chosen moments, then once more.

A process of its own, so that everything is imported once and forked before there is any thread. A moment is a share of
the blocks put into partials (``b0.5``), or of the times that anything is opened, renamed, removed or made below the
store (``e0.5``). Prints one JSON line per moment: how the first child ended, what was left, and the slice's id.
"""

import json
import os
import signal
import sys
from pathlib import Path

from assets_data.domains.text.raw_slice import make_raw_slice
from assets_data.lineage import Store, from_dict
from assets_data.sources.config import SourceConfig
from assets_data.sources.http.partial import Partial

WATCHED = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "shutil.rmtree"}


class Moments:
    """Counts both kinds of moments and ends the process at the chosen one."""

    def __init__(self, root: Path, moment: tuple[str, int]) -> None:
        self.root, self.moment, self.counts = str(root), moment, {"b": 0, "e": 0}

    def count(self, kind: str) -> None:
        self.counts[kind] += 1
        if self.moment == (kind, self.counts[kind]):
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self) -> None:
        def audit(name: str, arguments: tuple) -> None:
            if name in WATCHED and self.root in str(arguments[0]):
                self.count("e")

        def write(partial: Partial, offset: int, block: bytes, honest=Partial.write) -> None:
            honest(partial, offset, block)
            self.count("b")

        sys.addaudithook(audit)
        Partial.write = write


def in_child(root: Path, config: SourceConfig, moment: tuple[str, int] = ("", 0)) -> dict:
    """``{"status", "id", "counts"}`` of one child; a killed one has only its status."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        moments = Moments(root, moment)
        moments.watch()
        raw = make_raw_slice(Store(root), "http-0", config)
        os.write(writer, json.dumps({"id": raw.id, "counts": moments.counts}).encode())
        os._exit(0)
    os.close(writer)
    with open(reader) as pipe:
        found = json.loads(pipe.read() or "{}")
    return {"status": os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), **found}


def leftovers(root: Path) -> list[str]:
    """Temps and partials where somebody sweeps; those of receipts, which nobody leases, may stay (see ``atomic``)."""
    files = [path for name in ("fetch", "snapshots", "stages") for path in (root / name).rglob("*")]
    return [path.name for path in files if path.name.startswith((".tmp-", "partial-"))]


def main(folder: Path, config: SourceConfig, *moments: str) -> None:
    """The undisturbed run first, then each moment in a store of its own."""
    undisturbed = in_child(folder / "undisturbed", config)
    print(json.dumps(undisturbed), flush=True)
    for moment in moments:
        root, kind = folder / moment, moment[0]
        killed = in_child(root, config, (kind, 1 + int(float(moment[1:]) * undisturbed["counts"][kind])))
        left = leftovers(root)
        healed = in_child(root, config)
        facts = {"killed": killed["status"], "left": left, "id": healed.get("id"), "after": leftovers(root)}
        print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), from_dict(SourceConfig, json.loads(sys.argv[2])), *sys.argv[3:])
