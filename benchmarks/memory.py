"""Peak memory of every data stage against the size of its input: each stage in a process of its own, at each size.

The text is made (benchmarks.corpus), about 4 kB a document. A figure is the process's high-water mark (VmHWM), which
counts mapped files too. What grows by nature: 32 to 100 bytes per document (record ids, duplicates), 20 to 80 per row
in a mix. The tokenizer is trained on the same text, whose vocabulary does not grow.

    python -m benchmarks.memory --megabytes 100 2000
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from assets_data.lineage import Snapshot, Store
from assets_data.lineage.receipts.code import ROOT
from benchmarks.result import save

STAGES = (
    "text",
    "raw_slice",
    "documents",
    "document_index",
    "duplicates",
    "drops",
    "tokenizer",
    "triples",
    "checks",
    "mix",
    "verify",
)


def run_stage(stage: str, folder: Path, megabytes: float) -> None:
    """One stage, in the process that calls it; what it needs from before it finds by name in the store."""
    from assets_data.domains.text.config import TextConfig
    from assets_data.domains.text.document_index import make_document_index
    from assets_data.domains.text.documents import make_documents
    from assets_data.domains.text.drops import make_drops
    from assets_data.domains.text.duplicates import make_duplicates
    from assets_data.domains.text.mix import MixConfig, make_mix
    from assets_data.domains.text.tokenizer import make_tokenizer
    from assets_data.domains.text.triples import make_triples
    from benchmarks.corpus import raw_slice_of, write_made

    store, config = Store(folder / "store"), TextConfig()

    def made_before(name: str) -> Snapshot:
        return store.pointed(f"text/{name}")

    def slices(name: str) -> dict[str, Snapshot]:
        return {"files-0": made_before(name)}

    made: dict[str, Callable[[], Snapshot]] = {
        "raw_slice": lambda: raw_slice_of(store, folder / "rows.jsonl"),
        "documents": lambda: make_documents(store, made_before("raw_slice"), config),
        "document_index": lambda: make_document_index(store, made_before("documents"), config),
        "duplicates": lambda: make_duplicates(store, slices("documents"), slices("document_index"), config),
        "drops": lambda: make_drops(store, "files-0", made_before("documents"), made_before("duplicates")),
        "tokenizer": lambda: make_tokenizer(store, slices("documents"), config),
        "triples": lambda: make_triples(
            store, made_before("documents"), made_before("tokenizer"), config, made_before("drops")
        ),
        "mix": lambda: make_mix(store, {"a": [made_before("triples")]}, MixConfig()),
    }
    if stage in made:
        store.point(f"text/{stage}", made[stage]())
    elif stage == "text":
        write_made(folder / "rows.jsonl", megabytes)
    elif stage == "verify":
        made_before("triples").verify(deep=True)
    else:
        run_checks(store)


def run_checks(store: Store) -> None:
    """The leakage checks of a manifest."""
    from assets_data.domains.text.checks import label_leaks, misplaced_rows, split_overlaps

    triples = store.pointed("text/triples")
    found = label_leaks(triples).count + misplaced_rows(triples).count + split_overlaps([triples]).count
    if found:
        raise SystemExit(f"{found} leaks in made text")


def peak_mib(stage: str, folder: Path, megabytes: float) -> float:
    """High-water mark of a child that runs one stage."""
    command = [sys.executable, "-m", "benchmarks.memory", "--stage", stage, str(folder), str(megabytes)]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)


def high_water_mib() -> float:
    """This process's peak resident memory. Not ru_maxrss: that survives exec and shows the parent's."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return round(int(line.split()[1]) / 1024, 1)


def main() -> None:
    """Measure and save, or be the child of that."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, nargs="+", default=[100.0, 2000.0])
    parser.add_argument("--stage", nargs=3, metavar=("STAGE", "FOLDER", "MEGABYTES"))
    options = parser.parse_args()
    if options.stage:
        run_stage(options.stage[0], Path(options.stage[1]), float(options.stage[2]))
        print(high_water_mib())
        return
    peaks: dict[str, list[float]] = {stage: [] for stage in STAGES}
    for megabytes in options.megabytes:
        with tempfile.TemporaryDirectory() as folder:
            for stage in STAGES:
                peaks[stage].append(peak_mib(stage, Path(folder), megabytes))
    growth = {stage: round(sizes[-1] / sizes[0] - 1, 3) for stage, sizes in peaks.items()}
    figures = {"input_mb": options.megabytes, "peak_mib": peaks, "growth": growth}
    save("memory", ["numpy", "polars", "pyarrow", "tokenizers"], figures)


if __name__ == "__main__":
    main()
