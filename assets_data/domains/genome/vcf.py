"""VCF and BCF files as calls, one per alternative allele. By pysam (htslib); memory does not grow with the file."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assets_data.domains.genome.calls import Call, label_of
from assets_data.domains.genome.fasta import Reference
from assets_data.lineage import ConfigError, DataError

_call = tuple.__new__
"""``_call(Call, values)`` is ``Call(*values)`` in a third of the time."""
SUFFIXES = (".vcf", ".vcf.gz", ".vcf.bgz", ".bcf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Which INFO keys are read; empty: none. ``listed``: every allele of the file has at least the label ``listed``."""

    count: str = ""
    frequency: str = ""
    percent: bool = False
    label: str = ""
    listed: bool = False


def read_calls(
    path: Path, references: Mapping[str, Reference], contigs: Mapping[str, str], keys: Keys
) -> Iterator[Call]:
    """Every alternative allele of the file in its order, with the sequence's name as the reference has it.

    Raises DataError VCF_FORMAT for what htslib cannot read, CONTIG_UNKNOWN for a sequence that is not there or of
    another length, VCF_VALUES where a value per allele is not one per allele; ConfigError GENOME_NEEDS_PYSAM.
    """
    pysam = pysam_module()
    number = _header_lines(path)
    quiet = pysam.set_verbosity(0)
    try:
        with pysam.VariantFile(str(path)) as file:
            names = _Names(file.header, references, contigs, path)
            own = [key if key in file.header.info else "" for key in (keys.count, keys.frequency, keys.label)]
            count_key, frequency_key, label_key = own
            listed = "listed" if keys.listed else ""
            for record in file:
                number += 1
                contig, start, (ref, *alts) = names[record.chrom], record.start, record.alleles or ("",)
                if not alts:
                    yield Call(number, contig, start, ref, ".")
                    continue
                info, unknown = record.info, (None,) * len(alts)
                counts = _of_each(info.get(count_key), unknown, path, number) if count_key else unknown
                shares = _of_each(info.get(frequency_key), unknown, path, number) if frequency_key else unknown
                labels = _labels(info.get(label_key), unknown) if label_key else unknown
                for alt, count, share, label in zip(alts, counts, shares, labels, strict=True):
                    count = -1 if count is None else int(count)
                    share = -1.0 if share is None else float(share)
                    share = share / 100 if keys.percent and share >= 0 else share
                    said = listed if label is None else label_of(str(label)) or listed
                    yield _call(Call, (number, contig, start, ref, alt, count, share, said))
    except NotImplementedError as error:  # htslib seeks, and cannot in what gzip itself wrote
        what, action = "compressed by gzip, not in blocks", "compress it by bgzip"
        raise DataError("VCF_FORMAT", what, where=path, action=action) from error
    except (OSError, ValueError) as error:
        raise DataError(
            "VCF_FORMAT", f"htslib cannot read it: {error}", where=f"{path}, after line {number}"
        ) from error
    finally:
        pysam.set_verbosity(quiet)


def pysam_module() -> Any:
    """pysam. Raises ConfigError GENOME_NEEDS_PYSAM saying how to get it."""
    try:
        import pysam
    except ImportError as error:
        action = "pip install 'stemma[genome]'"
        raise ConfigError("GENOME_NEEDS_PYSAM", "VCF and BCF files are read by pysam", action=action) from error
    return pysam


class _Names(dict[str, str]):
    """Names in the file to those in the reference; each looked up once, and its length compared."""

    def __init__(
        self, header: Any, references: Mapping[str, Reference], contigs: Mapping[str, str], path: Path
    ) -> None:
        self.header, self.references, self.contigs, self.path = header, references, contigs, path

    def __missing__(self, name: str) -> str:
        meant = self.contigs.get(name, name)
        action = "map its name by genome.variants.contigs, or give the assembly that the file was made with"
        if meant not in self.references:
            what = "the reference has no such sequence"
            raise DataError(
                "CONTIG_UNKNOWN", what, expected=list(self.references), found=name, where=self.path, action=action
            )
        length = self.header.contigs[name].length if name in self.header.contigs else None
        own = len(self.references[meant].contig.bases)
        if length and length != own:
            what = f"{name} is of another length there: another assembly (chrM of hg19 is not the rCRS)"
            raise DataError("CONTIG_UNKNOWN", what, expected=own, found=length, where=self.path, action=action)
        self[name] = meant
        return meant


def _header_lines(path: Path) -> int:
    """Lines before the first record; 0 in a BCF file, whose records are counted."""
    with open(path, "rb") as raw:
        start = raw.read(2)
    lines = 0
    try:
        with gzip.open(path) if start == b"\x1f\x8b" else open(path, "rb") as file:
            for line in file:
                if not line.startswith(b"#"):
                    break
                lines += 1
    except (OSError, EOFError) as error:
        raise DataError("VCF_FORMAT", f"not a readable file: {error}", where=path) from error
    return lines


def _of_each(value: Any, unknown: tuple[None, ...], path: Path, line: int) -> tuple[Any, ...]:
    """What a key says of every allele, as many as ``unknown`` has: one value is said of all."""
    if not isinstance(value, tuple):
        return (value,) * len(unknown)
    if len(value) != len(unknown):
        what = f"line {line} has {len(value)} values for {len(unknown)} alleles"
        raise DataError("VCF_VALUES", what, found=value, where=path)
    return value


def _labels(value: Any, unknown: tuple[None, ...]) -> tuple[Any, ...]:
    """The same of labels, but another number of them is one text, which is said of all."""
    if isinstance(value, tuple) and len(value) == len(unknown):
        return value
    return (",".join(map(str, value)) if isinstance(value, tuple) else value,) * len(unknown)
