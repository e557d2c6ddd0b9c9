"""Reading alleles out of a VCF of many lines: this domain's reader beside pysam, cyvcf2 and oxbow; and flat memory.

The file is made up: random bases, sorted places, bgzipped. Each reader gives position, REF, ALT, AC and AF of every
allele, in a process of its own, ten thousand lines and then all; peak memory is that process's. Readers that are not
installed are said to be missing. The stage's own figure is with normal forms, ids, folding and the written table.
Microseconds a line are those of the lines beyond the small file's: no start, no reference.
Usage: ``python -m benchmarks.vcf_reading [LINES]``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pysam

from benchmarks.result import save

LENGTH, SMALL = 40_000_000, 10_000
READERS = {
    "stemma": """
from assets_data.domains.genome.config import ReferenceConfig
from assets_data.domains.genome.fasta import read_reference
from assets_data.domains.genome.vcf import Keys, read_calls
references = read_reference(ReferenceConfig(fasta=FASTA))
for call in read_calls(pathlib.Path(VCF), references, {}, Keys(count="AC", frequency="AF")):
    count += 1
""",
    "stage": """
from assets_data.domains.genome.config import smoke
from assets_data.domains.genome.variants import make_variants
from assets_data.lineage import Store, with_overrides
files = {"reference.fasta": FASTA, "variants.source": "files", "variants.root": VCF}
with tempfile.TemporaryDirectory() as folder:
    name = pathlib.Path(VCF).name.removesuffix(".vcf.gz")
    count = make_variants(Store(pathlib.Path(folder)), name, with_overrides(smoke(), files)).stats["read"]
""",
    "pysam": """
import pysam
for record in pysam.VariantFile(VCF):
    info = record.info
    ac, af = info["AC"], info["AF"]
    for index, alt in enumerate(record.alts):
        row = (record.start, record.ref, alt, ac[index], af[index])
        count += 1
""",
    "cyvcf2": """
import cyvcf2
for record in cyvcf2.VCF(VCF):
    ac, af = record.INFO["AC"], record.INFO["AF"]
    for index, alt in enumerate(record.ALT):
        one = len(record.ALT) == 1
        row = (record.POS - 1, record.REF, alt, ac if one else ac[index], af if one else af[index])
        count += 1
""",
    "oxbow": """
import oxbow
scanner = oxbow.from_vcf(VCF, compression="bgzf", fields=["pos", "ref", "alt"], info_fields=["AC", "AF"])
for batch in scanner.batches():
    count += sum(map(len, batch.column(batch.schema.get_field_index("alt")).to_pylist()))
""",
}
PROGRAM = """
import json, pathlib, sys, tempfile, time
FASTA, VCF = sys.argv[1:]
count, began = 0, time.process_time()
{body}
seconds = time.process_time() - began
peak = int(pathlib.Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024
print(json.dumps({{"alleles": count, "cpu_s": round(seconds, 2), "peak_mib": round(peak)}}))
"""


def write_files(folder: Path, lines: int) -> tuple[Path, Path]:
    """A sequence of random bases, and ``lines`` lines of one to three SNVs or an indel each, bgzipped."""
    random = np.random.default_rng(0)
    bases = np.frombuffer(b"ACGT", np.uint8)[random.integers(0, 4, LENGTH)].tobytes().decode()
    fasta, plain = folder / "made.fa", folder / f"made{lines}.vcf"
    fasta.write_text(">c\n" + "\n".join(bases[at : at + 60] for at in range(0, LENGTH, 60)) + "\n")
    places = np.sort(random.choice(LENGTH - 100, lines, replace=False)) + 10
    with open(plain, "w") as file:
        file.write(f"##fileformat=VCFv4.2\n##contig=<ID=c,length={LENGTH}>\n")
        for key, kind in (("AC", "Integer"), ("AF", "Float")):
            file.write(f'##INFO=<ID={key},Number=A,Type={kind},Description="{key}">\n')
        file.write("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n")
        for number, place in enumerate(places.tolist()):
            ref = bases[place]
            alts = [base for base in "ACGT" if base != ref][: 1 + number % 3] if number % 10 else [ref + "AC"]
            values = f"AC={','.join('3' for _ in alts)};AF={','.join('0.01' for _ in alts)}"
            file.write(f"c\t{place + 1}\t.\t{ref}\t{','.join(alts)}\t.\t.\t{values}\n")
    packed = folder / f"made{lines}.vcf.gz"
    pysam.tabix_compress(str(plain), str(packed), force=True)
    plain.unlink()
    return fasta, packed


def measured(name: str, fasta: Path, vcf: Path) -> dict[str, Any]:
    """One reader over one file, in a process of its own."""
    program = PROGRAM.format(body=READERS[name])
    done = subprocess.run([sys.executable, "-c", program, str(fasta), str(vcf)], capture_output=True, text=True)
    return json.loads(done.stdout) if done.returncode == 0 else {"missing": done.stderr.strip().splitlines()[-1][:200]}


def main() -> None:
    """Every reader over a small and the large file."""
    lines = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    figures: dict[str, Any] = {"lines": lines, "small_lines": SMALL}
    with tempfile.TemporaryDirectory() as folder:
        fasta, large = write_files(Path(folder), lines)
        _, small = write_files(Path(folder), SMALL)
        for name in READERS:
            found = figures[name] = {"small": measured(name, fasta, small), "large": measured(name, fasta, large)}
            if "cpu_s" in found["large"] and "cpu_s" in found["small"]:
                more = found["large"]["cpu_s"] - found["small"]["cpu_s"]
                found["us_per_line"] = round(more / (lines - SMALL) * 1e6, 2)
                found["peak_growth_mib"] = found["large"]["peak_mib"] - found["small"]["peak_mib"]
    save("vcf_reading", ["pysam", "numpy", "pyarrow"], figures)


if __name__ == "__main__":
    main()
