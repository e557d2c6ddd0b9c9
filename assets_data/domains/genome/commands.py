"""``stemma score``: a VCF file with a checkpoint's scores in it, one per allele, and why where there is none."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from assets_data.documents import read_layout, read_manifest
from assets_data.domains.genome.fasta import Reference
from assets_data.domains.genome.read import Layout
from assets_data.domains.genome.reference import open_reference
from assets_data.domains.genome.single import Row, single_edit, single_rows
from assets_data.domains.genome.vcf import pysam_module
from assets_data.lineage import ConfigError, DataError, Snapshot, Store

PREFIX, WHY, BATCH = "STEMMA_", "STEMMA_WHY", 2048


def add_parsers(commands: Any, tools: Any) -> None:
    """Add the genome domain's command to the subparsers of ``stemma``."""
    score = commands.add_parser("score", help="write a VCF with a checkpoint's scores of every allele")
    score.add_argument("--checkpoint", required=True, help="an id (or its first characters), or a name")
    score.add_argument("--vcf", required=True, type=Path, help="a VCF or BCF file")
    score.add_argument("--out", type=Path, help="where to write; FILE.scored.vcf.gz beside it without this")
    score.add_argument("--contig", action="append", default=[], metavar="NAME=NAME", help="a name there to one here")
    score.set_defaults(command=_score, tools=tools)


def _score(options: argparse.Namespace) -> int:
    store, checkpoint = options.tools.store(), options.tools.node(options.checkpoint)
    score = options.tools.scorer(checkpoint)
    references, width = _data_of(store, checkpoint)
    names = dict(pair.split("=", 1) for pair in options.contig if "=" in pair)
    name = options.vcf.name.removesuffix(".gz").removesuffix(".bgz").removesuffix(".vcf").removesuffix(".bcf")
    out = options.out or options.vcf.with_name(f"{name}.scored.vcf.gz")
    if out.exists():
        raise ConfigError("SCORE_EXISTS", "there is a file already", where=out, action="choose another --out")
    counts = score_file(options.vcf, out, references, names, width, score, checkpoint.id)
    refused = ", ".join(f"{count:,} {reason}" for reason, count in sorted(counts.items()) if reason != "scored")
    print(f"{out}: {counts['scored']:,} alleles scored{f'; not scored: {refused}' if refused else ''}")
    return 0


def score_file(
    source: Path,
    out: Path,
    references: Mapping[str, Reference],
    names: Mapping[str, str],
    width: int,
    score: Callable[[Any], Mapping[str, Any]],
    checkpoint: str,
) -> Counter[str]:
    """Write ``out``; how many alleles were scored, and were not by reason. Memory is that of a batch of lines."""
    pysam, counts = pysam_module(), Counter[str]()
    quiet = pysam.set_verbosity(0)
    try:
        with pysam.VariantFile(str(source)) as read:
            header = read.header.copy()
            header.add_line(f"##stemma_checkpoint={checkpoint}")
            header.info.add(WHY, "A", "String", "Why an allele has no score; . where it has one")
            written = None
            for batch in _batches(read):
                found = [
                    _allele(references, names, record, alt, width) for record in batch for alt in record.alts or ()
                ]
                rows = [row for row in found if not isinstance(row, str)]
                values = score(single_rows(rows)) if rows else {}
                if written is None:
                    for key in values or ("change", "predicted", "surprise", "llr"):
                        header.info.add(f"{PREFIX}{key.upper()}", "A", "Float", f"{key} of an allele; see the manual")
                    written = pysam.VariantFile(str(out), "w", header=header)
                _write(written, batch, found, values)
                counts.update("scored" if not isinstance(row, str) else row for row in found)
            if written is None:
                written = pysam.VariantFile(str(out), "w", header=header)
            written.close()
    except (OSError, ValueError, NotImplementedError) as error:
        raise DataError("VCF_FORMAT", f"htslib cannot read or write it: {error}", where=source) from error
    finally:
        pysam.set_verbosity(quiet)
    return counts


def _batches(read: Any) -> Iterator[list[Any]]:
    batch: list[Any] = []
    for record in read:
        batch.append(record)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _allele(
    references: Mapping[str, Reference], names: Mapping[str, str], record: Any, alt: str, width: int
) -> Row | str:
    contig = names.get(record.chrom, record.chrom)
    return single_edit(references, contig, (record.start, record.ref or "", alt), width)


def _write(written: Any, batch: list[Any], found: list[Row | str], values: Mapping[str, Any]) -> None:
    at = scored = 0
    for record in batch:
        own = found[at : at + len(record.alts or ())]
        at += len(own)
        record.translate(written.header)
        if own:
            places = [scored + sum(not isinstance(row, str) for row in own[:i]) for i in range(len(own))]
            for key, column in values.items():
                numbers = [None if isinstance(r, str) else float(column[p]) for r, p in zip(own, places, strict=True)]
                record.info[f"{PREFIX}{key.upper()}"] = tuple(None if n is None or n != n else n for n in numbers)
            if any(isinstance(row, str) for row in own):
                record.info[WHY] = tuple(row if isinstance(row, str) else "." for row in own)
            scored += sum(not isinstance(row, str) for row in own)
        written.write(record)


def _data_of(store: Store, checkpoint: Snapshot) -> tuple[dict[str, Reference], int]:
    """The reference that a checkpoint was trained on, and the width of its windows, by its receipts."""
    from assets_data.lineage.receipts.reader import read_receipt

    parents = [parent for path in store.receipts(checkpoint.id) for parent in read_receipt(path).parents]
    manifests = [parent.id for parent in parents if parent.input == "manifest"]
    if not manifests:
        raise DataError("SCORE_PARENTS", "no receipt of the checkpoint names its manifest", found=checkpoint.id)
    manifest = store.snapshot(f"sha256:{manifests[-1].removeprefix('sha256:')}")
    members = read_manifest(manifest)["members"]
    width = read_layout(store.snapshot(members["windows"]), Layout)["width"]
    return open_reference(store.snapshot(members["reference"])), width
