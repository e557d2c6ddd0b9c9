"""From where a checkpoint can be trained on without some records: the last of its run's states that no step of them
touched. Reads the run directory; trains nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from assets_data.documents import read_facts
from assets_data.lineage import Store, digest_file
from assets_data.lineage.errors import StemmaError
from assets_data.lineage.identity.digests import load_json
from assets_data.lineage.queries.reach import Effect, Reach
from pipeline_defs.answers.uses import trained_on


def find_restart(
    store: Store, effect: Effect, reach: Reach, records: Collection[bytes], changed: Collection[str], *, rebuilt: bool
) -> dict[str, Any]:
    """The state a checkpoint goes on from (``from``: its folder, None: the beginning), why, and the seconds saved.

    ``changed`` are the snapshots that will be made again; ``rebuilt``: so will whatever learned from the records. Where
    a text comes back that one of the records had kept out, an earlier state may be needed: the new rows tell.
    """
    facts = read_facts(effect.node.snapshot) if effect.node.snapshot else {}
    updates, seconds = facts.get("updates", 0), facts.get("seconds", 0.0)
    if rebuilt and effect.learned:
        says = "an ancestor of it learned from them and is made again"
        return _facts(None, None, updates, seconds, says)
    if "validation" in reach.splits and _may_end_early(effect):
        return _facts(None, None, updates, seconds, "rows of them were watched, and what is watched may end this run")
    trained = trained_on(store, effect)
    tables = {table["snapshot"] for table in facts.get("order", {}).get("tables", [])}
    if trained is None and (not tables or tables & set(changed)):
        return _facts(None, None, updates, seconds, "its rows name no records")
    uses = sorted({step for record in records for step in trained.uses(record)}) if trained else []
    first = uses[0] if uses else None
    says = (
        f"first taken at step {first:,} of {updates:,}, {len(uses):,} steps in all"
        if first
        else f"none of its {updates:,} steps took them"
    )
    clean = _last_clean(store, facts.get("run_id"), first - 1 if first else updates)
    return _facts(first, clean, updates, seconds, says)


def _may_end_early(effect: Effect) -> bool:
    snapshot = effect.node.snapshot
    config = snapshot.read_json("config.json") if snapshot and "config.json" in snapshot.files else {}
    return config.get("train", {}).get("best", {}).get("patience", 0) > 0


def _facts(first: int | None, clean: Path | None, updates: int, seconds: float, says: str) -> dict[str, Any]:
    done = int(clean.name) if clean else 0
    saved = round(seconds * done / updates, 3) if updates else 0.0
    where = f"goes on from the state after step {done:,}" if done else "trained again from the beginning"
    return {
        "first_step": first,
        "clean_step": done,
        "from": str(clean) if clean else None,
        "seconds_saved": saved,
        "says": f"{says}; {where}, which saves {saved:,.1f} s of {seconds:,.1f} s",
    }


def _last_clean(store: Store, run_id: str | None, last_step: int) -> Path | None:
    """The newest checkpoint of the run that was saved at or before ``last_step`` and still is whole."""
    if not run_id or "/" in run_id or ".." in run_id:
        return None
    folders = (store.root / "runs" / run_id / "checkpoints").glob("[0-9]*")
    clean = sorted((f for f in folders if f.name.isdigit() and 0 < int(f.name) <= last_step), reverse=True)
    return next((folder for folder in clean if _whole(folder)), None)


def _whole(folder: Path) -> bool:
    try:
        files = load_json((folder / "state.json").read_bytes(), folder)["files"]
        return all(digest_file(folder / name) == digest for name, digest in files.items())
    except (OSError, KeyError, TypeError, StemmaError):
        return False
