"""The reference stage: every sequence of a FASTA file as codes, with its digest. A record is one sequence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from assets_data.domains.genome.config import GenomeConfig
from assets_data.domains.genome.fasta import Reference, read_reference, reference_digest
from assets_data.domains.genome.haplotype import Contig
from assets_data.domains.genome.read import decode, encode
from assets_data.lineage import DataError, Snapshot, SnapshotWriter, Store, read_sections
from assets_data.lineage.identity.record_ids import among, decode_records
from assets_data.lineage.storage.tombstones import WITHDRAWN

KIND = "genome/reference"
TABLE = "contigs.parquet"


def make_reference(store: Store, config: GenomeConfig) -> Snapshot:
    """Publish (or reuse) ``contigs.parquet``. Raises what :func:`read_reference` raises."""
    return store.run_stage(
        name=KIND,
        module=__name__,
        config=read_sections(config, ("reference",)),
        arguments={"digest": reference_digest(config.reference)},
        parents={},
        build=lambda writer: _build(writer, list(read_reference(config.reference).values()), store.withdrawn),
    )


def arguments_now(config: GenomeConfig, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The digest of the FASTA file as it is today."""
    return {"digest": reference_digest(config.reference)}


def without_records(writer: SnapshotWriter, reference: Snapshot, gone: np.ndarray) -> None:
    """Write the reference as it is without the sequences ``gone`` (uint8[n, 32], ascending)."""
    _write(writer, reference.table(TABLE), gone, reference.stats.get(WITHDRAWN, 0))


def open_reference(snapshot: Snapshot) -> dict[str, Reference]:
    """The sequences of a published reference, by name. Letters other than A, C, G and T come back as N."""
    found: dict[str, Reference] = {}
    for row in snapshot.table(TABLE).to_pylist():
        bases = decode(np.frombuffer(row["codes"], np.uint8)).encode()
        contig = Contig(row["contig"], bases, row["circular"])
        found[row["contig"]] = Reference(contig, row["digest"], row["read_only"], tuple(row["lower"]))
    return found


def _build(writer: SnapshotWriter, references: list[Reference], withdrawn: np.ndarray) -> None:
    columns = {
        "record_id": pa.array([reference.record_id for reference in references]),
        "contig": pa.array([reference.contig.name for reference in references]),
        "length": pa.array([len(reference.contig.bases) for reference in references], pa.int64()),
        "circular": pa.array([reference.contig.circular for reference in references]),
        "read_only": pa.array([reference.read_only for reference in references]),
        "digest": pa.array([reference.digest for reference in references]),
        "codes": pa.array([encode(r.contig.bases).tobytes() for r in references], pa.large_binary()),
        "lower": pa.array([list(reference.lower) for reference in references], pa.list_(pa.int64())),
    }
    _write(writer, pa.table(columns), withdrawn, 0)


def _write(writer: SnapshotWriter, table: pa.Table, gone: np.ndarray, before: int) -> None:
    mask = among(decode_records(table["record_id"].combine_chunks(), KIND), gone)
    left = table.filter(pa.array(~mask))
    if mask.any():
        writer.found[WITHDRAWN] = sorted(table.filter(pa.array(mask))["record_id"].to_pylist())
    if not left.num_rows:
        action = "give another FASTA file, or withdraw from the variants instead"
        raise DataError("REFERENCE_EMPTY", "not one sequence is left", found=table["contig"].to_pylist(), action=action)
    writer.write_table(TABLE, left)
    writer.records(left["record_id"].to_pylist())
    bases = int(np.sum(left["length"].to_numpy()))
    writer.stats |= {"contigs": left.num_rows, "bases": bases, WITHDRAWN: before + int(mask.sum())}
