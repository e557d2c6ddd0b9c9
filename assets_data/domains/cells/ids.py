"""What a cell is called: digests of who it is and of what was counted in it.

``record_id`` is SHA-256 over a tag, the names of dataset, cell and donor (each with its length before it), the total,
and the counts as (first 8 bytes of SHA-256 of the gene's name, count), sorted: so neither the order of columns nor
genes without a count are in it. ``content_id`` leaves the names out: a cell published twice has one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np

from assets_data.domains.cells.cells import Chunk
from assets_data.lineage import DataError

RECORD, CONTENT = b"stemma/cell/1", b"stemma/cell-content/1"
_PAIR = np.dtype([("gene", ">u8"), ("count", ">u4")])


def cell_ids(dataset: str, chunk: Chunk, gene_keys: np.ndarray) -> tuple[list[str], list[str]]:
    """``(record ids, content ids)``, 64 hex characters each. Raises DataError CELL_COUNT_SIZE for a count past 2^32."""
    records, contents = [], []
    about = zip(chunk.about["cell"], chunk.about["donor"], strict=True)
    for (cell, donor), said in zip(about, _said(chunk, gene_keys), strict=True):
        names = b"".join(len(name).to_bytes(4, "big") + name for name in map(str.encode, (dataset, cell, donor)))
        records.append(hashlib.sha256(RECORD + names + said).hexdigest())
        contents.append(hashlib.sha256(CONTENT + said).hexdigest())
    return records, contents


def _said(chunk: Chunk, gene_keys: np.ndarray) -> Iterator[bytes]:
    """Total and sorted pairs of every cell."""
    if len(chunk.counts) and int(chunk.counts.max()) >= 1 << 32:
        raise DataError("CELL_COUNT_SIZE", "a count does not fit 32 bits", found=int(chunk.counts.max()))
    row = np.repeat(np.arange(len(chunk)), np.diff(chunk.indptr))
    keys = gene_keys[chunk.indices]
    order = np.lexsort((keys, row))
    pairs = np.empty(len(order), _PAIR)
    pairs["gene"], pairs["count"] = keys[order], chunk.counts[order]
    data, width = pairs.tobytes(), _PAIR.itemsize
    for place, total in enumerate(chunk.totals.tolist()):
        yield total.to_bytes(8, "big") + data[chunk.indptr[place] * width : chunk.indptr[place + 1] * width]
