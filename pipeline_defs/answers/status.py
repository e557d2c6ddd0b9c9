"""``stemma status``: every asset and slice, fresh or stale and why, by today's code, presets, sources and names."""

from __future__ import annotations

import contextlib
import json
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from assets_data.lineage import ConfigError, StemmaError, Store
from assets_data.lineage.queries.freshness import Expectation, Standing, judge
from assets_data.lineage.queries.tree import load_node
from assets_data.lineage.receipts.code import code_version
from assets_data.lineage.receipts.reader import read_receipt
from assets_data.lineage.receipts.receipt import Parent, Receipt
from assets_data.lineage.storage.look import one_look, rarely_collected
from assets_data.lineage.storage.names import PINS, require_kind
from assets_data.lineage.storage.read_ahead import read_ahead
from assets_data.stage import Stage, load
from pipeline_defs.answers.answer import Answer, short
from pipeline_defs.answers.nodes import default_store
from pipeline_defs.catalogue import TRAINING_STATE, catalogue

UNNAMED = "@"  # between kind and id, where no name stands for a snapshot


@rarely_collected()
def status(options: Namespace) -> Answer:
    """Every name's standing; status 1 when any is stale."""
    store = default_store()
    standings = stand(store, options.preset, check_sources=not options.offline)
    stale = [standing for standing in standings.values() if not standing.fresh]
    document = {
        name: {"id": s.id, "fresh": s.fresh, "reasons": [{"kind": k, "says": t} for k, t in s.reasons]}
        for name, s in standings.items()
    }
    lines = [*_lines(standings), f"{len(standings) - len(stale)} fresh, {len(stale)} stale"]
    return Answer(document=document, lines=lines, ok=not stale)


def stand(store: Store, preset: str | None = None, check_sources: bool = True) -> dict[str, Standing]:
    """The standing of every name in the store. ``preset`` stands in for the one each was asked for with."""
    every = [name for name in store.all_names() if not name.startswith(PINS)]
    with one_look(), read_ahead(store.root, every, data=False):
        receipts, broken = _receipts(store, every)
        _add_unnamed(store, receipts)
        names = Names(receipts)
        expected = {
            name: _expect(store, name, receipt, names, preset, check_sources) for name, (_, receipt) in receipts.items()
        }
    standings = judge(receipts, expected)
    named = {name: standing for name, standing in standings.items() if UNNAMED not in name}
    return dict(sorted({**named, **broken}.items()))


def _receipts(store: Store, names: Sequence[str]) -> tuple[dict[str, tuple[str, Receipt]], dict[str, Standing]]:
    """Names with a readable receipt, and those without, which are stale for that."""
    receipts: dict[str, tuple[str, Receipt]] = {}
    broken: dict[str, Standing] = {}
    for name in names:
        snapshot_id = "none"
        try:
            entry = store.pointer(name) or {}
            snapshot_id = str(entry.get("snapshot"))
            receipt = read_receipt(store.root / (entry.get("receipt") or "no receipt"))
            require_kind(name, receipt.stage)
            receipts[name] = (snapshot_id, receipt)
        except (OSError, StemmaError) as error:
            broken[name] = Standing(name=name, id=snapshot_id, reasons=[("content", f"its receipt: {error}")])
    return receipts, broken


def _add_unnamed(store: Store, receipts: dict[str, tuple[str, Receipt]]) -> None:
    """Snapshots that no name stands for (an index a stage makes for itself) are judged too, under names of ours."""
    kinds = {name if receipt.stage == name else receipt.stage for name, (_, receipt) in receipts.items()}
    pending = [receipt for _, receipt in receipts.values()]
    while pending:
        for parent in pending.pop().parents:
            name = f"{parent.kind}{UNNAMED}{parent.id}"
            if parent.kind not in kinds and name not in receipts:
                if found := load_node(store, parent.id, parent.kind).receipts:
                    receipts[name] = (parent.id, max(found, key=lambda receipt: receipt.finished))
                    pending.append(receipts[name][1])


def _expect(
    store: Store,
    name: str,
    receipt: Receipt,
    names: Names,
    preset: str | None,
    check_sources: bool,
) -> Expectation:
    """What making a name today would read and use, by the declaration of its stage."""
    damage = _damage(store, names.receipts[name][0])
    if (stage := catalogue().stages.get(receipt.stage)) is None:
        gone = None if _by_request(receipt) else "no stage makes this kind any more"
        return Expectation(content=damage or gone, parents={})
    config, wrong = names.config(stage, receipt, preset)
    content, arguments = damage or wrong, None
    if check_sources and stage.now and not content:
        try:
            now = load(stage.now)(names.replayed(stage, receipt), receipt.arguments)
            arguments = {**receipt.arguments, **now}
        except (StemmaError, OSError) as error:
            content = f"its source: {error}"
    parents = names.read_by(name, receipt, stage)
    return Expectation(
        config=config,
        code_version=None if stage.pin else _code(stage),  # what is pinned is returned whatever its code became
        arguments=arguments,
        parents=parents,
        parts=dict(_parts(store, name, stage, parents, names)),
        content=content,
    )


def _parts(
    store: Store, name: str, stage: Stage, parents: Mapping[str, Sequence[str]], names: Names
) -> Iterator[tuple[str, str]]:
    """By input of which only a part counts, the digest of that part today; nothing for one that cannot be read."""
    for key, given in stage.inputs.items():
        if given.part and len(read := parents.get(key, [])) == 1:
            with contextlib.suppress(OSError, StemmaError):  # what is wrong with it is said of it
                snapshot = store.opened(names.receipts[read[0]][0])
                yield key, load(given.part.digest)(snapshot, name.removeprefix(f"{stage.kind}/"))


def _by_request(receipt: Receipt) -> bool:
    """A training state was published because a branch asked for it; nothing makes it anew."""
    return receipt.stage.endswith(f"/{TRAINING_STATE}")


def _code(stage: Stage) -> str:
    try:
        return code_version(*stage.code)
    except ConfigError:
        return "none: its modules are not there any more"


def _config(stage: Stage, receipt: Receipt, preset: str | None) -> tuple[Mapping[str, Any] | None, str | None]:
    """The part of what was asked for that the receipt holds, resolved with today's presets; and what is wrong with
    asking it.
    """
    asked = preset or receipt.requested.get("preset")
    if stage.presets is None or asked is None:
        return None, None
    try:
        full = stage.resolve(stage.default_preset(asked), receipt.requested.get("overrides", {}))
    except ConfigError as error:
        return None, f"what was asked for is refused now: {error}"
    return json.loads(json.dumps(stage.receipt_config(full))), None


class Names:
    """The names in a store with their receipts, by kind, so that what a stage reads is found without a search."""

    def __init__(self, receipts: Mapping[str, tuple[str, Receipt]]) -> None:
        self.receipts = receipts
        self._slices: dict[str, list[str]] = {}
        self._by_id: dict[tuple[str, str], str] = {}
        self._configs: dict[tuple[str, str], Any] = {}
        for name, (snapshot_id, receipt) in receipts.items():
            self._by_id.setdefault((receipt.stage, snapshot_id), name)
            if name != receipt.stage and UNNAMED not in name:
                self._slices.setdefault(receipt.stage, []).append(name)

    def config(self, stage: Stage, receipt: Receipt, preset: str | None) -> tuple[Mapping[str, Any] | None, str | None]:
        """:func:`_config`, found once for all slices that were asked for alike."""
        return self._once(stage.kind, [preset, receipt.requested], lambda: _config(stage, receipt, preset))

    def replayed(self, stage: Stage, receipt: Receipt) -> Any:
        """The full config that a receipt holds, likewise. Raises as :meth:`Stage.replay_config`."""
        return self._once(stage.kind, ["recorded", receipt.config], lambda: stage.replay_config(receipt.config))

    def _once(self, kind: str, asked: Any, find: Callable[[], Any]) -> Any:
        key = kind, json.dumps(asked, sort_keys=True)
        if key not in self._configs:
            self._configs[key] = find()
        return self._configs[key]

    def read_by(self, name: str, receipt: Receipt, stage: Stage) -> dict[str, list[str]]:
        """The names that stand today for what a receipt read: its own slice, or all of them; a pinned stage's inputs
        do not count. What no name stands for is expected as it was read.
        """
        wanted: dict[str, list[str]] = {}
        own = name.removeprefix(f"{receipt.stage}/") if name != receipt.stage else ""
        for parent in receipt.parents:
            if parent.input in wanted or stage.pin:
                continue
            given = stage.inputs.get(parent.input)
            if given and given.many:
                wanted[parent.input] = self._slices.get(given.kind, [])
            elif found := self._one(parent, own):
                wanted[parent.input] = [found]
        return wanted

    def _one(self, parent: Parent, own: str) -> str | None:
        """The name of a single input: of the same slice, of the slice that the input's own name ends in, or the kind's
        own; else one that stands for what was read.
        """
        single = parent.input.partition("/")[2]
        candidates = (f"{parent.kind}/{own}", f"{parent.kind}/{single}", parent.kind)
        named = next((candidate for candidate in candidates if candidate in self.receipts), None)
        return named or self._by_id.get((parent.kind, parent.id))


def _damage(store: Store, snapshot_id: str) -> str | None:
    """What a look at names and sizes shows of a published directory; no byte is hashed."""
    try:
        snapshot = store.opened(snapshot_id)
        snapshot.check_list()
    except StemmaError as error:
        return str(error)
    for name, entry in snapshot.files.items():
        path: Path = snapshot.path / name
        if not path.is_file() or path.stat().st_size != entry["bytes"]:
            return f"{name} is gone or has another size"
    return None


def _lines(standings: Mapping[str, Standing]) -> Iterator[str]:
    width = max(map(len, standings), default=0)
    for name, standing in standings.items():
        yield f"{'fresh' if standing.fresh else 'STALE'}  {name:<{width}}  {short(standing.id)}"
        for kind, says in standing.reasons[:5]:
            yield f"       {kind:<8}{says}"
        if len(standing.reasons) > 5:
            yield f"       and {len(standing.reasons) - 5} more"
