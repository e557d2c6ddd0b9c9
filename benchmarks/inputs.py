"""Input files at their extremes, each to a raw slice in a process of its own: time and peak memory.

One file of 300 MB in every format and compression, 20,000 files of one row, one line of 50 MB. The figures of a case
are the seconds of making the slice and the process's high-water mark (VmHWM), which counts mapped files too; ``idle``
is what the process takes before it reads anything. Texts are made (benchmarks.corpus).

    python -m benchmarks.inputs
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import zstandard

from assets_data.domains.text.raw_slice import make_raw_slice
from assets_data.lineage import Store
from assets_data.lineage.receipts.code import ROOT
from assets_data.sources.config import FilesConfig, SourceConfig
from benchmarks.corpus import write_made
from benchmarks.memory import high_water_mib
from benchmarks.result import save

MEGABYTES, FILES, LINE_MB = 300, 20_000, 50


def write_cases(folder: Path) -> Iterator[str]:
    """Write each case into a folder of its own, give its name, and remove it when the next one is asked for."""
    made = folder / "made.jsonl"
    write_made(made, MEGABYTES)
    big: dict[str, Callable[[Path], Any]] = {
        "jsonl": lambda path: path.hardlink_to(made),
        "jsonl.gz": lambda path: _pack(made, path, gzip.open(path, "wb", compresslevel=1)),  # noqa: SIM115 - _pack closes it
        "jsonl.zst": lambda path: _pack(made, path, zstandard.open(path, "wb")),
        "json": lambda path: _as_array(made, path),
        "parquet": lambda path: pl.scan_ndjson(made).sink_parquet(path),
        "arrow": lambda path: _as_stream(made, path),
    }
    cases: dict[str, Callable[[Path], Any]] = {f"one_file_{suffix}": write for suffix, write in big.items()}
    for name, write in cases.items():
        yield from _written(folder, name, lambda place, write=write, name=name: write(place / f"a.{name[9:]}"))
    made.unlink()
    yield from _written(folder, "tiny_files", _tiny_files)
    yield from _written(folder, "one_line", lambda place: (place / "a.jsonl").write_text(_line(LINE_MB * 10**6)))


def _written(folder: Path, name: str, write: Callable[[Path], Any]) -> Iterator[str]:
    place = folder / name
    place.mkdir()
    write(place)
    yield name
    subprocess.run(["rm", "-r", str(place)], check=True)


def _pack(source: Path, target: Path, packer: Any) -> None:
    with open(source, "rb") as file, packer:
        while block := file.read(1 << 20):
            packer.write(block)


def _as_array(source: Path, target: Path) -> None:
    with open(source) as lines, open(target, "w") as array:
        array.write("[" + next(lines))
        array.writelines(f",{line}" for line in lines)
        array.write("]")


def _as_stream(source: Path, target: Path) -> None:
    schema = pa.schema({"text": pa.string()})
    with open(source) as lines, pa.ipc.new_stream(str(target), schema) as writer:
        rows: list[dict[str, str]] = []
        for line in lines:
            rows.append({"text": json.loads(line)["text"]})
            if len(rows) == 1000:  # as data sets' own library writes them
                writer.write_batch(pa.RecordBatch.from_pylist(rows, schema))
                rows = []
        writer.write_batch(pa.RecordBatch.from_pylist(rows, schema))


def _tiny_files(place: Path) -> None:
    for number in range(FILES):
        folder = place / f"{number % 100:02}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number}.jsonl").write_text(_line(100, number))


def _line(size: int, number: int = 0) -> str:
    return json.dumps({"text": f"{number} " + "word " * (size // 5)}) + "\n"


def read_case(folder: Path, case: str) -> dict[str, float]:
    """Make the slice, in the process that calls it."""
    files = FilesConfig(root=str(folder / case), patterns=("**/*.*",))
    config = SourceConfig(source="files", shards=1, files=files, max_record_bytes=64 << 20)
    idle, began = high_water_mib(), time.perf_counter()
    raw = make_raw_slice(Store(folder / "store" / case), "files-0", config)
    seconds = time.perf_counter() - began
    size = raw.stats["source_bytes"]
    return {
        "source_mb": round(size / 1e6, 1),
        "files": raw.stats["parts"],
        "rows": raw.stats["rows"],
        "seconds": round(seconds, 2),
        "idle_mib": idle,
        "peak_mib": high_water_mib(),
    }


def main() -> None:
    """Measure and save, or be the child of that."""
    if sys.argv[1:]:
        print(json.dumps(read_case(Path(sys.argv[1]), sys.argv[2])))
        return
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:
        for case in write_cases(Path(place)):
            command = [sys.executable, "-m", "benchmarks.inputs", place, case]
            output = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
            figures[case] = json.loads(output)
    save("inputs", ["pyarrow", "zstandard", "numpy"], figures)


if __name__ == "__main__":
    main()
