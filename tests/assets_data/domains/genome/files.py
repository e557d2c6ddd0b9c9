"""Small FASTA and VCF files for the tests, and stages over them."""

from pathlib import Path

from assets_data.domains.genome.config import GenomeConfig, smoke
from assets_data.domains.genome.variants import make_variants
from assets_data.lineage import Snapshot, Store, with_overrides

SEQUENCE = "ACGTTTTTGACCAGTNACGGGGGACATCATCATGCA"
HEAD = (
    "##fileformat=VCFv4.2\n"
    "##contig=<ID=c,length=36>\n"
    '##INFO=<ID=AC,Number=A,Type=Integer,Description="count">\n'
    '##INFO=<ID=AF,Number=A,Type=Float,Description="frequency">\n'
    '##INFO=<ID=CLNSIG,Number=.,Type=String,Description="significance">\n'
    "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
)


def write(folder: Path, lines: list[str], head: str = HEAD, sequence: str = SEQUENCE, end: str = "\n") -> GenomeConfig:
    """A FASTA file, and ``own.vcf`` with lines such as ``3 A C AC=1``; the config that reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "own.fa").write_text(f">c test\n{sequence[:20]}\n{sequence[20:]}\n")
    rows = []
    for line in lines:
        pos, ref, alt, *info = line.split(" ")
        rows.append(f"c\t{pos}\t.\t{ref}\t{alt}\t.\t.\t{info[0] if info else '.'}\n")
    (folder / "own.vcf").write_bytes((head + "".join(rows)).replace("\n", end).encode())
    return own_config(folder)


def own_config(folder: Path, **further: object) -> GenomeConfig:
    files = {
        "reference.fasta": str(folder / "own.fa"),
        "variants.source": "files",
        "variants.root": str(folder / "own.vcf"),
    }
    return with_overrides(smoke(), {**files, **further})


def variants(folder: Path, config: GenomeConfig, name: str = "own") -> Snapshot:
    return make_variants(Store(folder / "store"), name, config)


def rows(snapshot: Snapshot) -> list[dict]:
    return snapshot.table("alleles.parquet").to_pylist()


def alleles(snapshot: Snapshot) -> list[tuple[int, str, str]]:
    return [(row["pos"] + 1, row["ref"], row["alt"]) for row in rows(snapshot)]
