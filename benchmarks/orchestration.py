"""What Dagster costs: the smoke chain through ``stemma run`` against the same functions called one after the other.

Both in processes of their own, in turn, each in an empty store; whole-process wall seconds, imports included.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from assets_data.lineage import Store
from assets_data.lineage.receipts.code import ROOT
from benchmarks.result import save

PAIRS = 3


def run_plain(store: Store) -> None:
    """The whole smoke chain as plain function calls."""
    from assets_data.domains.text.config import smoke as text
    from assets_data.domains.text.manifest import make_dataset_manifest
    from assets_data.domains.text.quality_summary import make_quality_summary
    from assets_data.domains.text.raw_slice import make_raw_slice
    from assets_data.domains.text.walks.config import PRESETS as WALKS
    from assets_data.domains.text.walks.corpus import make_walk_corpus
    from assets_data.sources.config import smoke as source
    from assets_data.sources.sources import slice_names
    from benchmarks.text_chain import make_text
    from training.recipe import discover
    from training.stages import make_checkpoint, make_gate_report, make_preflight_report

    raw = {name: make_raw_slice(store, name, source()) for name in slice_names(source())}
    made = make_text(store, raw, text())
    walks = make_walk_corpus(store, made.triples, made.tokenizer, WALKS["smoke"]())
    manifest = make_dataset_manifest(store, made.triples, made.tokenizer)
    make_quality_summary(store, raw, made.triples)
    recipe, inputs = discover()["walk_lm"], {"manifest": manifest, "walk_corpus": walks}
    preflight = make_preflight_report(store, recipe, inputs, recipe.presets["smoke"]())
    checkpoint = make_checkpoint(store, recipe, inputs, preflight)
    make_gate_report(store, recipe, inputs, preflight, checkpoint)


def seconds(command: list[str], root: Path) -> float:
    """Wall seconds of one command on an empty root."""
    started = time.perf_counter()
    subprocess.run(
        command, cwd=ROOT, check=True, capture_output=True, env={"PATH": "/usr/bin:/bin", "STEMMA_ROOT": str(root)}
    )
    return time.perf_counter() - started


def main() -> None:
    """Measure the pairs and save the result."""
    plain, orchestrated = [], []
    for _ in range(PAIRS):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            plain.append(seconds([sys.executable, "-m", "benchmarks.orchestration", "--plain"], root / "plain"))
            chain = [sys.executable, "-m", "pipeline_defs.commands.cli", "run", "--preset", "smoke"]
            orchestrated.append(seconds(chain, root / "dagster"))
    difference = [b - a for a, b in zip(plain, orchestrated, strict=True)]
    save(
        "orchestration",
        ["dagster", "torch", "polars"],
        {
            "preset": "smoke, four slices",
            "pairs": PAIRS,
            "plain_s": statistics.median(plain),
            "dagster_s": statistics.median(orchestrated),
            "overhead_s": {"median": statistics.median(difference), "max": max(difference)},
        },
    )


if __name__ == "__main__":
    if sys.argv[1:] == ["--plain"]:
        import os

        run_plain(Store(Path(os.environ["STEMMA_ROOT"]) / "store"))
    else:
        main()
