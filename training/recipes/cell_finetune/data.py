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


def open_data(store: Store, inputs: Mapping[str, Snapshot], config: FinetuneConfig) -> FinetuneData:
    """Verified and memory-mapped. Raises DataError CELL_LABELS where training cells lack a target, and what
    ``foreign.remap`` raises where the pretrained model knows too little of these genes.
    """
    learned, matrices = open_members(store, inputs["manifest"])
    checkpoint = store.snapshot(inputs["pretrained"].id)
    facts = read_facts(checkpoint)["model_inputs"]
    pretrained_config = checkpoint.read_json("config.json")
    here, known = open_vocabulary(learned), model_vocabulary(facts)
    pretrained = from_recorded(CellMlmConfig, pretrained_config)
    splits = {name: open_cells(matrices, name) for name in ("train", "validation", "test")}
    classes = sorted({name for name in splits["train"].names(config.head.target) if name})
    numbers = _numbers(splits["train"], config.head)
    scale = (float(np.mean(numbers)), float(np.std(numbers)) or 1.0) if len(numbers) else (0.0, 1.0)

    def labelled(name: str) -> dict[str, Any]:
        cells = splits[name]
        rows, targets = _targets(cells, config.head, classes, scale)
        mapped = remap(cells, here.names, known, here.document["naming"])
        common = {"cells": cells, "mapped": mapped, "vocabulary": known, "pretrained": pretrained}
        return {**common, "rows": rows, "targets": targets}

    train = labelled("train")
    if len(train["rows"]) < len(splits["train"]):
        what = f"{len(splits['train']) - len(train['rows'])} training cells have no {config.head.target}"
        action = "name another column (head.target), or take cells without one out of the source"
        raise DataError("CELL_LABELS", what, expected="one for each", action=action)
    return FinetuneData(
        **train,
        validation=Labelled(**labelled("validation")),
        test=Labelled(**labelled("test")),
        classes=classes if config.head.kind == "class" else [],
        members={
            "vocabulary": learned.id,
            "pretrained": checkpoint.id,
            **{f"matrix/{name}": s.id for name, s in matrices.items()},
        },
        tables=[TableRef(s.id, "train.arrow") for s in matrices.values()],
        items_per_row=1.0,
        facts={"pretrained": facts, "pretrained_config": pretrained_config, "scale": list(scale)},
        weights=load_file(checkpoint.file("model.safetensors")),
    )


def _targets(
    cells: Cells, head: HeadConfig, classes: Sequence[str], scale: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """``(rows, targets)`` of the cells that have a target; of classes, one that training cells have."""
    names = cells.names(head.target)
    if head.kind == "class":
        number = {name: place for place, name in enumerate(classes)}
        rows = np.array([row for row, name in enumerate(names) if name in number], np.int64)
        return rows, np.array([number[names[row]] for row in rows], np.int64)
    rows = np.array([row for row, name in enumerate(names) if name], np.int64)
    values = np.array([_number(names[row], head) for row in rows], np.float32)
    return rows, ((values - scale[0]) / scale[1]).astype(np.float32)


def _numbers(cells: Cells, head: HeadConfig) -> list[float]:
    return [_number(name, head) for name in cells.names(head.target) if name] if head.kind == "regression" else []


def _number(name: str, head: HeadConfig) -> float:
    try:
        return float(name)
    except ValueError:
        what = "a regression needs a column of numbers"
        raise DataError("CELL_LABELS", what, found=name, where=head.target, action="head.kind=class") from None
