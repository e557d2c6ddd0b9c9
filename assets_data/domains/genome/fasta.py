"""Sequences from FASTA files, with the digests that say which ones they are."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from assets_data.domains.genome.config import ReferenceConfig
from assets_data.domains.genome.haplotype import Contig
from assets_data.lineage import DataError, digest_file, digest_json

EMBEDDED = Path(__file__).parent / "embedded" / "mtdna.fa.gz"
_ODD = re.compile(rb"[^ACGTUNRYSWKMBDHVacgtunryswkmbdhv]")


@dataclass(frozen=True, slots=True)
class Reference:
    """One sequence: ``lower`` are begins and ends of its soft-masked runs, ``digest`` is over its capital letters."""

    contig: Contig
    digest: str
    read_only: bool
    lower: tuple[int, ...]

    @property
    def record_id(self) -> str:
        """64 hex characters: SHA-256 of the canonical JSON of name and digest."""
        return digest_json({"contig": self.contig.name, "sequence": self.digest}).removeprefix("sha256:")


def reference_path(config: ReferenceConfig) -> Path:
    """The FASTA file. Raises DataError GENOME_NO_FILE when it is not there."""
    path = Path(config.fasta) if config.fasta else EMBEDDED
    if not path.is_file():
        raise DataError("GENOME_NO_FILE", "no such FASTA file", where=path, action="set genome.reference.fasta")
    return path


def reference_digest(config: ReferenceConfig) -> str:
    """The digest of the FASTA file's bytes."""
    return digest_file(reference_path(config))


def read_reference(config: ReferenceConfig) -> dict[str, Reference]:
    """Every sequence by name, in the order of the file. Soft-masked bases are read as capitals; U is T.

    Raises DataError FASTA_FORMAT for a file that is none, or names a sequence twice, and FASTA_CONTIG for a name in the
    settings that it does not have.
    """
    found: dict[str, Reference] = {}
    path = reference_path(config)
    for name, raw in _read(path):
        if name in found or not name:
            raise DataError("FASTA_FORMAT", "sequences need a name each", found=name, where=path)
        bases = raw.upper().replace(b"U", b"T")
        digest = "sha256:" + hashlib.sha256(bases).hexdigest()
        contig = Contig(name, bases, name in config.circular)
        found[name] = Reference(contig, digest, name in config.read_only, _lower_runs(raw))
    named = {*config.circular, *config.read_only} - set(_DEFAULTS)
    if unknown := sorted(named - set(found)):
        raise DataError("FASTA_CONTIG", "no such sequence in the file", expected=list(found), found=unknown, where=path)
    return found


_DEFAULTS = (*ReferenceConfig().circular, *ReferenceConfig().read_only)


def _read(path: Path) -> Iterator[tuple[str, bytes]]:
    name, parts, any_name = "", [], False
    try:
        with gzip.open(path) if path.suffix in (".gz", ".bgz") else open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                line = line.rstrip()  # CRLF, too
                if line.startswith(b">"):
                    if any_name:
                        yield name, b"".join(parts)
                    words = line[1:].split()
                    name, parts, any_name = words[0].decode() if words else "", [], True
                elif line and (not any_name or _ODD.search(line)):
                    raise DataError(
                        "FASTA_FORMAT", f"line {number} is no sequence", found=line[:40].decode("latin1"), where=path
                    )
                else:
                    parts.append(line)
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError("FASTA_FORMAT", f"not a readable FASTA file: {error}", where=path) from error
    if not any_name:
        raise DataError("FASTA_FORMAT", "not one sequence", where=path)
    yield name, b"".join(parts)


def _lower_runs(raw: bytes) -> tuple[int, ...]:
    return tuple(place for run in re.finditer(rb"[a-z]+", raw) for place in run.span())


def edited(references: Iterable[Reference]) -> list[Reference]:
    """Those that alleles are told against."""
    return [reference for reference in references if not reference.read_only]
