"""``stemma promote``: move a recipe's champion forward or back, or list its history."""

from __future__ import annotations

import contextlib
import sys
from argparse import Namespace
from collections.abc import Iterator
from typing import Any

from pipeline_defs.answers.answer import Answer, short
from pipeline_defs.answers.champion.promote import Moved, promote, roll_back
from pipeline_defs.answers.champion.shelf import CURRENT, shelf
from pipeline_defs.answers.champion.standing import Promotion, history
from pipeline_defs.answers.nodes import default_store, find_id
from pipeline_defs.catalogue import catalogue
from pipeline_defs.home import stemma_root
from pipeline_defs.locks import ROOT_LOCK, hold


def promote_command(options: Namespace) -> Answer:
    """Status 0 where the champion is (or already was) what was asked for; what is refused is an error with its code."""
    store, recipe = default_store(), catalogue().recipe(options.recipe).name
    if options.history:
        entries = list(history(store, recipe))
        return Answer(document={"history": [entry_document(e) for e in entries]}, lines=list(history_lines(entries)))
    chosen = find_id(options.checkpoint) if options.checkpoint else None
    with hold(stemma_root() / ROOT_LOCK, "stemma promote"), contextlib.redirect_stdout(sys.stderr):
        moved = (
            roll_back(store, recipe, options.reason or "asked for by hand")
            if options.rollback
            else promote(store, recipe, chosen, options.without_comparison or "")
        )
    folder = shelf(store, recipe) / CURRENT
    document = {**entry_document(moved.promotion), "moved": moved.moved, "folder": str(folder)}
    return Answer(document=document, lines=[*moved_lines(moved), f"  folder  {folder}"])


def entry_document(entry: Promotion) -> dict[str, Any]:
    """One promotion for programs."""
    return {"promotion": entry.snapshot.id, **entry.document}


def moved_lines(moved: Moved) -> Iterator[str]:
    """What happened, for people: who stands now, who stood before, and how they compare."""
    document = moved.promotion.document
    if not moved.moved:
        yield f"already the champion of {document['recipe']}: {moved.promotion.checkpoint}"
        return
    yield f"champion {document['number']} of {document['recipe']}: {moved.promotion.checkpoint}"
    if moved.before:
        yield f"  before  {moved.before.checkpoint}"
    yield f"  {document['how']}"
    yield from comparison_lines(document["comparison"])
    yield f"  lineage of {document['verified']} nodes verified"


def comparison_lines(rows: list[dict[str, Any]]) -> Iterator[str]:
    """One line per judged criterion."""
    for row in rows:
        low, high = row["interval"] or (row["champion"], row["champion"])
        yield f"  {row['name']:<28}{row['challenger']:.4f}  champion {row['champion']:.4f} ({low:.4f} to {high:.4f})"


def history_lines(entries: list[Promotion]) -> Iterator[str]:
    """The newest first."""
    for entry in entries:
        yield f"{entry.document['number']:>4}  {short(entry.checkpoint)}  {entry.document['how']}"
    if not entries:
        yield "nothing was promoted yet"
