"""Cell types as a linear classifier reads them from embeddings: judged on test cells, watched on validation cells.

The model stands beside the same model untrained, components and genes. Shapes: K test cells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from training.findings import Evaluation, Measurement
from training.recipes.cell_mlm.config import CellMlmConfig
from training.recipes.cell_mlm.contestants import contestants, embeddings, pictured
from training.recipes.cell_mlm.data import CellData, Split
from training.recipes.cell_mlm.intervals import interval, units
from training.recipes.cell_mlm.model import CellModel
from training.recipes.cell_mlm.probe import Features, macro_f1, probe
from training.recipes.cell_mlm.quality import embedding_quality

MOST_CELLS = 4000
MOST_WATCHED = 500
SCORED = ("model", "untrained", "pca50_ranks", "pca20_values", "variable_genes")
"""Those whose embeddings are scored by ``quality``."""


def judge_cell_types(
    model: CellModel, data: CellData, config: CellMlmConfig, rows: np.ndarray, registered: Mapping[str, Any]
) -> Evaluation:
    """Right or wrong per test cell beside stand-ins, judged against the untrained model; and the cells' picture."""
    labels = sorted(label for label in data.vocabulary.document["labels"] if label)
    splits, classes = _with_labels(data, rows, labels)
    if len(labels) < 2 or not len(classes[2]) or not len(classes[0]):
        none = Measurement.undetermined("probe_over_untrained", "over_untrained")
        return Evaluation(measurements=[none], summary=["  probe: undetermined, cells have no labels"])
    judged_K = splits[2][1]
    stand_ins = contestants(model, data, config, splits)
    predicted = {name: probe(_features(parts, classes, len(labels))) for name, parts in stand_ins.items()}
    predicted["majority"] = np.full(len(judged_K), np.bincount(classes[0]).argmax())
    return Evaluation.joined(
        [
            _quality(data, judged_K, stand_ins),
            _compared(predicted, classes[2], _said(data.test, "group_id", judged_K), registered),
            Evaluation(tables={"cells": pictured(data, judged_K, stand_ins)}),
        ]
    )


def monitor(model: CellModel, data: CellData) -> dict[str, float]:
    """Accuracy of the probe on validation cells; nothing without labels. Its penalty is chosen on training cells."""
    watched = [(split, np.arange(min(len(split.row_keys), MOST_WATCHED))) for split in (data, data.validation)]
    labels = [_said(split, "label", rows) for split, rows in watched]
    names = {name: place for place, name in enumerate(sorted({name for name in labels[0] if name}))}
    known = [np.array([names.get(name, -1) for name in of], np.int64) for of in labels]
    kept = [np.flatnonzero(of >= 0) for of in known]
    if len(names) < 2 or not len(kept[1]):
        return {}
    train_ND, validation_MD = (
        embeddings(model, split, model.config, rows[keep]) for (split, rows), keep in zip(watched, kept, strict=True)
    )
    train, validation = known[0][kept[0]], known[1][kept[1]]
    classes = probe(_features([train_ND, train_ND, validation_MD], [train, train, validation], len(names)))
    return {"probe_accuracy": float((classes == validation).mean())}


def _with_labels(
    data: CellData, rows: np.ndarray, labels: Sequence[str]
) -> tuple[list[tuple[Split, np.ndarray]], list[np.ndarray]]:
    """Train, validation and test cells, and int64 classes of each (-1: none that is known). Only validation cells may
    lack one.
    """
    number = {label: place for place, label in enumerate(labels)}
    every = [(data, np.arange(len(data.cells))), (data.validation, np.arange(len(data.validation.cells)))]
    splits, classes = [], []
    for split, chosen in [*every, (data.test, rows)]:
        chosen = chosen[:MOST_CELLS]
        known = np.array([number.get(label, -1) for label in _said(split, "label", chosen)], np.int64)
        kept = np.flatnonzero(known >= 0) if split is not data.validation else np.arange(len(known))
        splits.append((split, chosen[kept]))
        classes.append(known[kept])
    return splits, classes


def _said(split: Split, column: str, rows: np.ndarray) -> list[str]:
    """What a column of names says of some cells."""
    return split.cells.table[column].take(rows).to_pylist()


def _features(parts: Sequence[np.ndarray], classes: Sequence[np.ndarray], number: int) -> Features:
    """Train, validation and test cells of one contestant as the probe takes them."""
    train_ND, validation_MD, test_KD = parts
    labels = (classes[0], classes[1], classes[2])
    return Features(train_ND=train_ND, validation_MD=validation_MD, test_KD=test_KD, labels=labels, classes=number)


def _compared(
    predicted: Mapping[str, np.ndarray], answers_K: np.ndarray, groups: list[str], registered: Mapping[str, Any]
) -> Evaluation:
    """Accuracy and F1 of every contestant, and by how much the model exceeds it."""
    unit, of = units(groups)
    right = {name: (classes == answers_K).astype(np.float64) for name, classes in predicted.items()}
    scalars, lines, bounds = {}, [], {}
    for name, hits in right.items():
        gain = right["model"] - hits
        low, high = bounds[name] = interval(gain, unit, registered["resamples"], registered["seed"])
        scalars |= {f"probe_{name}": float(hits.mean()), f"probe_f1_{name}": macro_f1(predicted[name], answers_K)}
        beside = "" if name == "model" else f": gain {gain.mean():+.3f} [{low:+.3f}, {high:+.3f}] over {of}"
        lines.append(f"  probe {name} {hits.mean():.3f}{beside}")
    judged = Measurement.lower_bound("probe_over_untrained", "over_untrained", bounds["untrained"], len(answers_K))
    return Evaluation(measurements=[judged], scalars=scalars, summary=lines)


def _quality(data: CellData, rows: np.ndarray, stand_ins: Mapping[str, list[np.ndarray]]) -> Evaluation:
    """Scores of the test cells' embeddings, see ``quality``; judged by nobody."""
    labels, batches = (np.array(_said(data.test, name, rows), "U") for name in ("label", "batch"))
    scalars, lines = {}, []
    for name in SCORED:
        scores = embedding_quality(stand_ins[name][2], labels, batches)
        scalars |= {f"quality_{score}_{name}": value for score, value in scores.items()}
        if scores:
            lines.append(f"  embedding {name}: " + ", ".join(f"{n} {value:.3f}" for n, value in scores.items()))
    return Evaluation(scalars=scalars, summary=lines)
