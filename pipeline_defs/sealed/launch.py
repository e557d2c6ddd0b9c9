"""Building a stage in a sealed process: what the child is told, and what of its answer is believed.

The parent finds or refuses the call, makes the folder and publishes; the child, started anew from an environment of an
allowlist, calls the same stage with the same inputs under the rules, writes into that folder and nothing else. What the
stage looked at before it built is looked at again in there, under the rules too.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from assets_data.lineage import ConfigError, IntegrityError, Snapshot, Store, errors, to_dict
from assets_data.lineage.identity.digests import digest_json
from assets_data.lineage.storage.sealing import NOTHING, Builder, Outside
from assets_data.lineage.storage.snapshot_writer import SnapshotWriter
from assets_data.stage import Stage
from pipeline_defs.catalogue import catalogue
from pipeline_defs.sealed import landlock
from pipeline_defs.sealed.forkserver import server
from pipeline_defs.sealed.rules import Rules, dropped_variables, kept_variables, rules_of

LIBRARIES = ("numpy", "pyarrow.parquet", "polars", "numba")  # imported once, before the processes of builds are forked
TRAINING = (*LIBRARIES, "torch", "torch._dynamo")  # the latter by every optimizer


def require_landlock() -> int:
    """The kernel's version. Raises ConfigError SEAL_UNAVAILABLE where it cannot seal whole: then nothing is sealed."""
    if (found := landlock.abi()) < landlock.LEAST_ABI:
        what = "this kernel cannot seal a stage; nothing was sealed"
        expected = f"Linux with Landlock ABI {landlock.LEAST_ABI} or later"
        raise ConfigError(
            "SEAL_UNAVAILABLE", what, expected=expected, found=f"ABI {found}", action="run without --sealed"
        )
    return found


def seal(store: Store) -> Store:
    """The same store, whose stages are built sealed. Raises as :func:`require_landlock`."""
    return dataclasses.replace(store, builder=Sealing(require_landlock()))


@dataclasses.dataclass(frozen=True, slots=True)
class Sealing(Builder):
    """Seals what is called through a stage's declaration; ``call`` is what the child is to call. ``named`` are the
    paths in a source stage's settings, for one that does not say more exactly what it reads.
    """

    abi: int
    call: Mapping[str, Any] | None = None
    named: tuple[Path, ...] = ()
    libraries: Sequence[str] = LIBRARIES
    found: list[tuple[str, str]] = dataclasses.field(default_factory=list)

    def of(self, stage: Stage, inputs: Mapping[str, Any], config: Any, slice_name: str, further: Mapping[str, Any]):
        """Bound to one call of a stage. Raises ConfigError SEAL_ARGUMENT for what cannot be handed over."""
        call = {
            "kind": stage.kind,
            "inputs": {name: _ids(given) for name, given in inputs.items()},
            "config": None if config is None else to_dict(config),
            "slice_name": slice_name,
            "further": {name: _plain(name, value) for name, value in further.items() if value and name != "callbacks"},
        }
        named = tuple(_paths(call["config"])) if stage.source else ()
        return Sealing(self.abi, call, named, LIBRARIES if stage.owner in catalogue().domains else TRAINING)

    def note(self, key: str, snapshot: Snapshot) -> None:
        """A call on the way that was found: the child finds it too."""
        self.found.append((key, snapshot.id))

    def build(
        self,
        store: Store,
        key: str,
        writer: SnapshotWriter,
        parents: list[Path],
        outside: Outside,
        surroundings: tuple[Mapping[str, Any], Mapping[str, Any]],
    ) -> Mapping[str, Any]:
        """Let the child write the snapshot's files; what was enforced, for the receipt."""
        if self.call is None:
            what = "only a declared stage can be sealed"
            raise ConfigError("SEAL_CALL", what, found=writer.kind, action="run it without --sealed")
        kept = kept_variables()
        secrets = {name: os.environ[name] for name in outside.secrets if name in os.environ}
        with tempfile.TemporaryDirectory(prefix="sealed-", dir=writer.path.parent) as own:
            for folder in outside.writes:
                folder.mkdir(parents=True, exist_ok=True)
            rules = rules_of(store, parents, self._beside(outside), self.found, (writer.path, Path(own)))
            request = {
                **self._request(store, key, surroundings),
                "into": str(writer.path),
                "own": own,
                "rules": dataclasses.asdict(rules),
                "dropped": dropped_variables({**kept, **secrets}),
            }
            answer = _answer(request, {**kept, **secrets}, self.libraries)
        writer.adopt(answer["writer"])
        return _enforced(self.abi, rules, kept, secrets)

    def _beside(self, outside: Outside) -> Outside:
        """What the stage reaches besides its parents, as it says; where it says nothing, what its settings name."""
        return dataclasses.replace(outside, reads=self.named) if outside is NOTHING else outside

    def _request(
        self, store: Store, key: str, surroundings: tuple[Mapping[str, Any], Mapping[str, Any]]
    ) -> dict[str, Any]:
        """The call, and what of the store and of the surroundings makes it the same call in the child."""
        return {
            **(self.call or {}),
            "root": str(store.root),
            "requested": dict(store.requested),
            "withdrawing": sorted(record.hex() for record in store.withdrawing),
            "key": key,
            "tree": dict(surroundings[0]),
            "environment": dict(surroundings[1]),
            "found": dict(self.found),
        }


def _enforced(abi: int, rules: Rules, kept: Mapping[str, str], secrets: Mapping[str, str]) -> dict[str, Any]:
    """What the receipt says of the seal. Values of variables are digests there; of secrets only the names."""
    gpus = [path for path in rules.devices if "nvidia" in path or path.startswith(("/dev/dri", "/dev/kfd"))]
    return {
        "landlock_abi": abi,
        "rules": rules.digest,
        "variables": {name: digest_json(value)[7:19] for name, value in sorted(kept.items())},
        "secrets": sorted(secrets),
        "network": "through the address filter" if rules.network else "none",
        "devices": gpus,
    }


def _answer(request: Mapping[str, Any], kept: Mapping[str, str], libraries: Sequence[str]) -> dict[str, Any]:
    """Have a child take the request, and read its answer. Raises the child's own error by its code."""
    own = Path(request["own"])
    ask, reply = own / "request.json", own / "answer.json"
    ask.write_text(json.dumps(request))
    path = tuple(path for path in sys.path if path)
    status = server(tuple(sorted(kept.items())), path, os.getpid()).run(ask, libraries)
    answer = json.loads(reply.read_text()) if reply.is_file() else {}
    if error := answer.get("error"):
        raise getattr(errors, error["class"], IntegrityError)(error.pop("code"), error.pop("what"), **_members(error))
    if status or "writer" not in answer:
        raise IntegrityError("SEAL_ENDED", "the sealed process ended without an answer", found=f"status {status}")
    return answer


def _members(error: Mapping[str, Any]) -> dict[str, Any]:
    return {name: error[name] for name in ("expected", "found", "where", "action")}


def _ids(given: Any) -> Any:
    return {name: one.id for name, one in given.items()} if isinstance(given, Mapping) else given.id


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, Snapshot):
        return {"snapshot": value.id}
    if isinstance(value, Path):
        return {"path": str(value)}
    if isinstance(value, bool | int | str):
        return value
    what = "this argument cannot be handed to a sealed process"
    raise ConfigError("SEAL_ARGUMENT", what, found=name, action="run it without --sealed")


def _paths(config: Any) -> Iterator[Path]:
    """Every value of a config that is the path of something there."""
    if isinstance(config, Mapping):
        for value in config.values():
            yield from _paths(value)
    elif isinstance(config, str) and config.startswith(("/", "~", ".")) and Path(config).expanduser().exists():
        yield Path(config).expanduser().resolve()
