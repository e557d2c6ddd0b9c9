"""The smoke preset's chain by plain functions, over a folder with one file per text, trained for fewer updates."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from assets_data.domains.text.config import smoke as text
from assets_data.domains.text.manifest import make_dataset_manifest
from assets_data.domains.text.quality_summary import make_quality_summary
from assets_data.domains.text.raw_slice import make_raw_slice
from assets_data.domains.text.walks.config import smoke as walks
from assets_data.domains.text.walks.corpus import make_walk_corpus
from assets_data.lineage import Snapshot, Store, with_overrides
from assets_data.sources.config import FilesConfig, SourceConfig
from assets_data.sources.config import smoke as library
from assets_data.sources.sources import slice_names
from benchmarks.text_chain import make_text
from training.recipe import discover
from training.stages import make_checkpoint, make_gate_report, make_preflight_report

UPDATES = 40
SHORTER = {
    "train.updates": UPDATES,
    "train.schedule.warmup": 20,
    "train.batch_rows": 64,
    "train.checkpoint_every": 2,
    "train.keep_checkpoints": UPDATES // 2,
    "train.max_val_samples": 64,
}


def write_texts(store: Store, folder: Path) -> dict[str, list[str]]:
    """One file per record of the smoke slices, in a folder per slice; record id to the files that hold it."""
    files: dict[str, list[str]] = {}
    for name in slice_names(library()):
        (folder / name).mkdir(parents=True)
        records = make_raw_slice(store, name, library()).table("records.parquet").select(["record_id", "text"])
        for number, row in enumerate(records.to_pylist()):
            file = f"{name}/{number:04}.jsonl"
            (folder / file).write_text(json.dumps({"text": row["text"]}) + "\n")
            files.setdefault(row["record_id"], []).append(file)
    return files


def make_chain(store: Store, recipe: str, folder: Path, learners: Mapping[str, Snapshot]) -> dict[str, Snapshot]:
    """The chain over ``folder`` by plain functions, name to snapshot; under the given tokenizer and graph, if any."""
    raw = {p.name: make_raw_slice(store, "files-0", _source(p)) for p in sorted(folder.iterdir())}
    made = make_text(store, raw, text(), learners.get("text/tokenizer"))
    corpus = learners.get("text/walk_corpus") or make_walk_corpus(store, made.triples, made.tokenizer, walks())
    nodes = {
        **made.named(),
        "text/walk_corpus": corpus,
        "text/dataset_manifest": make_dataset_manifest(store, made.triples, made.tokenizer),
        "text/quality_summary": make_quality_summary(store, raw, made.triples),
    }
    return {**nodes, **train(store, recipe, nodes)}


def train(store: Store, name: str, nodes: Mapping[str, Snapshot]) -> dict[str, Snapshot]:
    """The recipe's three nodes, over what it reads of ``nodes``."""
    recipe = discover()[name]
    inputs = {given: nodes[read.kind] for given, read in recipe.inputs.items()}
    preflight = make_preflight_report(store, recipe, inputs, with_overrides(recipe.presets["smoke"](), SHORTER))
    checkpoint = make_checkpoint(store, recipe, inputs, preflight)
    report = make_gate_report(store, recipe, inputs, preflight, checkpoint)
    return {f"{name}/preflight_report": preflight, f"{name}/checkpoint": checkpoint, f"{name}/gate_report": report}


def _source(folder: Path) -> SourceConfig:
    files = FilesConfig(root=str(folder), patterns=("*.jsonl",), licence="PSF-2.0")
    return SourceConfig(source="files", shards=1, files=files)
