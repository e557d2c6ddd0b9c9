"""The variants stage: one slice of alleles in normal form, each a record; its spellings, lines and numbers kept.

Promises that alleles in = kept + folded into another spelling + left out by reason, that REF is what the reference says
everywhere, and that memory does not grow with a sorted file: an allele is written once no later line can reach it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from assets_data.documents import read_layout
from assets_data.domains.genome.alleles import LETTERS, normalize, record_id
from assets_data.domains.genome.calls import Call
from assets_data.domains.genome.config import GenomeConfig
from assets_data.domains.genome.fasta import Reference, edited, read_reference, reference_digest
from assets_data.domains.genome.folding import SCHEMA, Folding
from assets_data.domains.genome.read import Layout
from assets_data.domains.genome.sources import ORIGINS, slice_calls, slice_digest
from assets_data.lineage import DataError, Snapshot, SnapshotWriter, Store, read_sections
from assets_data.lineage.identity.record_ids import among, decode_records, table_records
from assets_data.lineage.storage.tombstones import WITHDRAWN

KIND = "genome/variants"
TABLE = "alleles.parquet"
SEEN = 1000
"""Alleles looked at before a wrong REF is reported, so that the message can say whether it is nearly all of them."""


def make_variants(store: Store, slice_name: str, config: GenomeConfig) -> Snapshot:
    """Publish (or reuse) ``alleles.parquet`` and ``layout.json``.

    Raises DataError VARIANT_REF_MISMATCH and VARIANT_UNSUPPORTED, with line numbers, past the ceilings in the settings,
    and what reading the source raises.
    """
    return store.run_stage(
        name=KIND,
        module=__name__,
        config=read_sections(config, ("reference", "variants")),
        arguments={"slice": slice_name, **_digests(config, slice_name)},
        parents={},
        build=lambda writer: _build(writer, slice_name, config, store.withdrawn),
    )


def arguments_now(config: GenomeConfig, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The digests of the slice's file and of the reference as they are today."""
    return _digests(config, arguments["slice"])


def without_records(writer: SnapshotWriter, variants: Snapshot, gone: np.ndarray) -> None:
    """Write a slice as it is without the alleles ``gone`` (uint8[n, 32], ascending), as reading it again would."""
    layout = read_layout(variants, Layout)
    with pq.ParquetFile(variants.file(TABLE)) as file:
        batches = (pa.Table.from_batches([batch], SCHEMA) for batch in file.iter_batches(1 << 16))
        _write(writer, batches, gone, layout, Counter(variants.stats["left_out"]), variants.stats["read"])


def _digests(config: GenomeConfig, slice_name: str) -> dict[str, Any]:
    return {"digest": slice_digest(config, slice_name), "reference": reference_digest(config.reference)}


def _build(writer: SnapshotWriter, slice_name: str, config: GenomeConfig, withdrawn: np.ndarray) -> None:
    references = {r.contig.name: r for r in edited(read_reference(config.reference).values())}
    origin, licence = ORIGINS[config.variants.source]
    layout = {"source": config.variants.source, "origin": origin, "licence": licence}
    normal = _Normal(slice_name, references, config)
    folding = Folding()
    batches = folding.batches(normal.alleles(slice_calls(config, slice_name, references)))
    _write(writer, batches, withdrawn, layout, normal.left_out, 0)
    writer.stats |= {"read": normal.read, "moved": normal.moved, "folded": folding.folded}


class _Normal:
    """Calls to normalised ones; counts what was read, moved and left out."""

    def __init__(self, slice_name: str, references: Mapping[str, Reference], config: GenomeConfig) -> None:
        self.slice_name, self.references, self.config = slice_name, references, config.variants
        self.read, self.moved, self.left_out = 0, 0, Counter[str]()

    def alleles(self, calls: Iterator[Call]) -> Iterator[tuple[str, Call, Call]]:
        """``(record id, normalised, as read)`` of every allele that is kept."""
        for call in calls:
            self.read += 1
            ref, alt = call.ref.upper(), call.alt.upper()
            if not ref or not alt or ref == alt or not LETTERS.issuperset(ref) or not LETTERS.issuperset(alt):
                self._leave_out("unsupported", call, self.config.max_unsupported)
                continue
            reference = self.references[call.contig]
            if reference.contig.bases[call.pos : call.pos + len(ref)] != ref.encode():
                self._leave_out("ref_mismatch", call, self.config.max_mismatches)
                continue
            pos = call.pos
            if not len(ref) == 1 == len(alt):
                pos, ref, alt = normalize(reference.contig.bases, call.pos, ref, alt)
                self.moved += pos != call.pos or len(ref) != len(call.ref)
            same = (pos, ref, alt) == (call.pos, call.ref, call.alt)
            normal = call if same else call._replace(pos=pos, ref=ref, alt=alt)
            yield record_id(reference.digest, pos, ref, alt), normal, call
        self._require("ref_mismatch", self.config.max_mismatches, None)

    def _leave_out(self, reason: str, call: Call, ceiling: int) -> None:
        self.left_out[reason] += 1
        if self.left_out[reason] == ceiling + 1:
            self.first = call
        if reason == "unsupported" or self.read > SEEN:
            self._require(reason, ceiling, call)

    def _require(self, reason: str, ceiling: int, _: Call | None) -> None:
        count = self.left_out[reason]
        if count <= ceiling:
            return
        call = self.first
        where = f"{self.slice_name}, line {call.line}: {call.contig}:{call.pos + 1} {call.ref}>{call.alt}"
        if reason == "unsupported":
            what, action = (
                "an allele that is no plain sequence",
                "raise genome.variants.max_unsupported to leave such out",
            )
            raise DataError(
                "VARIANT_UNSUPPORTED", what, expected="A, C, G and T", found=call.alt, where=where, action=action
            )
        bases = self.references[call.contig].contig.bases
        found = bases[call.pos : call.pos + len(call.ref)].decode()
        share = count / self.read
        what = f"REF is not what the reference says, in {count:,} of {self.read:,} alleles"
        if share > 0.5:
            what += ": this is another assembly (chrM of hg19 is not the rCRS)"
        action = "give the FASTA file that the alleles were called on, or raise genome.variants.max_mismatches"
        raise DataError("VARIANT_REF_MISMATCH", what, expected=call.ref, found=found, where=where, action=action)


def _write(
    writer: SnapshotWriter,
    batches: Iterator[pa.Table],
    gone: np.ndarray,
    layout: Mapping[str, Any],
    left_out: Counter[str],
    read: int,
) -> None:
    """The alleles that nobody withdrew. Those that somebody did are counted, and listed in the receipt."""
    file, rows, kinds, withdrawn = writer.part(TABLE), 0, Counter[str](), []
    with pq.ParquetWriter(file, SCHEMA, compression="zstd") as table:
        for batch in batches:
            mask = among(decode_records(batch["record_id"].combine_chunks(), TABLE), gone)
            if mask.any():
                withdrawn += batch.filter(pa.array(mask))["record_id"].to_pylist()
                batch = batch.filter(pa.array(~mask))
            table.write_table(batch)
            rows += batch.num_rows
            kinds.update(batch["kind"].to_pylist())
    if withdrawn:
        writer.found[WITHDRAWN] = sorted(withdrawn)
    writer.write_json("layout.json", dict(layout))
    writer.records(table_records(file))
    writer.stats |= {"rows": rows, "kinds": dict(kinds), WITHDRAWN: len(withdrawn), "left_out": left_out, "read": read}
