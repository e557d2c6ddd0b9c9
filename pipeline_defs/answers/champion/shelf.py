"""The champion's folder: ``champions/<recipe>/current`` in the store, for whoever ships or serves it.

``current`` is a link to a folder that is complete: a new export is written beside it, under its own name, and the link
is replaced in one step. The folder before stays until the next promotion, for readers that are half way through it.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from assets_data.lineage import Store
from assets_data.lineage.queries.tree import load_tree
from assets_data.lineage.storage import atomic
from pipeline_defs.answers.champion.standing import Promotion
from pipeline_defs.answers.exports.hf_folder import write_hf_folder

CURRENT = "current"


def shelf(store: Store, recipe: str) -> Path:
    """The folder of a recipe's exports."""
    return store.root / "champions" / recipe


def put_on_shelf(store: Store, recipe: str, promotion: Promotion) -> Path:
    """Make ``current`` the export of this promotion."""
    folder = write_export(store, recipe, promotion)
    current = folder.parent / CURRENT
    temp = atomic.temp_beside(current)
    temp.symlink_to(folder.name)
    os.replace(temp, current)
    atomic.sync_directory(folder.parent)
    return current


def write_export(store: Store, recipe: str, promotion: Promotion) -> Path:
    """The folder of this promotion, whole; what is there already is not written again."""
    folder = shelf(store, recipe) / folder_name(promotion)
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        atomic.sweep_temps(folder)
        write_hf_folder(load_tree(store, [promotion.checkpoint]), promotion.checkpoint, folder)
    return folder


def clear_shelf(store: Store, recipe: str, keep: list[Promotion]) -> None:
    """Remove the exports of other promotions, and what a killed one left."""
    kept = {CURRENT, *(folder_name(promotion) for promotion in keep)}
    for path in shelf(store, recipe).glob("*"):
        if path.name not in kept:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def folder_name(promotion: Promotion) -> str:
    """By checkpoint, so that a rollback finds its folder again."""
    return promotion.checkpoint.removeprefix("sha256:")[:16]
