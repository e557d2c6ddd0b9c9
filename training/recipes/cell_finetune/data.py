"""The cells that are fine-tuned on, as the pretrained model takes them, with what is to be said of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from assets_data.documents import read_facts
from assets_data.domains.cells.read import Cells, Vocabulary, open_cells, open_members, open_vocabulary
from assets_data.lineage import DataError, Snapshot, Store, from_recorded
from training.data import TableRef
from training.recipes.cell_finetune.config import FinetuneConfig, HeadConfig
from training.recipes.cell_mlm.config import CellMlmConfig
from training.recipes.cell_mlm.foreign import Remapped, model_vocabulary, remap


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """Cells of one split that have a target. ``rows`` are their places among the split's cells."""

    cells: Cells
    mapped: Remapped
    vocabulary: Vocabulary
    pretrained: CellMlmConfig
    rows: np.ndarray
    targets: np.ndarray
    """int64 classes or float32 numbers, standardised by the training cells."""

    @property
    def row_keys(self) -> np.ndarray:
        """uint64[N]: the order's keys."""
        return self.cells.row_keys[self.rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneData(Labelled):
    """The training cells, all of them: those without a target are never taken."""

    validation: Labelled
    test: Labelled
    classes: Sequence[str]
    members: Mapping[str, str]
    tables: Sequence[TableRef]
    items_per_row: float
    facts: Mapping[str, Any]
    """The pretrained checkpoint's ``model_inputs`` and config."""
    weights: Mapping[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class Targets:
    """How a column of names becomes targets: its classes, or the scale of its numbers, are those of training cells."""

    head: HeadConfig
    classes: Sequence[str]
    scale: tuple[float, float]
    """Mean and standard deviation."""

    def of(self, cells: Cells) -> tuple[np.ndarray, np.ndarray]:
        """``(rows, targets)`` of the cells that have a target; of classes, one that training cells have."""
        names = cells.names(self.head.target)
        if self.head.kind == "class":
            number = {name: place for place, name in enumerate(self.classes)}
            rows = np.array([row for row, name in enumerate(names) if name in number], np.int64)
            return rows, np.array([number[names[row]] for row in rows], np.int64)
        rows = np.array([row for row, name in enumerate(names) if name], np.int64)
        values = np.array([_number(names[row], self.head) for row in rows], np.float32)
        return rows, ((values - self.scale[0]) / self.scale[1]).astype(np.float32)


def open_data(store: Store, inputs: Mapping[str, Snapshot], config: FinetuneConfig) -> FinetuneData:
    """Verified and memory-mapped. Raises DataError CELL_LABELS where training cells lack a target, and what
    ``foreign.remap`` raises where the pretrained model knows too little of these genes.
    """
    learned, matrices = open_members(store, inputs["manifest"])
    checkpoint = store.snapshot(inputs["pretrained"].id)
    facts = read_facts(checkpoint)["model_inputs"]
    pretrained = checkpoint.read_json("config.json")
    splits = {name: open_cells(matrices, name) for name in ("train", "validation", "test")}
    targets = _targets(splits["train"], config.head)
    here, known = open_vocabulary(learned), model_vocabulary(facts)
    common = {"vocabulary": known, "pretrained": from_recorded(CellMlmConfig, pretrained)}

    def labelled(name: str) -> dict[str, Any]:
        return {**common, **_labelled(splits[name], here, known, targets)}

    train = labelled("train")
    _refuse_unlabelled(len(splits["train"]) - len(train["rows"]), config.head)
    return FinetuneData(
        **train,
        validation=Labelled(**labelled("validation")),
        test=Labelled(**labelled("test")),
        classes=targets.classes,
        members={
            "vocabulary": learned.id,
            "pretrained": checkpoint.id,
            **{f"matrix/{name}": s.id for name, s in matrices.items()},
        },
        tables=[TableRef(s.id, "train.arrow") for s in matrices.values()],
        items_per_row=1.0,
        facts={"pretrained": facts, "pretrained_config": pretrained, "scale": list(targets.scale)},
        weights=load_file(checkpoint.file("model.safetensors")),
    )


def _labelled(cells: Cells, here: Vocabulary, known: Vocabulary, targets: Targets) -> dict[str, Any]:
    """The cells of one split, their genes from the vocabulary ``here`` named as the pretrained model knows them."""
    rows, values = targets.of(cells)
    mapped = remap(cells, here.names, known, here.document["naming"])
    return {"cells": cells, "mapped": mapped, "rows": rows, "targets": values}


def _refuse_unlabelled(missing: int, head: HeadConfig) -> None:
    if missing:
        what = f"{missing} training cells have no {head.target}"
        action = "name another column (head.target), or take cells without one out of the source"
        raise DataError("CELL_LABELS", what, expected="one for each", action=action)


def _targets(train: Cells, head: HeadConfig) -> Targets:
    names = [name for name in train.names(head.target) if name]
    if head.kind != "regression":
        return Targets(head, sorted(set(names)), (0.0, 1.0))
    numbers = [_number(name, head) for name in names]
    return Targets(head, [], (float(np.mean(numbers)), float(np.std(numbers)) or 1.0) if numbers else (0.0, 1.0))


def _number(name: str, head: HeadConfig) -> float:
    try:
        return float(name)
    except ValueError:
        what = "a regression needs a column of numbers"
        raise DataError("CELL_LABELS", what, found=name, where=head.target, action="head.kind=class") from None
