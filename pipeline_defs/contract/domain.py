"""What a domain promises, tried on its smoke preset: made, replayed, checked, and made without what was withdrawn."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from assets_data.domain import Domain, require_domain
from assets_data.lineage import StemmaError, Store
from assets_data.lineage.identity.merkle import sorted_records
from assets_data.lineage.storage.records import all_records, record_tables
from assets_data.lineage.storage.tombstones import FOLDER as WITHDRAWALS
from assets_data.stage import load
from pipeline_defs.answers.withdrawal.apply import apply_plan
from pipeline_defs.answers.withdrawal.command import GROUP, group_records
from pipeline_defs.answers.withdrawal.plan import Plan, make_plan
from pipeline_defs.commands.chain import Chain
from pipeline_defs.commands.runs import ChainFailure
from pipeline_defs.contract.declarations import domain_declarations
from pipeline_defs.contract.replays import replay_problems
from pipeline_defs.contract.trial import Trial


def find_problems(name: str, folder: Path, settings: Mapping[str, Any], seed: int) -> list[str]:
    """Every broken promise; declarations first, and nothing is run while those are wrong."""
    domain = require_domain(name)
    if problems := list(domain_declarations(domain)):
        return problems
    try:
        with Trial(folder / "root") as trial:
            return list(_run(domain, trial, folder, settings, seed))
    except (StemmaError, ChainFailure) as error:
        return [f"{name}: {error}"]


def _run(domain: Domain, trial: Trial, folder: Path, settings: Mapping[str, Any], seed: int) -> Iterator[str]:
    kinds = [stage.kind for stage in domain.stages if not stage.on_request]
    trial.run(kinds, settings)
    yield from _made(domain, trial)
    yield from trial.stale()
    yield from replay_problems(trial.store, Store(folder / "replayed"), trial.live())
    yield from _previews(domain, trial)
    draw = np.random.default_rng(seed)
    for what, records in _withdrawn(domain, trial, draw):
        gone = sorted_records(list(records))
        plan = make_plan(trial.store, records, "rebuild")
        yield from _split_is_said(plan, what)
        apply_plan(trial.store, plan)
        yield from (f"{what} was withdrawn, and {held} holds it" for held in trial.holders(gone))
        yield from _stays_away(domain, trial, trial.run(kinds, settings), what, gone)
    yield from _made_anew(trial, folder / "anew", kinds, settings)


def _made(domain: Domain, trial: Trial) -> Iterator[str]:
    """Every stage published something, and snapshots that name records say their root."""
    live = trial.live()
    for stage in domain.stages:
        mine = [key for name, key in live.items() if name == stage.kind or name.startswith(f"{stage.kind}/")]
        if not mine and not stage.on_request:
            yield f"{stage.kind}: a run made none"
        for snapshot in map(trial.store.opened, mine):
            if stage.source and not record_tables(snapshot):
                yield f"{stage.kind}: a source whose tables name no records"


def _previews(domain: Domain, trial: Trial) -> Iterator[str]:
    """A row of every table with row keys can be shown."""
    for name, key in trial.live().items():
        snapshot = trial.store.opened(key)
        for file in record_tables(snapshot):
            table = snapshot.table(file)
            if domain.preview and "row_key" in table.column_names and table.num_rows:
                if not load(domain.preview)(trial.store, snapshot)(table.slice(0, 1).to_pylist()[0], None, 0):
                    yield f"{name}: a row of {file} has no preview"


def _withdrawn(domain: Domain, trial: Trial, draw: np.random.Generator) -> Iterator[tuple[str, Collection[bytes]]]:
    """A random record, then a random group where there are groups, of what the sources hold by then."""
    yield "a record", {draw.choice(_records(domain, trial)).tobytes()}
    sources = _sources(domain, trial)
    tables = [s.table(file) for s in sources for file in record_tables(s)]
    groups = sorted({group for t in tables if GROUP in t.column_names for group in t[GROUP].to_pylist()})
    if groups:
        group = str(draw.choice(groups))
        yield f"group {group}", group_records(sources, group)


def _made_anew(trial: Trial, root: Path, kinds: Iterable[str], settings: Mapping[str, Any]) -> Iterator[str]:
    """Where the records were withdrawn before anything was made, the sources leave them out themselves, and everything
    is what taking them out of the old snapshots gave.
    """
    shutil.copytree(trial.store.root / WITHDRAWALS, root / "store" / WITHDRAWALS)
    with Trial(root) as anew:
        anew.run(kinds, settings)
        live = trial.live()
        for name, key in anew.live().items():
            if live.get(name) != key:
                yield f"{name}: made anew without the withdrawn records it is another one than taking them out gave"


def _split_is_said(plan: Plan, what: str) -> Iterator[str]:
    """Of a record that is a row, some table says the split: who learned from that split is not found otherwise."""
    rows = [e.node.kind for e in plan.reach.effects.values() if any(Path(name).suffix == ".arrow" for name in e.rows)]
    if rows and not plan.reach.splits:
        yield f"{what} is in rows of {sorted(set(rows))}, and no column `split` or name of a table says in which split"


def _sources(domain: Domain, trial: Trial) -> list[Any]:
    kinds = [stage.kind for stage in domain.stages if stage.source]
    live = trial.live().items()
    return [trial.store.opened(key) for name, key in live if any(f"{name}/".startswith(f"{kind}/") for kind in kinds)]


def _records(domain: Domain, trial: Trial) -> np.ndarray:
    return np.concatenate([all_records(snapshot) for snapshot in _sources(domain, trial)])


def _stays_away(domain: Domain, trial: Trial, chain: Chain, what: str, gone: np.ndarray) -> Iterator[str]:
    """After the run that ``chain`` was: after a materialisation of each slice's source, and a tick of the sensors."""
    yield from (f"{what} came back into {held} with a run" for held in trial.holders(gone))
    yield from trial.stale()
    before = trial.live()
    for stage in domain.stages:
        for name in trial.store.names(stage.kind) if stage.source and stage.sliced else ():
            trial.materialize(chain, stage, name)
    trial.tick(domain)
    yield from (f"{what} came back into {held} by itself" for held in trial.holders(gone))
    yield from (f"{name} became another one by itself" for name, key in trial.live().items() if before.get(name) != key)
