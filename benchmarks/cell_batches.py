"""Training batches of cells per second: stored in rank order and masked, beside one by one, sorting, and peers.

All give batches of 16 cells, in random order, of the same simulated dataset on one core. ``stored`` reads rows in rank
order, masks 15 in 100 and pads; ``slices`` only copies the rows; ``sorted`` ranks each batch anew and masks it;
``one by one`` does that cell by cell, with a dictionary of genes, as published pipelines do. Peers read the same cells
and neither rank nor mask: AnnLoader, which anndata has, scDataset where it is installed (rows of a sparse matrix in
memory, in random order), and annbatch is said to be missing where it is (it needs Python 3.12). Rates are by CPU time,
so that a busy machine changes them little.
Usage: ``python -m benchmarks.cell_batches [--cells 4000] [--genes 2000] [--seconds 3]``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from assets_data.domains.cells.config import CellsConfig, RawCellsConfig, SimulatedConfig, SplitConfig
from assets_data.domains.cells.matrix import make_matrix
from assets_data.domains.cells.raw_cells import make_raw_cells
from assets_data.domains.cells.read import open_cells, open_vocabulary
from assets_data.domains.cells.vocabulary import make_vocabulary
from assets_data.lineage import Store, keyed_order
from benchmarks.result import save
from training.recipes.cell_mlm.batches import make_batch
from training.recipes.cell_mlm.config import CellMlmConfig

BATCH, SHARE = 16, 0.15


def rate(make: Callable[[np.ndarray], Any], order: np.ndarray, seconds: float) -> dict[str, float]:
    """Batches and cells per CPU second of ``make(rows)`` over random rows, after one batch to warm up."""
    make(order[:BATCH])
    begun, done = time.process_time(), 0
    while (spent := time.process_time() - begun) < seconds:
        at = (done * BATCH) % (len(order) - BATCH)
        make(order[at : at + BATCH])
        done += 1
    return {"batches_per_s": round(done / spent, 1), "cells_per_s": round(done * BATCH / spent, 1)}


def one_by_one(
    columns: list[dict[str, int]], medians: dict[str, float], ids: dict[str, int], length: int
) -> Callable[[np.ndarray], Any]:
    """Each cell from a dictionary of counts: normalise, divide by medians, sort, cut, mask, pad."""
    draw = np.random.default_rng(0)

    def make(rows: np.ndarray) -> Any:
        tokens, masks = np.full((len(rows), length), -1), np.zeros((len(rows), length), bool)
        for place, row in enumerate(rows):
            cell = columns[row]
            total = sum(cell.values())
            ranked = sorted(((count / total * 1e4 / medians[gene], gene) for gene, count in cell.items()), reverse=True)
            names = [ids[gene] for _, gene in ranked][:length]
            tokens[place, : len(names)] = names
            masks[place, draw.choice(len(names), max(1, round(SHARE * len(names))), replace=False)] = True
        return torch.from_numpy(tokens), torch.from_numpy(masks)

    return make


def sorting(split: Any, vocabulary: Any, config: CellMlmConfig) -> Callable[[np.ndarray], Any]:
    """The vectorised batch with its rows shuffled and ranked again."""
    from training.recipes.cell_mlm.foreign import Remapped

    mapped = Remapped(cells=split, place=np.arange(len(vocabulary.names)), vocabulary=vocabulary)
    return lambda rows: make_batch(mapped, vocabulary, config, rows, np.zeros(len(rows), np.int64), False)


def peers(folder: Path, cells: Any, genes: int, order: np.ndarray, seconds: float) -> dict[str, Any]:
    """What is installed of them, on the same counts."""
    import anndata
    import pandas as pd
    import scipy.sparse as sp

    lengths, places, counts = cells.rows.take(np.arange(len(cells)))
    matrix = sp.csr_matrix(
        (counts.astype(np.float32), places.astype(np.int64), np.concatenate([[0], np.cumsum(lengths)])),
        shape=(len(cells), genes),
    )
    index = pd.Index([str(n) for n in range(len(cells))], dtype=object)
    names = pd.Index([f"g{n}" for n in range(genes)], dtype=object)
    data = anndata.AnnData(matrix, obs=pd.DataFrame(index=index), var=pd.DataFrame(index=names))
    data.write_h5ad(folder / "cells.h5ad")
    found: dict[str, Any] = {}
    backed = anndata.read_h5ad(folder / "cells.h5ad", backed="r")
    found["anndata backed, rows by fancy index"] = rate(
        lambda rows: backed[np.sort(rows)].to_memory().X, order, seconds
    )
    try:
        from anndata.experimental import AnnLoader

        loader = AnnLoader(data, batch_size=BATCH, shuffle=True, use_cuda=False)
        found["AnnLoader, in memory"] = rate(following(loader, lambda batch: batch.X), order, seconds)
    except Exception as error:  # a peer that does not run here is said to be one
        found["AnnLoader, in memory"] = f"does not run here: {type(error).__name__}: {error}"
    here = f"not installed: every release asks for Python 3.12 or later, this is {sys.version.split()[0]}"
    found["annbatch"] = "installed, not measured" if find_spec("annbatch") else here
    if find_spec("scdataset") is None:
        return found | {"scDataset, in memory": "not installed"}
    from scdataset import BlockShuffling, scDataset

    stream = scDataset(
        matrix, BlockShuffling(block_size=1, indices=np.arange(len(cells))), batch_size=BATCH, fetch_factor=16, seed=0
    )
    return found | {"scDataset, in memory": rate(following(stream, lambda batch: batch), order, seconds)}


def following(loader: Any, taken: Callable[[Any], Any]) -> Callable[[np.ndarray], Any]:
    """The next batch of a loader that chooses its own rows, from the start again at its end."""

    def endless() -> Iterator[Any]:
        while True:
            yield from loader

    stream = endless()
    return lambda rows: taken(next(stream))


def main() -> None:
    """Measure in one run and save."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--cells", type=int, default=4000)
    arguments.add_argument("--genes", type=int, default=2000)
    arguments.add_argument("--seconds", type=float, default=3.0)
    options = arguments.parse_args()
    torch.set_num_threads(1)
    simulated = SimulatedConfig(datasets=1, cells=options.cells, genes=options.genes)
    config = CellsConfig(split=SplitConfig(validation_share=0.1, test_share=0.1))
    with tempfile.TemporaryDirectory() as name:
        store = Store(Path(name) / "store")
        raw = make_raw_cells(store, "sim-0", RawCellsConfig(source="simulated", simulated=simulated))
        learned = make_vocabulary(store, {"sim-0": raw}, config)
        matrix = make_matrix(store, raw, learned, config)
        cells, vocabulary = open_cells({"sim-0": matrix}, "train"), open_vocabulary(learned)
        order = keyed_order(0, 0, cells.row_keys)
        model = CellMlmConfig()
        lengths, places, counts = cells.rows.take(np.arange(len(cells)))
        ends = np.cumsum(lengths)
        names = list(vocabulary.names)
        columns = [
            {names[g]: int(c) for g, c in zip(places[e - n : e], counts[e - n : e], strict=True)}
            for e, n in zip(ends, lengths, strict=True)
        ]
        medians = dict(zip(names, map(float, vocabulary.medians), strict=True))
        ids = {gene: place for place, gene in enumerate(names)}
        zero = np.zeros(BATCH, np.int64)
        figures: dict[str, Any] = {
            "genes_per_cell": round(float(lengths.mean()), 1),
            "one by one": rate(one_by_one(columns, medians, ids, model.tokens.length), order, options.seconds),
            "sorted": rate(sorting(cells, vocabulary, model), order, options.seconds),
            "stored": rate(
                lambda rows: make_batch(cells, vocabulary, model, rows, zero, False), order, options.seconds
            ),
            "slices": rate(cells.rows.take, order, options.seconds),
            "peers, neither ranked nor masked": peers(Path(name), cells, len(names), order, options.seconds),
        }
    figures["stored_over_one_by_one"] = round(
        figures["stored"]["batches_per_s"] / figures["one by one"]["batches_per_s"], 2
    )
    save("cell_batches", ["anndata", "numpy", "pyarrow", "torch"], figures)


if __name__ == "__main__":
    main()
