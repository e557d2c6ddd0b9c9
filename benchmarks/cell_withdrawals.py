"""Random donors and cells withdrawn from trained chains, one at a time, against runs that never held them.

The cells are the smoke preset's simulated tissue as .h5ad files, so that files without a donor or a cell can be read
from scratch; the recipe trains for a few updates. Every withdrawal begins from a copy of the same finished store,
learners made again. Looked for afterwards: the ids in every table of every live snapshot, and the counts themselves.
Usage: ``python -m benchmarks.cell_withdrawals [--donors 20] [--cells 20]``.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import scipy.sparse as sp

from assets_data.domains.cells.config import CELLS, SOURCES, FilesConfig, RawCellsConfig
from assets_data.domains.cells.manifest import make_dataset_manifest
from assets_data.domains.cells.matrix import make_matrix
from assets_data.domains.cells.raw_cells import make_raw_cells
from assets_data.domains.cells.simulated import open_simulated
from assets_data.domains.cells.sources import slice_names
from assets_data.domains.cells.vocabulary import make_vocabulary
from assets_data.lineage import Snapshot, Store, with_overrides
from benchmarks.result import save
from benchmarks.withdrawal_truth import records_named
from pipeline_defs.answers.withdrawal.apply import apply_plan
from pipeline_defs.answers.withdrawal.command import records_where
from pipeline_defs.answers.withdrawal.plan import REBUILD, make_plan
from training.recipe import discover
from training.stages import make_checkpoint, make_preflight_report

RECIPE = discover()["cell_mlm"]
SHORT = {"train.updates": 4, "train.batch_rows": 8, "train.schedule.warmup": 0, "train.checkpoint_every": 1}
SHORT |= {"train.monitor_every": 0, "train.validate_every": 0, "gate.prediction": False}


def write_files(folder: Path, column: str = "", value: str = "") -> None:
    """The simulated datasets as .h5ad, without the cells of which ``column`` says ``value``."""
    folder.mkdir()
    config = replace(SOURCES["smoke"]().simulated, donors=24, cells=240)
    for name in slice_names(SOURCES["smoke"]()):
        source = open_simulated(config, name)
        (chunk,) = source.chunks(config.cells)
        counts = sp.csr_matrix((chunk.counts, chunk.indices, chunk.indptr), shape=(len(chunk), len(source.genes)))
        kept = np.array([not column or said != value for said in chunk.about[column or "cell"]])
        about = {field: _categories(said, kept) for field, said in chunk.about.items() if field != "cell"}
        obs = pd.DataFrame(about, index=pd.Index(np.array(chunk.about["cell"], object)[kept], dtype=object))
        var = pd.DataFrame(index=pd.Index(list(source.genes), dtype=object))
        anndata.AnnData(counts[kept].astype(np.float32), obs=obs, var=var).write_h5ad(folder / f"{name}.h5ad")


def _categories(values: Sequence[str], kept: np.ndarray) -> pd.Categorical:
    return pd.Categorical(np.array(values, object)[kept], categories=pd.Index(sorted(set(values)), dtype=object))


def make_chain(store: Store, folder: Path) -> Snapshot:
    """Files to checkpoint; every name points at what was made."""
    source = RawCellsConfig(source="files", files=FilesConfig(root=str(folder)))
    config = CELLS["smoke"]()
    raw = {name: make_raw_cells(store, name, source) for name in slice_names(source)}
    vocabulary = make_vocabulary(store, raw, config)
    matrices = {name: make_matrix(store, cells, vocabulary, config) for name, cells in raw.items()}
    manifest = make_dataset_manifest(store, matrices, vocabulary)
    preflight = make_preflight_report(
        store, RECIPE, {"manifest": manifest}, with_overrides(RECIPE.presets["smoke"](), SHORT)
    )
    checkpoint = make_checkpoint(store, RECIPE, {"manifest": manifest}, preflight)
    for name in raw:
        store.point(f"cells/raw_cells/{name}", raw[name])
        store.point(f"cells/matrix/{name}", matrices[name])
    for snapshot in (vocabulary, manifest, preflight, checkpoint):
        store.point(snapshot.kind, snapshot)
    return checkpoint


def still_there(store: Store, records: Collection[bytes], counts: Collection[tuple[int, ...]]) -> int:
    """Live snapshots that name a record or hold a cell's counts."""
    gone, found = {record.hex() for record in records}, 0
    for name in store.all_names():
        snapshot = store.pointed(name)
        held = bool(gone & records_named(snapshot.path))
        for file in snapshot.files:
            if Path(file).suffix in (".parquet", ".arrow") and "counts" in (table := snapshot.table(file)).column_names:
                held |= any(tuple(sorted(cell)) in counts for cell in table["counts"].to_pylist())
        found += held
    return found


def one(base: Path, column: str, value: str) -> dict[str, int]:
    """One withdrawal on a copy of the finished store, and the run that never held it."""
    work = Path(tempfile.mkdtemp(dir=base))
    store = Store(work / "copy")
    shutil.copytree(base / "store", store.root)
    raw = [store.pointed(name) for name in store.all_names() if name.startswith("cells/raw_cells/")]
    records = records_where(raw, column, value)
    tables = [snapshot.table("cells.parquet").select(["record_id", "counts"]).to_pylist() for snapshot in raw]
    every = Counter(tuple(sorted(row["counts"])) for table in tables for row in table)
    own = Counter(tuple(sorted(r["counts"])) for t in tables for r in t if bytes.fromhex(r["record_id"]) in records)
    counts = {cell for cell, times in own.items() if every[cell] == times and len(cell) > 20}
    before = store.pointed("cell_mlm/checkpoint").id
    apply_plan(store, make_plan(store, records, REBUILD))
    after = store.pointed("cell_mlm/checkpoint").id
    write_files(work / "files", column, value)
    never = make_chain(Store(work / "never"), work / "files")
    outcome = {
        "withdrawals": 1,
        "records": len(records),
        "bit_equal_checkpoints": int(after == never.id),
        "checkpoints_that_changed": int(after != before),
        "live_snapshots_that_still_hold_something": still_there(store, records, counts),
        "counts_looked_for": len(counts),
    }
    shutil.rmtree(work)
    return outcome


def main() -> None:
    """Withdraw and save."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--donors", type=int, default=20)
    arguments.add_argument("--cells", type=int, default=20)
    options = arguments.parse_args()
    draw = random.Random(0)
    with tempfile.TemporaryDirectory() as name:
        base, folder = Path(name), Path(name) / "files"
        write_files(folder)
        with contextlib.redirect_stdout(sys.stderr):
            make_chain(Store(base / "store"), folder)
        store = Store(base / "store")
        raw = [store.pointed(n).table("cells.parquet") for n in store.all_names() if n.startswith("cells/raw_cells/")]
        donors = sorted({donor for table in raw for donor in table["donor"].to_pylist()})
        cells = sorted({cell for table in raw for cell in table["cell"].to_pylist()})
        figures = {}
        for column, names, number in (("donor", donors, options.donors), ("cell", cells, options.cells)):
            total: Counter[str] = Counter()
            for value in draw.sample(names, min(number, len(names))):
                with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                    total.update(one(base, column, value))
                print(column, value, dict(total), file=sys.stderr, flush=True)
            figures[column] = dict(total)
    save("cell_withdrawals", ["anndata", "pyarrow", "torch"], figures)


if __name__ == "__main__":
    main()
