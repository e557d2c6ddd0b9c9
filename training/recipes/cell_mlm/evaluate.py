"""The registered evaluation: the model beside its baselines, with intervals. What is not beaten is reported as such."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from assets_data.documents import read_registration
from assets_data.lineage import Snapshot
from training.findings import Evaluation, Measurement
from training.recipes.cell_mlm.config import CellMlmConfig
from training.recipes.cell_mlm.contestants import contestants, embeddings, pictured
from training.recipes.cell_mlm.data import CellData, Split
from training.recipes.cell_mlm.held_out import held_out_batches
from training.recipes.cell_mlm.inspection import BASELINES, CELLS
from training.recipes.cell_mlm.intervals import interval, units
from training.recipes.cell_mlm.losses import target_losses
from training.recipes.cell_mlm.model import CellModel
from training.recipes.cell_mlm.probe import Features, macro_f1, probe
from training.recipes.cell_mlm.quality import embedding_quality
from training.recipes.cell_mlm.regulation import regulation
from training.registered import registered_rows

Found = tuple[list[Measurement], dict[str, Any], list[str]]
MOST_TRAINING = 4000
MOST_WATCHED = 500


def evaluate(model: CellModel, data: CellData, config: CellMlmConfig, preflight: Snapshot) -> Evaluation:
    """Held-out prediction and the linear probe, as far as the config asks for them."""
    registered = read_registration(preflight)["evaluation"]
    rows = registered_rows(data.test.row_keys, preflight.table(CELLS)["row_key"].to_numpy(), preflight)
    found: list[Found] = []
    pictures: list[dict[str, Any]] = []
    if config.gate.prediction:
        found.append(_prediction(model, data, config, rows, preflight, registered))
    if config.gate.probe:
        judged, pictures = _probe(model, data, config, rows, registered)
        found.append(judged)
    if config.gate.perturbation or config.gate.network:
        found.append(regulation(model, data, config, registered))
    measurements = [measurement for part, _, _ in found for measurement in part]
    scalars = {name: value for _, part, _ in found for name, value in part.items()}
    tables = {"cells": pictures} if pictures else {}
    summary = [line for *_, lines in found for line in lines]
    return Evaluation(measurements=measurements, scalars=scalars, tables=tables, summary=summary)


def monitor(model: CellModel, data: CellData) -> dict[str, float]:
    """Accuracy of the probe on validation cells; nothing without labels. Its penalty is chosen on training cells."""
    splits = [np.arange(min(len(split.row_keys), MOST_WATCHED)) for split in (data, data.validation)]
    labels = [
        split.cells.table["label"].take(rows).to_pylist()
        for split, rows in zip((data, data.validation), splits, strict=True)
    ]
    names = {name: place for place, name in enumerate(sorted({name for name in labels[0] if name}))}
    known = [np.array([names.get(name, -1) for name in of], np.int64) for of in labels]
    kept = [np.flatnonzero(of >= 0) for of in known]
    if len(names) < 2 or not len(kept[1]):
        return {}
    found = [
        embeddings(model, split, model.config, rows[keep])
        for split, rows, keep in zip((data, data.validation), splits, kept, strict=True)
    ]
    targets = known[0][kept[0]], known[1][kept[1]]
    features = Features(
        train_ND=found[0],
        validation_MD=found[0],
        test_KD=found[1],
        labels=(targets[0], targets[0], targets[1]),
        classes=len(names),
    )
    return {"probe_accuracy": float((probe(features) == targets[1]).mean())}


def model_nats(model: CellModel, split: Split, config: CellMlmConfig, rows: np.ndarray) -> dict[str, np.ndarray]:
    """float64[K] per part of the loss, over the targets of some held-out cells."""
    device, parts = next(model.parameters()).device, list[dict[str, np.ndarray]]()
    with torch.no_grad():
        for batch in held_out_batches(split, config, rows):
            moved = {name: value.to(device) for name, value in batch.items()}
            losses = target_losses(model, config, moved)
            parts.append({name: value.double().cpu().numpy() for name, value in losses.items()})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else {}


def _prediction(
    model: CellModel,
    data: CellData,
    config: CellMlmConfig,
    rows: np.ndarray,
    preflight: Snapshot,
    registered: Mapping[str, Any],
) -> Found:
    """Nats below each baseline, paired target by target; judged by the interval's lower bound."""
    table = preflight.table(BASELINES)
    nats = model_nats(model, data.test, config, rows)
    ours = nats.get("gene_nats", nats.get("bin_nats", nats["loss"]))
    place = {key: number for number, key in enumerate(data.test.row_keys.tolist())}
    cell = np.array([place[key] for key in table["row_key"].to_pylist()])
    unit, of = units(data.test.cells.names("group_id"))
    measurements, scalars, lines = (
        [],
        {"nats": float(ours.mean())},
        [f"  hidden: {len(ours)}, model {ours.mean():.3f} nats"],
    )
    for name in [name for name in table.column_names[2:] if not name.endswith("_place")]:
        theirs = table[name].to_numpy()
        if np.isnan(theirs).all():
            continue
        gain = theirs - ours
        bounds = interval(gain, unit[cell], registered["resamples"], registered["seed"])
        scalars |= {f"nats_{name}": float(theirs.mean()), f"gain_{name}": float(gain.mean())}
        word = "beaten" if bounds[0] > 0 else "not beaten" if bounds[1] > 0 else "ahead"
        lines.append(
            f"  {name} {theirs.mean():.3f} nats: gain {gain.mean():+.3f} "
            f"[{bounds[0]:+.3f}, {bounds[1]:+.3f}] over {of}, {word}"
        )
        if (threshold := f"over_{name}") in registered["thresholds"]:
            measurements.append(_lower(f"nats_over_{name}", threshold, bounds, len(gain)))
    return measurements, scalars, lines


def _lower(name: str, threshold: str, bounds: tuple[float, float], checks: int) -> Measurement:
    """Judged by the lower bound: what 95 in 100 resamples exceed and a little more."""
    return Measurement(name=name, threshold=threshold, value=bounds[0], checks=checks, interval=bounds)


def _probe(
    model: CellModel,
    data: CellData,
    config: CellMlmConfig,
    rows: np.ndarray,
    registered: Mapping[str, Any],
) -> tuple[Found, list[dict[str, Any]]]:
    """Right or wrong per test cell beside stand-ins, judged against the untrained model; and the cells' picture."""
    labels = sorted(label for label in data.vocabulary.document["labels"] if label)
    number = {label: place for place, label in enumerate(labels)}
    splits = [
        (data, np.arange(min(len(data.cells), MOST_TRAINING))),
        (data.validation, np.arange(len(data.validation.cells))),
        (data.test, rows),
    ]
    splits = [(split, chosen[:MOST_TRAINING]) for split, chosen in splits]
    named = [
        np.array([number.get(split.cells.table["label"][int(r)].as_py(), -1) for r in chosen], np.int64)
        for split, chosen in splits
    ]
    known = named[2] >= 0
    if len(labels) < 2 or not known.any() or not (named[0] >= 0).any():
        undetermined = Measurement(
            name="probe_over_untrained", threshold="over_untrained", value=float("nan"), checks=0
        )
        return ([undetermined], {}, ["  probe: undetermined, cells have no labels"]), []
    keep = [np.flatnonzero(named[0] >= 0), np.arange(len(named[1])), np.flatnonzero(known)]
    splits = [(split, chosen[k]) for (split, chosen), k in zip(splits, keep, strict=True)]
    named = [names[k] for names, k in zip(named, keep, strict=True)]
    stand_ins = contestants(model, data, config, splits)
    measured, said = _quality(data, splits[2][1], stand_ins)
    pictures = pictured(data, splits[2][1], stand_ins)
    predicted = {}
    for name, features in stand_ins.items():
        predicted[name] = probe(
            Features(
                train_ND=features[0],
                validation_MD=features[1],
                test_KD=features[2],
                labels=(named[0], named[1], named[2]),
                classes=len(labels),
            )
        )
    predicted["majority"] = np.full(len(named[2]), np.bincount(named[0]).argmax())
    unit, of = units([data.test.cells.table["group_id"][int(r)].as_py() for r in splits[2][1]])
    right = {name: (classes == named[2]).astype(np.float64) for name, classes in predicted.items()}
    scalars, lines = dict(measured), said
    for name, hits in right.items():
        gain = right["model"] - hits
        bounds = interval(gain, unit, registered["resamples"], registered["seed"])
        scalars |= {f"probe_{name}": float(hits.mean()), f"probe_f1_{name}": macro_f1(predicted[name], named[2])}
        beside = "" if name == "model" else f": gain {gain.mean():+.3f} [{bounds[0]:+.3f}, {bounds[1]:+.3f}] over {of}"
        lines.append(f"  probe {name} {hits.mean():.3f}{beside}")
    gain = right["model"] - right["untrained"]
    bounds = interval(gain, unit, registered["resamples"], registered["seed"])
    return ([_lower("probe_over_untrained", "over_untrained", bounds, len(gain))], scalars, lines), pictures


def _quality(
    data: CellData, rows: np.ndarray, stand_ins: Mapping[str, list[np.ndarray]]
) -> tuple[dict[str, float], list[str]]:
    """Scores of the test cells' embeddings, see ``quality``; judged by nobody."""
    labels, batches = (
        np.array([data.test.cells.table[name][int(r)].as_py() for r in rows], "U") for name in ("label", "batch")
    )
    scalars, lines = {}, list[str]()
    for name in ("model", "untrained", "pca50_ranks", "pca20_values", "variable_genes"):
        scores = embedding_quality(stand_ins[name][2], labels, batches)
        scalars |= {f"quality_{score}_{name}": value for score, value in scores.items()}
        if scores:
            lines.append(f"  embedding {name}: " + ", ".join(f"{n} {value:.3f}" for n, value in scores.items()))
    return scalars, lines
