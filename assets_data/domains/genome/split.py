"""The split stage: regions of the edited sequences, each in one split. What lies in two regions is in none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from assets_data.domains.genome.config import GenomeConfig, SplitConfig
from assets_data.domains.genome.fasta import Reference, edited
from assets_data.domains.genome.read import SPLITS
from assets_data.domains.genome.reference import open_reference
from assets_data.lineage import (
    DataError,
    Snapshot,
    SnapshotWriter,
    Store,
    digest_file,
    mix64,
    read_sections,
    text_key64,
)

KIND = "genome/split"
TABLE = "regions.parquet"
TEST, VALIDATION = 0.2, 0.1
Region = tuple[str, int, int, str]
"""Sequence, begin, end (from 0, end not in it), and a name: what has one name stays together."""


def make_split(store: Store, reference: Snapshot, config: GenomeConfig) -> Snapshot:
    """Publish (or reuse) ``regions.parquet``: record_id (the sequence's), contig, start, end, split.

    Raises DataError BED_FORMAT, and SPLIT_EMPTY where a split would be without a region.
    """
    bed = config.split.bed
    if bed and not Path(bed).is_file():
        raise DataError("GENOME_NO_FILE", "no such BED file", where=bed, action="set genome.split.bed")
    return store.run_stage(
        name=KIND,
        module=__name__,
        config=read_sections(config, ("split",)),
        arguments={"bed": digest_file(Path(bed))} if bed else None,
        parents={"reference": reference},
        seeds={"split": config.split.seed},
        build=lambda writer: _build(writer, open_reference(reference), config.split),
    )


def open_regions(split: Snapshot) -> list[Region]:
    """Every region, with its split as its name."""
    table = split.table(TABLE)
    return [(row["contig"], row["start"], row["end"], row["split"]) for row in table.to_pylist()]


def assign(names: Iterable[str], config: SplitConfig) -> dict[str, str]:
    """Name to split: a name that is a split's is that one; the others in keyed order, the first for the test."""
    drawn = sorted({name for name in names if name not in SPLITS})
    ordered = [drawn[i] for i in np.argsort(mix64(config.seed, "genome/split", text_key64(drawn)))]
    test, validation = (max(1, round(share * len(drawn))) for share in (TEST, VALIDATION))
    moved = config.fold * test % max(1, len(ordered))
    ordered = ordered[moved:] + ordered[:moved]
    chosen = dict.fromkeys(SPLITS)
    found = {name: name for name in chosen}
    for place, name in enumerate(ordered):
        found[name] = "test" if place < test else "validation" if place < test + validation else "train"
    return found


def read_bed(path: Path, references: Mapping[str, Reference]) -> list[Region]:
    """The regions of a BED file; one without a name column is named by its place.

    Raises DataError BED_FORMAT naming the first line that is none, and CONTIG_UNKNOWN.
    """
    found: list[Region] = []
    with open(path, encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            fields = line.rstrip("\r\n").split("\t")
            if not line.strip() or fields[0].startswith(("#", "track", "browser")):
                continue
            if fields[0] not in references:
                what, where = "the reference has no such sequence", f"{path}, line {number}"
                raise DataError("CONTIG_UNKNOWN", what, expected=list(references), found=fields[0], where=where)
            length = len(references[fields[0]].contig.bases)
            numbers = fields[1:3]
            if (
                len(numbers) < 2
                or not all(n.isdigit() for n in numbers)
                or not int(numbers[0]) < int(numbers[1]) <= length
            ):
                what, expected = f"line {number} is no region", f"sequence, begin < end <= {length}, by tabs"
                raise DataError("BED_FORMAT", what, expected=expected, found=line[:60].rstrip(), where=path)
            name = fields[3].strip('"') if len(fields) > 3 else f"line {number}"
            found.append((fields[0], int(numbers[0]), int(numbers[1]), name))
    return found


def _build(writer: SnapshotWriter, references: Mapping[str, Reference], config: SplitConfig) -> None:
    own = edited(references.values())
    regions = list(_regions(own, references, config))
    splits = assign((name for *_, name in regions), config)
    found = sorted(_merged((contig, start, end, splits[name]) for contig, start, end, name in regions))
    bases = Counter[str]()
    for _, start, end, split in found:
        bases[split] += end - start
    if lacking := [split for split in SPLITS if not bases[split]]:
        action = "give more regions or sequences, or split by arc"
        raise DataError("SPLIT_EMPTY", "a split without a region", found=lacking, expected=SPLITS, action=action)
    columns: dict[str, Any] = {
        "record_id": pa.array([references[contig].record_id for contig, *_ in found]),
        "contig": pa.array([contig for contig, *_ in found]),
        "start": pa.array([start for _, start, *_ in found], pa.int64()),
        "end": pa.array([end for _, _, end, _ in found], pa.int64()),
        "split": pa.array([split for *_, split in found]),
    }
    writer.write_table(TABLE, pa.table(columns))
    writer.records(sorted(set(columns["record_id"].to_pylist())))
    writer.stats |= {"regions": len(found), "bases": dict(bases), "fold": config.fold}


def _regions(own: list[Reference], references: Mapping[str, Reference], config: SplitConfig) -> Iterator[Region]:
    if config.by == "bed":
        yield from read_bed(Path(config.bed), references)
        return
    for reference in own:
        name, length = reference.contig.name, len(reference.contig.bases)
        arcs = config.arcs if config.by == "arc" else 1
        edges = [length * arc // arcs for arc in range(arcs + 1)]
        for arc in range(arcs):
            yield name, edges[arc], edges[arc + 1], f"{name}/{arc}" if arcs > 1 else name


def _merged(regions: Iterable[Region]) -> list[Region]:
    """Neighbours of one split as one region. What regions of two splits share is taken from both."""
    found: list[Region] = []
    for contig, start, end, split in sorted(regions):
        if found and found[-1][0] == contig and found[-1][2] >= start:
            other = found[-1]
            if other[3] == split:
                found[-1] = (contig, other[1], max(other[2], end), split)
                continue
            shared = min(other[2], end)
            found[-1] = (contig, other[1], start, other[3])
            if other[2] > end:
                found.append((contig, end, other[2], other[3]))
                continue
            start = shared
        if start < end:
            found.append((contig, start, end, split))
    return [region for region in found if region[1] < region[2]]
