"""The registered evaluation: the model beside its baselines, with intervals. What is not beaten is reported as such."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from assets_data.domains.cells.read import Vocabulary
from assets_data.lineage import Snapshot
from training.findings import Evaluation, Measurement
from training.recipes.cell_mlm.batches import show
from training.recipes.cell_mlm.config import CellMlmConfig
from training.recipes.cell_mlm.data import CellData, Split
from training.recipes.cell_mlm.gene_baselines import rank_matrix
from training.recipes.cell_mlm.held_out import BATCH, held_out_batches, registered_rows
from training.recipes.cell_mlm.inspection import BASELINES, CELLS
from training.recipes.cell_mlm.intervals import interval, units
from training.recipes.cell_mlm.losses import target_losses
from training.recipes.cell_mlm.model import CellModel
from training.recipes.cell_mlm.probe import Features, macro_f1, principal_components, probe
from training.recipes.cell_mlm.quality import embedding_quality
from training.recipes.cell_mlm.regulation import regulation
from training.recipes.cell_mlm.tokens import Ranked, preprocessing, tokenize

Found = tuple[list[Measurement], dict[str, Any], list[str]]
MOST_TRAINING = 4000
MOST_WATCHED = 500


def evaluate(model: CellModel, data: CellData, config: CellMlmConfig, preflight: Snapshot) -> Evaluation:
    """Held-out prediction and the linear probe, as far as the config asks for them."""
    registered = preflight.read_json("registration.json")["evaluation"]
    rows = registered_rows(data.test, preflight.table(CELLS)["row_key"].to_numpy())
    found: list[Found] = []
    if config.gate.prediction:
        found.append(_prediction(model, data, config, rows, preflight, registered))
    if config.gate.probe:
        found.append(_probe(model, data, config, rows, registered))
    if config.gate.perturbation or config.gate.network:
        found.append(regulation(model, data, config, registered))
    measurements = [measurement for part, _, _ in found for measurement in part]
    scalars = {name: value for _, part, _ in found for name, value in part.items()}
    return Evaluation(
        measurements=measurements, scalars=scalars, summary=[line for *_, lines in found for line in lines]
    )


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


def embeddings(model: CellModel, split: Split, config: CellMlmConfig, rows: np.ndarray) -> np.ndarray:
    """float32[n, D] of some cells of a split."""
    return embed_rows(model, split.cells, split.vocabulary, config, rows)


def embed_rows(
    model: CellModel, cells: Ranked, vocabulary: Vocabulary, config: CellMlmConfig, rows: np.ndarray
) -> np.ndarray:
    """float32[n, D], nothing hidden and no gene without a count shown."""
    device, found = next(model.parameters()).device, [np.empty((0, config.model.width), np.float32)]
    prepared = preprocessing(config.tokens, vocabulary.document)
    settings = replace(config.tokens, selection="all", selected=0)
    with torch.no_grad():
        for begin in range(0, len(rows), BATCH):
            part = rows[begin : begin + BATCH]
            tokens = tokenize(cells, part, np.zeros(len(part), np.int64), vocabulary, settings, 0)
            batch = {name: value.to(device) for name, value in show(tokens, prepared).items()}
            found.append(model.embedding(batch).float().cpu().numpy())
    return np.concatenate(found)


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
    model: CellModel, data: CellData, config: CellMlmConfig, rows: np.ndarray, registered: Mapping[str, Any]
) -> Found:
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
        return [undetermined], {}, ["  probe: undetermined, cells have no labels"]
    keep = [np.flatnonzero(named[0] >= 0), np.arange(len(named[1])), np.flatnonzero(known)]
    splits = [(split, chosen[k]) for (split, chosen), k in zip(splits, keep, strict=True)]
    named = [names[k] for names, k in zip(named, keep, strict=True)]
    contestants = _features(model, data, config, splits)
    measured, said = _quality(data, splits[2][1], contestants)
    predicted = {}
    for name, features in contestants.items():
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
    return [_lower("probe_over_untrained", "over_untrained", bounds, len(gain))], scalars, lines


def _quality(
    data: CellData, rows: np.ndarray, contestants: Mapping[str, list[np.ndarray]]
) -> tuple[dict[str, float], list[str]]:
    """Scores of the test cells' embeddings, see ``quality``; judged by nobody."""
    labels, batches = (
        np.array([data.test.cells.table[name][int(r)].as_py() for r in rows], "U") for name in ("label", "batch")
    )
    scalars, lines = {}, list[str]()
    for name in ("model", "untrained", "pca50_ranks", "pca20_values"):
        scores = embedding_quality(contestants[name][2], labels, batches)
        scalars |= {f"quality_{score}_{name}": value for score, value in scores.items()}
        if scores:
            lines.append(f"  embedding {name}: " + ", ".join(f"{n} {value:.3f}" for n, value in scores.items()))
    return scalars, lines


def _features(
    model: CellModel, data: CellData, config: CellMlmConfig, splits: list[tuple[Split, np.ndarray]]
) -> dict[str, list[np.ndarray]]:
    """Train, validation and test cells as each contestant sees them."""
    untrained = untrained_like(model, config, data)
    logs = [np.log2(split.cells.totals[chosen])[:, None].astype(np.float32) for split, chosen in splits]
    ranks = [_rank_features(split, chosen) for split, chosen in splits]
    values = [_value_features(split, chosen) for split, chosen in splits]
    return {
        "model": [embeddings(model, split, config, chosen) for split, chosen in splits],
        "untrained": [embeddings(untrained, split, config, chosen) for split, chosen in splits],
        "total": logs,
        "pca50_ranks": principal_components(ranks[0], ranks[1:], 50),
        "pca20_values": principal_components(values[0], values[1:], 20),
        "all_genes": values,
    }


def untrained_like(model: CellModel, config: CellMlmConfig, data: CellData) -> CellModel:
    """The same model before its first update would have been made: another seed, the same start at the marginals."""
    from training.recipes.cell_mlm.recipe import model_inputs

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.gate.seed + 1)
        fresh = type(model)(config, model_inputs(data, config))
    return fresh.to(next(model.parameters()).device).eval()


def _rank_features(split: Split, rows: np.ndarray) -> np.ndarray:
    """float32[n, G]: 1 for the first rank, falling to 0 with its logarithm; 0 for a gene without a count."""
    ranks = rank_matrix(split, rows)
    most = np.log(1 + max(2, ranks.max(initial=0) + 1))
    return np.where(ranks >= 0, 1 - np.log1p(np.maximum(ranks, 0)) / most, 0).astype(np.float32)


def _value_features(split: Split, rows: np.ndarray) -> np.ndarray:
    """float32[n, G]: log1p(1e4 count / total)."""
    lengths, genes, counts = split.cells.rows.take(rows)
    row = np.repeat(np.arange(len(rows)), lengths)
    values = np.zeros((len(rows), len(split.vocabulary.keys)), np.float32)
    values[row, genes] = np.log1p(1e4 * counts / split.cells.totals[rows][row])
    return values
