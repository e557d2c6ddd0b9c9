"""Promises over all that a manifest names, which no schema of one table can say."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from assets_data.documents import read_layout, read_manifest
from assets_data.domains.genome.alleles import normalize, record_id
from assets_data.domains.genome.near import near_rows
from assets_data.domains.genome.read import SPLITS, Layout, open_trajectories, open_windows
from assets_data.domains.genome.reference import open_reference
from assets_data.domains.genome.variants import TABLE
from assets_data.finding import Finding
from assets_data.lineage import Snapshot, Store
from assets_data.stage import Outcome

Check = Callable[[Mapping[str, Snapshot], Mapping[str, Snapshot]], Finding]


def shared_bases(single: Mapping[str, Snapshot], _: Mapping[str, Snapshot]) -> Finding:
    """Bases of the reference that windows of two splits share, or that lie in regions of two splits."""
    used: dict[str, dict[str, np.ndarray]] = {}
    for split in SPLITS:
        table = single["windows"].table(f"{split}.arrow")
        width = read_layout(single["windows"], Layout)["width"]
        for contig, start in zip(table["contig"].to_pylist(), table["start"].to_pylist(), strict=True):
            _mark(used, contig, split, start, start + width)
    for row in single["split"].table("regions.parquet").to_pylist():
        _mark(used, row["contig"], row["split"], row["start"], row["end"])
    shared = {c: np.flatnonzero(sum(m.astype(np.int64) for m in by.values()) > 1) for c, by in used.items()}
    rows = sum(int(sum(mask.sum() for mask in by.values())) for by in used.values())
    examples = tuple(f"{contig}:{int(at) + 1}" for contig, places in shared.items() for at in places[:3])
    return Finding("bases in two splits", rows, sum(map(len, shared.values())), examples)


def near_windows(single: Mapping[str, Snapshot], _: Mapping[str, Snapshot]) -> Finding:
    """Held-out windows that are near a training window, or each other across splits, on either strand."""
    rows, count = 0, 0
    opened = {split: open_windows(single["windows"], split).codes_RW for split in SPLITS}
    anchors = {split: open_trajectories(single["trajectories"], split).windows_RSW[:, 0] for split in SPLITS}
    for codes in (opened, anchors):
        for split, others in (("validation", ("train",)), ("test", ("train", "validation"))):
            near = near_rows(codes[split], np.concatenate([codes[other] for other in others]))
            rows, count = rows + len(near), count + int(near.sum())
    return Finding("held-out windows near another split's", rows, count)


def labelled_rows(single: Mapping[str, Snapshot], slices: Mapping[str, Snapshot]) -> Finding:
    """Rows that use an allele which some slice labels."""
    labelled: set[str] = set()
    for snapshot in slices.values():
        table = snapshot.table(TABLE).select(["record_id", "label"])
        labelled |= {
            r for r, label in zip(table["record_id"].to_pylist(), table["label"].to_pylist(), strict=True) if label
        }
    rows, found = 0, []
    for split in SPLITS:
        table = single["trajectories"].table(f"{split}.arrow")
        used = {record for step in (1, 2, 3) for record in table[f"record_id_{step}"].to_pylist()}
        rows, found = rows + table.num_rows, [*found, *sorted(used & labelled)]
    return Finding("labelled alleles in rows", rows, len(found), tuple(found[:5]))


def odd_alleles(single: Mapping[str, Snapshot], slices: Mapping[str, Snapshot]) -> Finding:
    """Alleles whose REF is not what the reference says, whose normal form or id is another one. A sequence that was
    withdrawn from the reference says nothing of its alleles.
    """
    references = open_reference(single["reference"])
    rows, odd = 0, []
    for snapshot in slices.values():
        for row in snapshot.table(TABLE).select(["record_id", "contig", "pos", "ref", "alt"]).to_pylist():
            if (reference := references.get(row["contig"])) is None:
                continue
            rows, bases = rows + 1, reference.contig.bases
            allele = (row["pos"], row["ref"], row["alt"])
            there = bases[row["pos"] : row["pos"] + len(row["ref"])] == row["ref"].encode()
            if (
                not there
                or normalize(bases, *allele) != allele
                or record_id(reference.digest, *allele) != row["record_id"]
            ):
                odd.append(f"{row['contig']}:{row['pos'] + 1} {row['ref']}>{row['alt']}")
    return Finding("alleles not in normal form", rows, len(odd), tuple(odd[:5]))


CHECKS: tuple[Check, ...] = (shared_bases, near_windows, labelled_rows, odd_alleles)


def check_splits(store: Store, manifest: Snapshot) -> Outcome:
    """Every check above, of a published manifest."""
    members = {name: store.snapshot(key) for name, key in read_manifest(manifest)["members"].items()}
    slices = {name: snapshot for name, snapshot in members.items() if name.startswith("variants/")}
    findings = [check(members, slices) for check in CHECKS]
    failures = [{"check": f.check, "examples": str(f.examples)} for f in findings if f.count]
    return Outcome(passed=not failures, facts={f.check: f.count for f in findings}, failures=failures)


def _mark(used: dict[str, dict[str, np.ndarray]], contig: str, split: str, start: int, end: int) -> None:
    masks = used.setdefault(contig, {})
    size = max([end, *(len(mask) for mask in masks.values())])
    for name in {split, *masks}:
        mask = masks.get(name, np.zeros(0, bool))
        if len(mask) < size:
            masks[name] = np.concatenate([mask, np.zeros(size - len(mask), bool)])
    masks[split][start:end] = True
