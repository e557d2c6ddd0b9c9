"""Microseconds to fetch a random training row as three arrays: the memory-mapped store, datasets, MosaicML streaming.

The same rows of the same triples in the form each wants: ``{split}.arrow`` as published; a datasets.Dataset on disk
with three uint16 columns in NumPy format, memory-mapped; uncompressed local MDS shards with the same columns. The
same random row numbers for all, in turn, median of the rounds, warm page cache; a token of every array is read.

    python -m benchmarks.random_access --megabytes 100 --reads 20000
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import statistics
import sys
import tempfile
import time
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from assets_data.domains.text.config import TextConfig
from assets_data.domains.text.documents import make_documents
from assets_data.domains.text.read import Triple, TripleTable
from assets_data.domains.text.tokenizer import make_tokenizer
from assets_data.domains.text.triples import make_triples
from assets_data.lineage import Store
from benchmarks.corpus import raw_slice_of, write_made
from benchmarks.result import save

TRAINING_MB = 4
NAMES = Triple._fields
ROUNDS = 5


def open_datasets(folder: Path, table: TripleTable) -> Any:
    """The rows as a datasets.Dataset, saved and loaded from disk, in NumPy format."""
    import datasets

    datasets.disable_progress_bars()
    features = datasets.Features({name: datasets.Sequence(datasets.Value("uint16")) for name in NAMES})
    columns = {name: [getattr(row, name) for row in table] for name in NAMES}
    datasets.Dataset.from_dict(columns, features=features).save_to_disk(str(folder / "datasets"))
    return datasets.load_from_disk(str(folder / "datasets")).with_format("numpy")


def open_streaming(folder: Path, table: TripleTable) -> Any:
    """The rows as local MDS shards under a StreamingDataset."""
    import transformers.feature_extraction_utils  # noqa: F401 - before a stand-in of torchvision could confuse it

    stand_in_torchvision()
    from streaming import MDSWriter, StreamingDataset

    with MDSWriter(out=str(folder / "mds"), columns=dict.fromkeys(NAMES, "ndarray:uint16")) as writer:
        for row in table:
            writer.write({name: np.ascontiguousarray(getattr(row, name)) for name in NAMES})
    return StreamingDataset(local=str(folder / "mds"), batch_size=1)


def stand_in_torchvision() -> None:
    """MosaicML streaming imports torchvision for its image datasets; where it is absent, empty names do."""
    if importlib.util.find_spec("torchvision"):
        return
    for name, members in {
        "torchvision": (),
        "torchvision.datasets": ("VisionDataset", "CIFAR10"),
        "torchvision.transforms": (),
        "torchvision.transforms.functional": ("to_tensor",),
    }.items():
        sys.modules[name] = types.ModuleType(name)
        for member in members:
            setattr(sys.modules[name], member, object)


def read_copies(table: TripleTable, rows: Sequence[int]) -> int:
    """A checksum over the last tokens of every row's arrays, each copied out of the file as the peers copy theirs."""
    total = 0
    for row in rows:
        arrays = [np.array(view) for view in table[row]]
        total += sum(int(array[-1]) for array in arrays)
    return total


def read_views(table: TripleTable, rows: Sequence[int]) -> int:
    """The same, of views into the mapped file: what a recipe that pads a batch reads."""
    return sum(int(a[-1]) + int(b[-1]) + int(c[-1]) for a, b, c in (table[row] for row in rows))


def read_mappings(table: Any, rows: Sequence[int]) -> int:
    """The same, of rows that are mappings."""
    total = 0
    for row in rows:
        arrays = table[row]
        total += sum(int(arrays[name][-1]) for name in NAMES)
    return total


def measure(folder: Path, megabytes: float, reads: int) -> dict[str, Any]:
    """Median microseconds per row, and how much slower the peers are."""
    store, config = Store(folder / "store"), TextConfig()
    raw = {}
    for name, size in {"training": TRAINING_MB, "text": megabytes}.items():
        (folder / name).mkdir()
        write_made(folder / name / "rows.jsonl", size)
        raw[name] = raw_slice_of(store, folder / name / "rows.jsonl")
    documents = {name: make_documents(store, slice_, config) for name, slice_ in raw.items()}
    tokenizer = make_tokenizer(store, {"training": documents["training"]}, config)
    table = TripleTable(make_triples(store, documents["text"], tokenizer, config).file("train.arrow"))
    readers: dict[str, Callable[[Sequence[int]], int]] = {
        "stemma": functools.partial(read_copies, table),
        "stemma_views": functools.partial(read_views, table),
    }
    for peer, opened in (("datasets", open_datasets), ("streaming", open_streaming)):
        if importlib.util.find_spec(peer):
            readers[peer] = functools.partial(read_mappings, opened(folder, table))
    rng, seconds = np.random.default_rng(0), {name: [] for name in readers}
    for _ in range(ROUNDS):
        rows = rng.integers(len(table), size=reads).tolist()
        sums = set()
        for name, read in readers.items():
            began = time.perf_counter()
            sums.add(read(rows))
            seconds[name].append(time.perf_counter() - began)
        if len(sums) != 1:
            raise SystemExit(f"the readers read different rows: {sums}")
    rates = {name: round(statistics.median(times) / reads * 1e6, 2) for name, times in seconds.items()}
    return {
        "rows": len(table),
        "reads": reads,
        "rounds": ROUNDS,
        "us_per_row": rates,
        "times_faster": {peer: round(rates[peer] / rates["stemma"], 1) for peer in readers if "stemma" not in peer},
        "absent": [peer for peer in ("datasets", "streaming") if peer not in readers],
    }


def main() -> None:
    """Measure and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=100)
    parser.add_argument("--reads", type=int, default=20_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), options.megabytes, options.reads)
    versions = ["numpy", "pyarrow", "datasets", "mosaicml-streaming"]
    absent = {"mosaicml-streaming" if peer == "streaming" else peer for peer in figures["absent"]}
    save("random_access", [name for name in versions if name not in absent], figures)


if __name__ == "__main__":
    main()
