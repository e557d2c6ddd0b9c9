"""Cleaning a slice against the same expressions in bare polars, on the same file and cores.

Ours streams documents out of a raw slice: cleaned, judged, hashed, free of duplicates, in their splits. Bare polars has
the same cleaning, the same bounds and ``unique`` in one lazy query for the same columns, streaming and in memory.
All take turns in one process; a rate is MB of text per second, the median of the rounds. Peak memory is of a process of
its own per size and step.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, Literal

import polars as pl

from assets_data.domains.text.clean import cleaned, drop_reason, measures
from assets_data.domains.text.cleaned import iter_cleaned
from assets_data.domains.text.config import DocumentsConfig
from assets_data.domains.text.raw_slice import make_raw_slice
from assets_data.lineage import Snapshot, Store
from assets_data.lineage.receipts.code import ROOT
from assets_data.sources.config import FilesConfig, SourceConfig
from assets_data.sources.stdlib import StdlibSource
from benchmarks.result import save

ROUNDS = 5
CONFIG = DocumentsConfig()


def write_files(folder: Path, megabytes: int) -> SourceConfig:
    """Parquet files with about that much text: the standard library again and again, each copy marked."""
    source, size, copy = StdlibSource(SourceConfig(shards=1)), 0, 0
    texts = [record.text for part in source.parts("stdlib-0") for record in source.records(part, Counter())]
    while size < megabytes << 20:
        marked = pl.DataFrame({"text": texts}).select(text=pl.format("copy {}\n{}", pl.lit(copy), "text"))
        marked.write_parquet(folder / f"{copy}.parquet")
        size, copy = size + int(marked.get_column("text").str.len_bytes().sum()), copy + 1
    return source_of(folder)


def source_of(folder: Path) -> SourceConfig:
    """What :func:`write_files` wrote, as one slice."""
    return SourceConfig(source="files", shards=1, files=FilesConfig(root=str(folder), patterns=("*.parquet",)))


def clean_ours(raw: Snapshot) -> int:
    """Documents kept."""
    return sum(len(documents) for documents, _ in iter_cleaned(raw, CONFIG, Counter()))


def clean_bare(raw: Snapshot, engine: Literal["streaming", "in-memory"]) -> int:
    """Documents kept."""
    text = pl.col("text")
    query = (
        pl.scan_parquet(raw.file("records.parquet"))
        .select("record_id", "origin", cleaned(text))
        .with_columns(measures(text, CONFIG))
        .filter(drop_reason(CONFIG).is_null())
        .unique("text", keep="first", maintain_order=True)
        .select("record_id", "origin", "text")
    )
    return len(query.collect(engine=engine))


def peak_mebibytes(megabytes: int) -> dict[str, float]:
    """Peak resident memory of making a slice of this size and of cleaning it, each in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder), megabytes)
        peaks = {}
        for step in ("make", "clean"):
            command = [sys.executable, "-m", "benchmarks.cleaning", step, folder]
            output = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
            peaks[f"{step}_mib"] = round(int(output.split()[-1]) / 1024, 1)
    return peaks


def run_step(step: str, folder: Path) -> None:
    """One step of the memory measurement; prints the peak in KiB."""
    store = Store(folder / "store")
    if step == "make":
        make_raw_slice(store, "files-0", source_of(folder))
    else:
        clean_ours(store.opened(store.snapshot_ids()[0]))
    status = Path("/proc/self/status").read_text()  # ru_maxrss would be the parent's, where that is larger
    print(status.partition("VmHWM:")[2].split()[0])


def main(megabytes: int, sizes: list[int]) -> None:
    """Measure and save."""
    seconds: dict[str, list[float]] = {"ours": [], "bare_streaming": [], "bare_in_memory": []}
    with tempfile.TemporaryDirectory() as folder:
        raw = make_raw_slice(Store(Path(folder) / "store"), "files-0", write_files(Path(folder), megabytes))
        size = int(
            pl.scan_parquet(raw.file("records.parquet")).select(pl.col("text").str.len_bytes().sum()).collect().item()
        )
        kept = set()
        for _ in range(ROUNDS):
            for name in seconds:
                began = time.perf_counter()
                engine = "streaming" if name == "bare_streaming" else "in-memory"
                kept.add(clean_ours(raw) if name == "ours" else clean_bare(raw, engine))
                seconds[name].append(time.perf_counter() - began)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    figures: dict[str, Any] = {
        "text_mb": round(size / 1e6, 1),
        "documents_kept": sorted(kept),
        "threads": pl.thread_pool_size(),
        "mb_per_s": {name: round(size / 1e6 / value, 1) for name, value in medians.items()},
        "ours_over_bare_streaming": round(medians["bare_streaming"] / medians["ours"], 3),
        "ours_over_bare_in_memory": round(medians["bare_in_memory"] / medians["ours"], 3),
        "peak_memory": {f"{size_mb}_mb": peak_mebibytes(size_mb) for size_mb in sizes},
    }
    save("cleaning", ["polars", "pyarrow", "numpy"], figures)


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in ("make", "clean"):
        run_step(sys.argv[1], Path(sys.argv[2]))
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else 200, [int(size) for size in sys.argv[2:]] or [100, 2000])
