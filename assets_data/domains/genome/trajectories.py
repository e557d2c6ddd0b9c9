"""The trajectories stage: windows around an anchor before and after each of up to three edits, and the edits.

A row names the sequence it was cut from, and of each step the allele it used, or the sequence again where the step was
drawn. Labelled alleles are never used, drawn ones neither.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from assets_data.domains.genome.alleles import SNV
from assets_data.domains.genome.config import GenomeConfig
from assets_data.domains.genome.draw import Drawn, Item, Pool, draw_item, plan
from assets_data.domains.genome.fasta import Reference
from assets_data.domains.genome.haplotype import Contig, Edit, edit_of, windows
from assets_data.domains.genome.read import ALLELE, EMPTY, KINDS, SPLITS, STEPS, N, encode
from assets_data.domains.genome.reference import open_reference
from assets_data.domains.genome.split import open_regions
from assets_data.domains.genome.variants import TABLE as ALLELES
from assets_data.domains.genome.windows import fixed_lists
from assets_data.lineage import DataError, Snapshot, SnapshotWriter, Store, digest_json, read_sections

KIND = "genome/trajectories"


def make_trajectories(
    store: Store, reference: Snapshot, split: Snapshot, variants: Mapping[str, Snapshot], config: GenomeConfig
) -> Snapshot:
    """Publish (or reuse) ``train.arrow``, ``validation.arrow``, ``test.arrow`` and ``layout.json``.

    Raises DataError ANCHORS_NONE where a split's regions are too short, TRAJECTORY_NONE where edits do not fit.
    """
    slices = {name: variants[name] for name in sorted(variants)}
    return store.run_stage(
        name=KIND,
        module=__name__,
        config=read_sections(config, ("windows", "trajectories")),
        arguments={"slices": list(slices)},
        parents={"reference": reference, "split": split, "variants": list(slices.values())},
        seeds={"trajectories": config.trajectories.seed},
        build=lambda writer: _build(writer, open_reference(reference), split, slices, config),
    )


def _build(
    writer: SnapshotWriter,
    references: Mapping[str, Reference],
    split: Snapshot,
    variants: Mapping[str, Snapshot],
    config: GenomeConfig,
) -> None:
    chosen, width = config.trajectories, config.windows.width
    contigs = {name: reference.contig for name, reference in references.items()}
    observed, barred = _alleles(variants)
    records: set[str] = set()
    kinds: dict[str, dict[str, int]] = {}
    for name, count in zip(SPLITS, (chosen.train, chosen.validation, chosen.test), strict=True):
        pool = Pool(
            contigs=contigs,
            anchors=_anchors(name, split, contigs, width, chosen.longest),
            observed=observed,
            barred=barred,
        )
        rows = []
        for epoch in range(chosen.epochs if name == "train" else 1):
            quota = plan(chosen, name, epoch, count)
            for number in range(count):
                item = draw_item(chosen, pool, quota, name, epoch, number)
                rows.append(_row(item, references, width, (name, epoch, number)))
        table = _table(rows, width)
        writer.write_table(f"{name}.arrow", table)
        writer.splits[name] = table.num_rows
        records |= {record for column in _RECORDS for record in table[column].to_pylist()}
        counted = Counter(int(kind) for row in rows for kind in row["kinds"][: row["steps"]])
        kinds[name] = {KINDS[kind]: counted[kind] for kind in sorted(counted)}
    writer.records(sorted(records))
    writer.write_json("layout.json", {"width": width, "kinds": kinds})
    writer.stats |= {"kinds": kinds, "barred": len(barred)}


def _alleles(
    variants: Mapping[str, Snapshot],
) -> tuple[Mapping[tuple[str, int], list[Drawn]], frozenset[tuple[str, tuple[int, str, str]]]]:
    """The observed SNVs by place, each allele once, and the labelled alleles of all slices, which bar those."""
    seen: dict[tuple[str, tuple[int, str, str]], str] = {}
    barred = set()
    for snapshot in variants.values():
        table = snapshot.table(ALLELES).select(["record_id", "contig", "pos", "ref", "alt", "kind", "count", "label"])
        for row in table.to_pylist():
            allele = (row["contig"], (row["pos"], row["ref"], row["alt"]))
            if row["label"]:
                barred.add(allele)
            elif row["kind"] == SNV:
                seen[allele] = row["record_id"]
    observed: dict[tuple[str, int], list[Drawn]] = defaultdict(list)
    for (contig, allele), record in sorted(seen.items()):
        if (contig, allele) not in barred:
            observed[contig, allele[0]].append(Drawn(allele, record))
    return observed, frozenset(barred)


def _anchors(
    name: str, split: Snapshot, contigs: Mapping[str, Contig], width: int, longest: int
) -> Sequence[tuple[str, int]]:
    """Places of which every window, whatever is edited, lies inside a region of the split and holds no N."""
    margin = width // 2 + STEPS * longest + 1
    found: list[tuple[str, int]] = []
    for contig, start, end, own in open_regions(split):
        if own == name and contig in contigs and end - start > 2 * margin:
            unknown = encode(contigs[contig].bases[start:end]) >= N
            sums = np.concatenate([[0], np.cumsum(unknown)])
            inside = np.arange(margin, end - start - margin)
            clean = inside[sums[inside + margin] == sums[inside - margin]]
            found += [(contig, start + int(place)) for place in clean]
    if not found:
        action = "make windows.width or split.arcs smaller, or give longer regions"
        raise DataError("ANCHORS_NONE", f"no region is longer than {2 * margin} bases", found=name, action=action)
    return found


def _row(item: Item, references: Mapping[str, Reference], width: int, place: tuple[str, int, int]) -> dict[str, Any]:
    """One row as plain values; behind the last step windows repeat and numbers are 0."""
    reference = references[item.contig]
    edits = [edit_of(drawn.allele) for drawn in item.edits]
    found, steps = windows(reference.contig, item.anchor, edits, width)
    missing = STEPS - len(edits)
    document = [*place, reference.digest, item.anchor, [list(drawn.allele) for drawn in item.edits]]
    return {
        "row_key": int(digest_json(document).removeprefix("sha256:")[:16], 16),
        "record_id": reference.record_id,
        "records": [drawn.record or reference.record_id for drawn in item.edits] + [reference.record_id] * missing,
        "contig": item.contig,
        "anchor": item.anchor,
        "steps": len(edits),
        "kinds": [KINDS.index(_kind(edit)) for edit in edits] + [0] * missing,
        "offsets": [step.offset for step in steps] + [0] * missing,
        "shifts": [step.shift for step in steps] + [0] * missing,
        "deleted": [padded(edit.deleted) for edit in edits] + [padded(b"")] * missing,
        "inserted": [padded(edit.inserted) for edit in edits] + [padded(b"")] * missing,
        "windows": [encode(window) for window in found] + [encode(found[-1])] * missing,
    }


def padded(bases: bytes) -> np.ndarray:
    """uint8[16]: codes, then the empty symbol: A, AA and AAA are three different alleles."""
    codes = np.full(ALLELE, EMPTY, np.uint8)
    codes[: len(bases)] = encode(bases)
    return codes


def _kind(edit: Edit) -> str:
    if not edit.deleted or not edit.inserted:
        return "INS" if edit.inserted else "DEL"
    return "INDEL" if edit.growth else "SNV" if len(edit.deleted) == 1 else "MNV"


_RECORDS = ("record_id", "record_id_1", "record_id_2", "record_id_3")


def _table(rows: list[dict[str, Any]], width: int) -> pa.Table:
    def column(name: str, step: int) -> list[Any]:
        return [row[name][step] for row in rows]

    columns: dict[str, Any] = {
        "row_key": pa.array([row["row_key"] for row in rows], pa.uint64()),
        "record_id": pa.array([row["record_id"] for row in rows]),
        **{f"record_id_{step + 1}": pa.array(column("records", step)) for step in range(STEPS)},
        "contig": pa.array([row["contig"] for row in rows]),
        "anchor": pa.array([row["anchor"] for row in rows], pa.int64()),
        "steps": pa.array([row["steps"] for row in rows], pa.uint8()),
    }
    for step in range(STEPS):
        columns[f"kind_{step + 1}"] = pa.array(column("kinds", step), pa.uint8())
        columns[f"offset_{step + 1}"] = pa.array(column("offsets", step), pa.int16())
        columns[f"shift_{step + 1}"] = pa.array(column("shifts", step), pa.int16())
        columns[f"deleted_{step + 1}"] = fixed_lists(np.array(column("deleted", step), np.uint8).reshape(-1, ALLELE))
        columns[f"inserted_{step + 1}"] = fixed_lists(np.array(column("inserted", step), np.uint8).reshape(-1, ALLELE))
    for state in range(STEPS + 1):
        columns[f"window_{state}"] = fixed_lists(np.array(column("windows", state), np.uint8).reshape(-1, width))
    return pa.table(columns)
