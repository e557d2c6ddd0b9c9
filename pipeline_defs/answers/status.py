"""``stemma status``: every asset and slice, fresh or stale and why, by today's code, presets, sources and names."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from assets_data.lineage import ConfigError, StemmaError, Store, resolve, to_dict
from assets_data.lineage.queries.freshness import Expectation, Standing, judge
from assets_data.lineage.queries.tree import load_node
from assets_data.lineage.receipts.code import code_version
from assets_data.lineage.receipts.provenance import Provenance
from assets_data.lineage.receipts.receipt import read_provenance
from assets_data.lineage.storage.redaction import WITHDRAWN
from pipeline_defs.answers.answer import Answer, short
from pipeline_defs.answers.expected import NOT_READ, section, source_arguments, stage_modules, stage_presets
from pipeline_defs.answers.nodes import default_store

UNNAMED = "@"  # between kind and id, where no name stands for a snapshot


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
    accounts, broken = _accounts(store)
    _add_unnamed(store, accounts)
    expected = {
        name: _expect(store, name, account, accounts, preset, check_sources) for name, (_, account) in accounts.items()
    }
    standings = judge(accounts, expected)
    named = {name: standing for name, standing in standings.items() if UNNAMED not in name}
    return dict(sorted({**named, **broken}.items()))


def _accounts(store: Store) -> tuple[dict[str, tuple[str, Provenance]], dict[str, Standing]]:
    """Names with a readable receipt, and those without, which are stale for that."""
    accounts: dict[str, tuple[str, Provenance]] = {}
    broken: dict[str, Standing] = {}
    for name in store.all_names():
        if name.startswith("pins/"):
            continue
        entry = store.pointer(name) or {}
        snapshot_id = str(entry.get("snapshot"))
        try:
            accounts[name] = (snapshot_id, read_provenance(store.root / (entry.get("receipt") or "no receipt")))
        except (OSError, StemmaError) as error:
            broken[name] = Standing(name=name, id=snapshot_id, reasons=[("content", f"its receipt: {error}")])
    return accounts, broken


def _add_unnamed(store: Store, accounts: dict[str, tuple[str, Provenance]]) -> None:
    """Snapshots that no name stands for (an index a stage makes for itself) are judged too, under names of ours."""
    kinds = {name if account.stage == name else account.stage for name, (_, account) in accounts.items()}
    pending = [account for _, account in accounts.values()]
    while pending:
        for parent in pending.pop().parents:
            name = f"{parent.kind}{UNNAMED}{parent.id}"
            if parent.kind not in kinds and name not in accounts:
                if found := load_node(store, parent.id, parent.kind).accounts:
                    accounts[name] = (parent.id, max(found, key=lambda account: account.finished))
                    pending.append(accounts[name][1])


def _expect(
    store: Store,
    name: str,
    account: Provenance,
    accounts: Mapping[str, tuple[str, Provenance]],
    preset: str | None,
    check_sources: bool,
) -> Expectation:
    if WITHDRAWN in account.arguments:  # made by taking records out: nothing but that would make it again
        return Expectation(content=_damage(store, accounts[name][0]))
    config, wrong = _config(account, preset)
    content = _damage(store, accounts[name][0]) or wrong
    arguments = None
    if check_sources and account.stage == "text/raw_slice" and not content:
        try:
            arguments = {**account.arguments, **source_arguments(account)}
        except (StemmaError, OSError) as error:
            content = f"its source: {error}"
    return Expectation(
        config=config,
        code_version=_code(account.stage),
        arguments=arguments,
        parents=_parents(name, account, accounts),
        content=content,
    )


def _code(stage: str) -> str:
    try:
        return code_version(*stage_modules(stage))
    except FileNotFoundError:
        return "none: its modules are not there any more"


def _config(account: Provenance, preset: str | None) -> tuple[Mapping[str, Any] | None, str | None]:
    """The stage's section of what was asked for, resolved with today's presets; and what is wrong with asking it."""
    presets = stage_presets(account.stage)
    asked = preset or account.requested.get("preset")
    if presets is None or asked is None:
        return None, None
    chosen = asked if asked in presets else "demo"
    try:
        full = resolve(presets, chosen, account.requested.get("overrides", {}))
    except ConfigError as error:
        return None, f"what was asked for is refused now: {error}"
    return json.loads(json.dumps(section(account.stage, to_dict(full)))), None


def _parents(name: str, account: Provenance, accounts: Mapping[str, tuple[str, Provenance]]) -> dict[str, list[str]]:
    """The names that stand for what the account read: a slice reads its own slice, anything else reads all of them.

    An input that nothing was read from expects nothing; what no name stands for is expected as it was read.
    """
    part = name.removeprefix(f"{account.stage}/") if name != account.stage else None
    wanted: dict[str, list[str]] = {}
    for parent in account.parents:
        unnamed, single = f"{parent.kind}{UNNAMED}{parent.id}", parent.input.partition("/")[2]
        if unnamed in accounts:
            wanted.setdefault(parent.input, []).append(unnamed)
        elif (account.stage, parent.kind) not in NOT_READ and parent.input not in wanted:
            slices = [other for other in accounts if other.startswith(f"{parent.kind}/")]
            if UNNAMED in name:  # which slice is its own is known by the id alone; one that moved leaves it stale
                slices = [other for other in slices if accounts[other][0] == parent.id] or slices
            candidates = (parent.kind, f"{parent.kind}/{part}", f"{parent.kind}/{single}")
            own = next((candidate for candidate in candidates if candidate in accounts), None)
            wanted[parent.input] = [own] if own else slices
    return wanted


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
