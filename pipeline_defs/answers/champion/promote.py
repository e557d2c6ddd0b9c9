"""Moving the champion forward, and back.

Order: everything is checked, the promotion is published, the export is complete on the shelf, then the name moves, then
``current``. Killed anywhere, asking again ends in the same state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assets_data.lineage import GateError, SnapshotWriter, Store, lease
from assets_data.lineage.queries.evidence import FORMER
from pipeline_defs.answers.champion.contest import Challenger, contest, find_challenger, require_eligible
from pipeline_defs.answers.champion.shelf import clear_shelf, put_on_shelf, write_export
from pipeline_defs.answers.champion.standing import (
    DOCUMENT,
    Promotion,
    champion,
    history,
    promoted_name,
)


@dataclass(frozen=True, slots=True)
class Moved:
    """The champion that stands now, the one before it, and whether this call moved it."""

    promotion: Promotion
    before: Promotion | None
    moved: bool


def promote(store: Store, recipe: str, checkpoint_id: str | None = None, without_comparison: str = "") -> Moved:
    """Make a checkpoint the champion. ``without_comparison`` is a person's reason to skip the comparison; gate and
    lineage are never skipped. Raises GateError PROMOTE_*.
    """
    with lease(_lock(store, recipe)):
        standing = champion(store, recipe)
        challenger = find_challenger(store, recipe, checkpoint_id)
        if standing and standing.needs == challenger.needs:
            put_on_shelf(store, recipe, standing)
            return Moved(standing, None, moved=False)
        nodes = require_eligible(store, challenger)
        rows, how = ([], without_comparison) if without_comparison else contest(store, challenger, standing)
        return _move(store, challenger, standing, {"comparison": rows, "how": how, "verified": nodes})


def roll_back(store: Store, recipe: str, reason: str) -> Moved:
    """The champion before the standing one again; its gate and lineage are checked as ever.

    Raises GateError PROMOTE_NO_FORMER where there is none.
    """
    with lease(_lock(store, recipe)):
        entries = list(history(store, recipe))
        former = next((entry for entry in entries[1:] if entry.checkpoint != entries[0].checkpoint), None)
        if former is None:
            raise GateError("PROMOTE_NO_FORMER", "there is no champion to go back to", found=recipe)
        challenger = find_challenger(store, recipe, former.checkpoint)
        nodes = require_eligible(store, challenger)
        facts = {"comparison": [], "how": f"rolled back: {reason}", "verified": nodes}
        return _move(store, challenger, entries[0], facts)


def _move(store: Store, challenger: Challenger, standing: Promotion | None, facts: Mapping[str, Any]) -> Moved:
    recipe = challenger.recipe
    before = _before(standing)
    document = {
        "recipe": recipe,
        "number": standing.document["number"] + 1 if standing else 1,
        "checkpoint": challenger.checkpoint.id,
        "gate_report": challenger.report.id,
        "preflight": challenger.read["preflight"].id,
        "before": before,
        **facts,
    }

    def build(writer: SnapshotWriter) -> None:
        writer.write_json(DOCUMENT, document)
        writer.stats |= {"number": document["number"], "how": document["how"]}

    parents = {"checkpoint": challenger.checkpoint, "gate_report": challenger.report}
    snapshot = store.run_stage(
        name=promoted_name(recipe),
        module=__name__,
        config={},
        parents={**parents, "preflight": challenger.read["preflight"]},
        arguments={FORMER: before, "number": document["number"], "how": document["how"]},
        build=build,
    )
    made = Promotion(snapshot, document)
    clear_shelf(store, recipe, [made, *([standing] if standing else [])])
    write_export(store, recipe, made)
    store.point(promoted_name(recipe), snapshot)
    put_on_shelf(store, recipe, made)
    return Moved(made, standing, moved=True)


def _before(standing: Promotion | None) -> dict[str, str] | None:
    if standing is None:
        return None
    ids = {name: standing.document[name] for name in ("checkpoint", "gate_report")}
    return {"promotion": standing.snapshot.id, **ids}


def _lock(store: Store, recipe: str) -> Path:
    return store.root / "champions" / f"{recipe}.lock"
