"""What a checkpoint's scores say of labelled alleles, beside what needs no model. No threshold: whatever it says.

(a) pathogenic or likely pathogenic alleles of MITOMAP against common ones (AC >= 62) that no table of diseases names;
(b) single bases that no sequence ever showed against those that six or more did. Of test regions only, as the demo of
``geno_lewm`` splits them, fold by fold; an AUROC is taken within a fold (b: and within a substitution) and weighed by
its pairs, as pooled folds compare scores of different models. Beside them: the substitution, the consequence under the
vertebrate mitochondrial code (ND6 read backwards), MitoTIP where it has a score. Intervals: 1,000 bootstraps of blocks
of 100 bases. Absence from populations is itself clinical evidence, so (a) is partly circular.
Usage: ``python -m benchmarks.geno_variants ROOT [ROOT...]``: stores that ``benchmarks.geno_lewm`` left, one per fold.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from assets_data.domains.genome.read import blocks, open_members
from assets_data.domains.genome.reference import open_reference
from assets_data.domains.genome.single import single_edit, single_rows
from assets_data.domains.genome.split import open_regions
from assets_data.lineage import Snapshot, Store
from assets_data.lineage.receipts.reader import read_receipt
from benchmarks.mito_code import consequences, mitotip
from benchmarks.result import save
from training.recipe import discover

COMMON, SEEN, RESAMPLES = 62, 6, 1000
SCORES = ("change", "predicted", "surprise", "llr")


def labelled(members: Mapping[str, Snapshot]) -> dict[tuple[int, str, str], dict[str, Any]]:
    """Every allele of the tables, with its largest count, its labels, and whether a table of diseases names it."""
    found: dict[tuple[int, str, str], dict[str, Any]] = defaultdict(lambda: {"count": -1, "labels": set()})
    for name, snapshot in members.items():
        if name.startswith("variants/"):
            for row in snapshot.table("alleles.parquet").to_pylist():
                entry = found[row["pos"], row["ref"], row["alt"]]
                entry["count"] = max(entry["count"], row["count"])
                entry["labels"] |= {row["label"]} - {""}
    return dict(found)


def fold_alleles(root: Path) -> dict[str, Any]:
    """One fold's alleles of its test regions, with scores: SNVs that were seen or never were, and labelled ones."""
    store = Store(root)
    checkpoint, manifest = newest(store)
    members = open_members(store, manifest)
    references = open_reference(members["reference"])
    (contig,) = {name for name, *_ in open_regions(members["split"])}
    bases = references[contig].contig.bases
    width = members["windows"].read_json("layout.json")["width"]
    known = labelled(members)
    rows, facts = [], []
    for name, start, end, split in open_regions(members["split"]):
        if split != "test":
            continue
        own = {(pos, bases[pos : pos + 1].decode(), alt) for pos in range(start, end) for alt in "ACGT"}
        own |= {allele for allele in known if start <= allele[0] < end}
        for allele in sorted(allele for allele in own if allele[1] != allele[2]):
            made = single_edit(references, name, allele, width)
            if not isinstance(made, str):
                rows.append(made)
                facts.append((allele, known.get(allele, {"count": 0, "labels": set()})))
    score = discover()["geno_lewm"].scorer(store, checkpoint)
    parts = [score(single_rows(rows[at : at + 2048])) for at in range(0, len(rows), 2048)]
    scores = {key: np.concatenate([part[key] for part in parts]) for key in SCORES}
    alleles = [allele for allele, _ in facts]
    return {
        "alleles": alleles,
        "place": np.array([allele[0] for allele in alleles]),
        "count": np.array([fact["count"] for _, fact in facts]),
        "positive": np.array([bool(fact["labels"] & {"P", "LP"}) for _, fact in facts]),
        "named": np.array([bool(fact["labels"]) for _, fact in facts]),
        "single": np.array([len(a[1]) == len(a[2]) == 1 for a in alleles]),
        "scores": {
            "|y|": scores["change"],
            "|yhat|": scores["predicted"],
            "|yhat - y|": scores["surprise"],
            "-LLR": -np.nan_to_num(scores["llr"]),
            "consequence": consequences(alleles, bases),
            "MitoTIP": mitotip(alleles),
            "substitution": substitution(alleles),
        },
    }


def newest(store: Store) -> tuple[Snapshot, Snapshot]:
    """The checkpoint of the first seed, and its manifest."""
    found = []
    for key in store.snapshot_ids():
        snapshot = store.opened(key)
        if snapshot.kind == "geno_lewm/checkpoint" and snapshot.read_json("config.json")["train"]["seed"] == 0:
            parents = [parent for path in store.receipts(key) for parent in read_receipt(path).parents]
            manifest = next(parent.id for parent in parents if parent.input == "manifest")
            found.append((snapshot, store.snapshot(f"sha256:{manifest.removeprefix('sha256:')}")))
    return found[-1]


def substitution(alleles: list[tuple[int, str, str]]) -> np.ndarray:
    """0 for a transition, 1 for a transversion, 2 for what is no single base."""
    pairs = {frozenset("AG"), frozenset("CT")}
    return np.array(
        [(0.0 if frozenset(r + a) in pairs else 1.0) if len(r) == len(a) == 1 else 2.0 for _, r, a in alleles]
    )


def auroc(score: np.ndarray, positive: np.ndarray, weight: np.ndarray, stratum: np.ndarray) -> float:
    """The chance that a positive scores above a negative of the same stratum, ties half; NaN without such a pair."""
    won, pairs = 0.0, 0.0
    for value in np.unique(stratum):
        own = stratum == value
        order = np.argsort(score[own], kind="stable")
        s, p, w = score[own][order], positive[own][order], weight[own][order]
        _, group = np.unique(s, return_inverse=True)
        ups, downs = np.bincount(group, w * p), np.bincount(group, w * ~p)
        won += float((ups * (np.concatenate([[0.0], np.cumsum(downs)[:-1]]) + downs / 2)).sum())
        pairs += float(ups.sum() * downs.sum())
    return won / pairs if pairs else float("nan")


def report(folds: list[dict[str, Any]], question: str) -> dict[str, Any]:
    """AUROC of every score, and its difference to the best baseline, with intervals over the same samples."""
    joined: dict[str, list[np.ndarray]] = defaultdict(list)
    for number, fold in enumerate(folds):
        if question == "a":
            positive, negative = fold["positive"], (fold["count"] >= COMMON) & ~fold["named"]
        else:
            positive, negative = fold["single"] & (fold["count"] <= 0), fold["single"] & (fold["count"] >= SEEN)
            positive, negative = positive & ~fold["named"], negative & ~fold["named"]
        chosen = positive | negative
        kinds = np.array([r + a if len(r) == len(a) == 1 else "" for _, r, a in fold["alleles"]])
        codes = np.unique(kinds, return_inverse=True)[1] if question == "b" else np.zeros(len(kinds), int)
        joined["positive"].append(positive[chosen])
        joined["place"].append(blocks(fold["place"][chosen]) + number * 10_000)
        joined["stratum"].append(codes[chosen] + number * 1000)
        for name, values in fold["scores"].items():
            joined[name].append(values[chosen])
    data = {name: np.concatenate(parts) for name, parts in joined.items()}
    positive, stratum = data["positive"], data["stratum"]
    if not positive.any() or positive.all():
        return {"verdict": "undetermined", "positives": int(positive.sum()), "alleles": len(positive)}
    names, random = list(folds[0]["scores"]), np.random.default_rng(0)
    which = np.unique(data["place"], return_inverse=True)[1]
    samples = np.empty((RESAMPLES, len(names)))
    for sample in range(RESAMPLES):
        weight = np.bincount(random.integers(0, which.max() + 1, which.max() + 1), minlength=which.max() + 1)[which]
        samples[sample] = [auroc(data[name], positive, weight.astype(float), stratum) for name in names]
    whole = {name: auroc(data[name], positive, np.ones(len(positive)), stratum) for name in names}
    baselines = ("consequence", "MitoTIP", "substitution")
    best = max(baselines, key=lambda name: whole[name])
    found: dict[str, Any] = {"positives": int(positive.sum()), "alleles": len(positive), "best_baseline": best}
    for index, name in enumerate(names):
        gain = samples[:, index] - samples[:, names.index(best)]
        found[name] = {
            "auroc": whole[name],
            "interval": np.nanpercentile(samples[:, index], [2.5, 97.5]).tolist(),
            "over_best": whole[name] - whole[best],
            "over_best_interval": np.nanpercentile(gain, [2.5, 97.5]).tolist(),
        }
    claims = [n for n in names if n not in baselines and found[n]["over_best_interval"][0] > 0]
    found["says"] = (
        f"{', '.join(claims)} say more than {best}" if claims else f"no score of the model says more than {best} alone"
    )
    return found


def main() -> None:
    """Both questions over the folds at hand."""
    folds = [fold_alleles(Path(root)) for root in sys.argv[1:]]
    figures = {"folds": len(folds), "a": report(folds, "a"), "b": report(folds, "b")}
    figures["note"] = "absence from populations is itself clinical evidence: (a) is partly circular"
    save("geno_variants", ["numpy", "torch"], figures)


if __name__ == "__main__":
    main()
