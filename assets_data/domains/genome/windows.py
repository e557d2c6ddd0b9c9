"""The windows stage: the reference cut into windows of one length, each whole inside a region of one split.

Sequences that are only read are training windows throughout, but where they share 21 bases with a held-out window, on
either strand. Windows that hold an N are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa

from assets_data.domains.genome.config import GenomeConfig
from assets_data.domains.genome.fasta import Reference
from assets_data.domains.genome.near import shared
from assets_data.domains.genome.read import SPLITS, N, encode
from assets_data.domains.genome.reference import open_reference
from assets_data.domains.genome.split import open_regions
from assets_data.lineage import DataError, Snapshot, SnapshotWriter, Store, digest_json, read_sections

KIND = "genome/windows"


def make_windows(store: Store, reference: Snapshot, split: Snapshot, config: GenomeConfig) -> Snapshot:
    """Publish (or reuse) ``train.arrow``, ``validation.arrow``, ``test.arrow``, and ``layout.json``.

    Raises DataError WINDOWS_EMPTY where a split has none: regions are shorter than a window.
    """
    return store.run_stage(
        name=KIND,
        module=__name__,
        config=read_sections(config, ("windows",)),
        parents={"reference": reference, "split": split},
        build=lambda writer: _build(writer, open_reference(reference), split, config),
    )


def _build(writer: SnapshotWriter, references: Mapping[str, Reference], split: Snapshot, config: GenomeConfig) -> None:
    places: dict[str, list[tuple[str, int]]] = {name: [] for name in SPLITS}
    for contig, start, end, name in open_regions(split):
        places[name] += [(contig, at) for at in _starts(start, end, config)]
    for reference in references.values():
        if reference.read_only:
            length = len(reference.contig.bases)
            places["train"] += [(reference.contig.name, at) for at in _starts(0, length, config)]
    codes = {name: _codes(references, found, config.windows.width) for name, found in places.items()}
    held_out = np.concatenate([codes["validation"], codes["test"]])
    near = shared(codes["train"], held_out) > 0
    records = [references[contig].record_id for contig, _ in places["train"]]
    foreign = np.array([references[contig].read_only for contig, _ in places["train"]])
    left_out = {"near": int((near & foreign).sum()), "n": 0}
    for name in SPLITS:
        keep = np.all(codes[name] < N, axis=1)
        left_out["n"] += int((~keep).sum())
        if name == "train":
            keep &= ~(near & foreign)
        kept = [place for place, kept in zip(places[name], keep, strict=True) if kept]
        _write(writer, name, kept, codes[name][keep], references)
    writer.records(sorted({*records, *(references[c].record_id for name in SPLITS for c, _ in places[name])}))
    writer.write_json("layout.json", {"width": config.windows.width})
    writer.stats |= {"left_out": left_out}


def _starts(begin: int, end: int, config: GenomeConfig) -> range:
    return range(begin, end - config.windows.width + 1, config.windows.stride)


def _codes(references: Mapping[str, Reference], places: list[tuple[str, int]], width: int) -> np.ndarray:
    rows = [encode(references[contig].contig.bases[at : at + width]) for contig, at in places]
    return np.stack(rows) if rows else np.empty((0, width), np.uint8)


def _write(
    writer: SnapshotWriter,
    name: str,
    places: list[tuple[str, int]],
    codes: np.ndarray,
    references: Mapping[str, Reference],
) -> None:
    if not places:
        action = "make windows.width or split.arcs smaller"
        raise DataError(
            "WINDOWS_EMPTY", f"no window of {codes.shape[1]} bases fits into a region", found=name, action=action
        )
    table = pa.table(
        {
            "row_key": pa.array(list(_keys(places, references)), pa.uint64()),
            "record_id": [references[contig].record_id for contig, _ in places],
            "contig": [contig for contig, _ in places],
            "start": pa.array([at for _, at in places], pa.int64()),
            "codes": fixed_lists(codes),
        }
    )
    writer.write_table(f"{name}.arrow", table)
    writer.splits[name] = len(places)


def _keys(places: list[tuple[str, int]], references: Mapping[str, Reference]) -> Iterator[int]:
    """From the sequence's digest and the place; what a window says may be there twice."""
    for contig, at in places:
        yield int(digest_json([references[contig].digest, contig, at]).removeprefix("sha256:")[:16], 16)


def fixed_lists(rows: np.ndarray) -> pa.Array:
    """uint8[R, W] as lists."""
    count, width = rows.shape
    offsets = pa.array(np.arange(count + 1, dtype=np.int32) * width)
    return pa.ListArray.from_arrays(offsets, pa.array(np.ascontiguousarray(rows).ravel()))
