"""Tokens per second of the triples stage against bare ``Tokenizer.encode_batch_fast``, datasets.map and datatrove.

All on the same text and cores, in turn, median of the rounds, by the clock and by processor seconds (those of child
processes included; datatrove's cannot be seen). Bare: encodings of texts already cleaned and in memory, thrown away.
The stage: documents and triples, from the raw slice to the published, hashed, synced snapshots (verification, cleaning,
duplicates, split, windows, pivots); its tokens are those it kept, and it remembers the ids of words that it met.
datasets: the same Parquet file to windows with a pivot in its Arrow cache, by one process with the tokenizer's threads
and by one process per core. datatrove: Parquet files of the cleaned texts to its token files, one task per core,
unshuffled. The peers clean and split nothing.

    python -m benchmarks.triples --megabytes 100 --rounds 3
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import Tokenizer

from assets_data.domains.text.config import TextConfig
from assets_data.domains.text.documents import make_documents, read_documents
from assets_data.domains.text.tokenizer import BOS, EOS, load_tokenizer
from assets_data.domains.text.triples import make_triples
from assets_data.lineage import Snapshot, Store
from benchmarks.corpus import raw_slice_of, write_library
from benchmarks.result import save
from benchmarks.text_chain import make_trained_tokenizer

CONFIG = TextConfig()
TRAINING_MB = 8  # text the tokenizer is trained on
CORES = os.cpu_count() or 1


def batched(texts: list[str]) -> list[list[str]]:
    """Texts in batches of the size the stage uses."""
    batches, size = [[]], 0
    for text in texts:
        if size > CONFIG.triples.batch_bytes:
            batches.append([])
            size = 0
        batches[-1].append(text)
        size += len(text.encode())
    return batches


def encode_bare(tokenizer: Tokenizer, batches: list[list[str]]) -> int:
    """Tokens of all batches; the encodings are dropped."""
    return sum(len(e) for batch in batches for e in tokenizer.encode_batch_fast(batch, add_special_tokens=False))


def run_stages(store: Store, raw: Snapshot, tokenizer: Snapshot) -> Snapshot:
    """Documents and triples of the raw slice, in an empty store."""
    return make_triples(store, make_documents(store, raw, CONFIG), tokenizer, CONFIG)


def run_datasets(folder: Path, raw: Snapshot, tokenizer: Tokenizer, processes: int | None) -> None:
    """datasets.map from the raw slice's Parquet file to windows with a pivot."""
    import datasets

    def cut(rows: dict[str, Any]) -> dict[str, Any]:
        tokens, pivots = [], []
        for encoding in tokenizer.encode_batch_fast(rows["text"], add_special_tokens=False):
            ids = encoding.ids
            for begin in range(0, len(ids), CONFIG.triples.window):
                window = ids[begin : begin + CONFIG.triples.window]
                if len(window) >= CONFIG.triples.min_window:
                    pivots.append(len(window) // 2)
                    tokens.append([BOS, *window[: pivots[-1]], BOS, *window[pivots[-1] :], EOS])
        return {"tokens": tokens, "pivot": pivots}

    datasets.disable_progress_bars()
    features = datasets.Features(tokens=datasets.Sequence(datasets.Value("uint16")), pivot=datasets.Value("uint16"))
    path = str(raw.file("records.parquet"))
    rows = datasets.Dataset.from_parquet(path, cache_dir=str(folder / f"{time.monotonic_ns()}"), columns=["text"])
    rows.map(  # type: ignore[union-attr]
        cut, batched=True, remove_columns=["text"], features=features, num_proc=processes, new_fingerprint="0" * 16
    )


def run_datatrove(folder: Path, rows: Path, tokenizer: Path) -> None:
    """datatrove's tokenisation of Parquet files, one file and task per core."""
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.readers import ParquetReader
    from datatrove.pipeline.tokens import DocumentTokenizer

    target = folder / f"{time.monotonic_ns()}"
    write = DocumentTokenizer(str(target / "tokens"), str(tokenizer), shuffle_documents=False)
    pipeline = [ParquetReader(str(rows)), write]
    LocalPipelineExecutor(pipeline, tasks=CORES, workers=CORES, logging_dir=str(target / "logs")).run()


def write_shards(folder: Path, texts: list[str]) -> Path:
    """The texts as one Parquet file per core."""
    folder.mkdir()
    for core in range(CORES):
        part = texts[core::CORES]
        table = pa.table({"text": part, "id": list(map(str, range(len(part))))})
        pq.write_table(table, folder / f"{core}.parquet", compression="zstd", row_group_size=1000)
    return folder


def contenders(folder: Path, raw: Snapshot, tokenizer: Snapshot, texts: list[str]) -> dict[str, Callable[[], Any]]:
    """What is measured, by name; peers that are not installed are left out."""
    bare, batches = load_tokenizer(tokenizer), batched(texts)
    runs: dict[str, Callable[[], Any]] = {
        "bare": lambda: encode_bare(bare, batches),
        "stage": lambda: run_stages(Store(folder / f"{time.monotonic_ns()}"), raw, tokenizer),
    }
    if importlib.util.find_spec("datasets"):
        runs["datasets_threads"] = lambda: run_datasets(folder, raw, bare, None)
        runs["datasets_processes"] = lambda: run_datasets(folder, raw, bare, CORES)
    if importlib.util.find_spec("datatrove"):
        shards = write_shards(folder / "shards", texts)
        runs["datatrove"] = lambda: run_datatrove(folder, shards, tokenizer.file("tokenizer.json"))
    return runs


def measure(folder: Path, megabytes: float, rounds: int) -> dict[str, Any]:
    """Median rates and ratios."""
    store, names = Store(folder / "store"), {"training": TRAINING_MB, "text": megabytes}
    raw = {}
    for name, size in names.items():
        (folder / name).mkdir()
        write_library(folder / name / "rows.jsonl", size)
        raw[name] = raw_slice_of(store, folder / name / "rows.jsonl")
    tokenizer = make_trained_tokenizer(store, raw["training"], CONFIG)
    documents = make_documents(store, raw["text"], CONFIG)
    texts = [text for frame in read_documents(documents) for text in frame["text"]]
    runs = contenders(folder, raw["text"], tokenizer, texts)
    seconds, processor, results = {name: list[float]() for name in runs}, {name: list[float]() for name in runs}, {}
    for _ in range(rounds):
        for name, run in runs.items():
            os.environ["TOKENIZERS_PARALLELISM"] = "true"  # datasets leaves it off for the rest of the process
            began, used = time.perf_counter(), sum(os.times()[:4])
            results[name] = run()
            seconds[name].append(time.perf_counter() - began)
            processor[name].append(sum(os.times()[:4]) - used)
    tokens = dict.fromkeys(runs, results["bare"]) | {"stage": results["stage"].stats["tokens"]}
    rates, processor_rates = _rates(tokens, seconds), _rates(tokens, processor)
    processor_rates.pop("datatrove", None)  # its workers are children of a fork server: nobody here sees their seconds
    return {
        "text_mb": round(sum(map(len, texts)) / 1e6, 1),
        "documents": len(texts),
        "rounds": rounds,
        "tokens": {"text": results["bare"], "kept_by_stage": tokens["stage"]},
        "tokens_per_s": rates,
        "stage_over": _over(rates),
        "tokens_per_processor_s": processor_rates,
        "stage_over_by_processor_s": _over(processor_rates),
        "absent": [peer for peer in ("datasets", "datatrove") if not importlib.util.find_spec(peer)],
    }


def _rates(tokens: Mapping[str, Any], seconds: dict[str, list[float]]) -> dict[str, int]:
    return {name: round(tokens[name] / statistics.median(times)) for name, times in seconds.items()}


def _over(rates: dict[str, int]) -> dict[str, float]:
    return {name: round(rates["stage"] / rate, 3) for name, rate in rates.items() if name != "stage"}


def main() -> None:
    """Measure and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), options.megabytes, options.rounds)
    packages = ["tokenizers", "polars", "pyarrow", "datasets", "datatrove"]
    save("triples", [name for name in packages if importlib.util.find_spec(name)], figures)


if __name__ == "__main__":
    main()
