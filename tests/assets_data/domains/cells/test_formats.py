"""However a file stores its counts, the cells read are the same; what is no count is refused by name."""

import numpy as np
import pytest
import scipy.sparse as sp

from assets_data.domains.cells import opened
from assets_data.domains.cells.config import GenesConfig
from assets_data.lineage import DataError
from tests.assets_data.domains.cells import files


def wide(matrix):
    matrix.indptr = matrix.indptr.astype(np.int64)
    matrix.indices = matrix.indices.astype(np.int64)
    return matrix


STORED = {
    "csr": sp.csr_matrix,
    "csc": sp.csc_matrix,
    "dense": np.asarray,
    "64-bit offsets": lambda counts: wide(sp.csr_matrix(counts)),
    "64-bit columns": lambda counts: wide(sp.csc_matrix(counts)),
    "integers": lambda counts: sp.csr_matrix(counts.astype(np.int32)),
}


def records(snapshot):
    return snapshot.table("cells.parquet")["record_id"].to_pylist()


@pytest.fixture
def expected(tmp_path, counts):
    (tmp_path / "expected").mkdir()
    files.write_h5ad(tmp_path / "expected" / "one.h5ad", sp.csr_matrix(counts.astype(np.float32)))
    return files.raw(tmp_path / "expected", "one")


@pytest.mark.parametrize("kind", STORED)
@pytest.mark.parametrize("suffix", ["h5ad", "zarr"])
def test_how_a_matrix_is_stored_changes_nothing(tmp_path, counts, expected, kind, suffix, monkeypatch):
    monkeypatch.setattr(opened, "BLOCK", 101)
    data = files.adata(STORED[kind](counts.astype(np.float32)))
    getattr(data, f"write_{suffix}")(tmp_path / f"one.{suffix}")
    found = files.raw(tmp_path, "one")
    assert (files.dense_of(found) == counts).all() and records(found) == records(expected)
    assert {name: found.stats[name] for name in ("read", "rows", "empty", "duplicate")} == {
        "read": 60, "rows": 60, "empty": 0, "duplicate": 0,
    }  # fmt: skip


def test_loom_says_the_same(tmp_path, counts, expected):
    files.write_loom(tmp_path / "one.loom", counts)
    assert records(files.raw(tmp_path, "one")) == records(expected)


@pytest.mark.parametrize("packed", [False, True])
def test_10x_files_say_the_same_but_know_no_donor(tmp_path, counts, packed):
    (tmp_path / "a").mkdir()
    files.write_10x_h5(tmp_path / "a" / "one.h5", counts)
    files.write_10x_folder(tmp_path / "b" / "one", counts, packed)
    one, other = files.raw(tmp_path / "a", "one"), files.raw(tmp_path / "b", "one")
    assert (files.dense_of(one) == counts).all() and records(one) == records(other)
    assert set(one.table("cells.parquet")["group_id"].to_pylist()) == {"one"}


def test_repeated_entries_are_added_and_explicit_zeros_are_none(tmp_path, counts, expected):
    coo = sp.coo_matrix(counts.astype(np.float32))
    halves = [(coo.data - coo.data // 2), coo.data // 2]
    row, column = np.tile(coo.row, 2), np.tile(coo.col, 2)
    order = np.argsort(row, kind="stable")
    indptr = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=60))])
    repeated = sp.csr_matrix((np.concatenate(halves)[order], column[order], indptr), shape=counts.shape)
    assert repeated.nnz == 2 * coo.nnz and (repeated.data == 0).any()
    files.write_h5ad(tmp_path / "one.h5ad", repeated)
    assert records(files.raw(tmp_path, "one")) == records(expected)


def test_duplicate_barcodes_are_cells_of_their_own_and_counted(tmp_path, counts):
    cells = [f"AAAC{number // 2:04}-1" for number in range(60)]
    with pytest.warns(UserWarning, match="not unique"):
        files.write_h5ad(tmp_path / "one.h5ad", sp.csr_matrix(counts), cells=cells)
    found = files.raw(tmp_path, "one")
    assert found.stats["rows"] == 60 and found.stats["barcodes_twice"] == 30 and len(set(records(found))) == 60


def test_a_cell_that_is_there_twice_is_kept_once_and_an_empty_one_is_left_out_and_counted(tmp_path, counts):
    counts = np.vstack([counts, counts[:5], np.zeros((3, 40), int)])
    files.write_h5ad(tmp_path / "one.h5ad", sp.csr_matrix(counts))
    found = files.raw(tmp_path, "one")
    assert {k: found.stats[k] for k in ("read", "rows", "empty", "duplicate", "withdrawn")} == {
        "read": 68, "rows": 60, "empty": 3, "duplicate": 5, "withdrawn": 0,
    }  # fmt: skip
    assert found.table("repeats.parquet").num_rows == 5


def test_duplicate_genes_are_summed_by_name_or_refused(tmp_path, counts):
    genes = ["Twice", *files.GENES[1:39], "Twice"]
    with pytest.warns(UserWarning, match="not unique"):
        files.write_h5ad(tmp_path / "one.h5ad", sp.csr_matrix(counts), genes=genes)
    found = files.raw(tmp_path, "one")
    assert found.read_json("source.json")["summed"] == ["Twice"]
    assert (files.dense_of(found)[:, 0] == counts[:, 0] + counts[:, 39]).all()
    with pytest.raises(DataError, match="CELL_GENES_DUPLICATE"):
        files.raw(tmp_path, "one", genes_config=GenesConfig(duplicates="refuse"))


def test_versions_of_one_gene_are_summed(tmp_path, counts):
    genes = [f"ENSG{number // 2:011}.{number % 2 + 1}" for number in range(40)]
    files.write_h5ad(tmp_path / "one.h5ad", sp.csr_matrix(counts), genes=genes)
    found = files.raw(tmp_path, "one")
    assert found.read_json("source.json")["naming"] == "ensembl"
    assert (files.dense_of(found) == counts.reshape(60, 20, 2).sum(2)).all()


def logs(counts, scale=1e4, decimals=None):
    values = np.log1p(scale * counts / counts.sum(1, keepdims=True))
    return values if decimals is None else np.round(values, decimals)


WRONG = {
    "negative": (lambda c: c - 1.0, "negative"),
    "not a number": (lambda c: np.where(c == c.max(), np.nan, c), "not a number"),
    "infinite": (lambda c: np.where(c == c.max(), np.inf, c), "not a number"),
    "log1p": (logs, "log1p of scaled counts"),
    "double log": (lambda c: np.log1p(logs(c)), "log1p applied twice"),
    "scaled": (lambda c: 1e4 * c / c.sum(1, keepdims=True), "scaled counts"),
    "centred": (lambda c: c - c.mean(0), "negative"),
    "halves": (lambda c: c / 2, "not whole numbers"),
}


@pytest.mark.parametrize("stored", ["csr", "csc", "dense"])
@pytest.mark.parametrize("kind", WRONG)
def test_what_is_no_count_is_refused_and_named(tmp_path, counts, kind, stored):
    change, says = WRONG[kind]
    files.write_h5ad(tmp_path / "one.h5ad", STORED[stored](change(counts.astype(np.float64))))
    with pytest.raises(DataError, match="CELL_NOT_COUNTS") as caught:
        files.raw(tmp_path, "one")
    assert says in str(caught.value) and "one.h5ad" in str(caught.value)


def with_totals(path, values, counts):
    data = files.adata(sp.csr_matrix(values))
    data.obs["n_counts"] = counts.sum(1).astype(np.float32)
    data.write_h5ad(path)


RECOVER = {"recover": "log1p", "total": "n_counts"}


@pytest.mark.parametrize("decimals", [None, 5, 4])
def test_counts_come_back_from_logarithms(tmp_path, counts, expected, decimals):
    with_totals(tmp_path / "one.h5ad", logs(counts, decimals=decimals).astype(np.float32), counts)
    found = files.raw(tmp_path, "one", **RECOVER, decimals=decimals or 0)
    assert (files.dense_of(found) == counts).all() and records(found) == records(expected)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: logs(c, scale=1e6),
        lambda c: np.log1p(logs(c)),
        lambda c: logs(c) / np.log(2),
        lambda c: logs(c, decimals=1),
        lambda c: -logs(c),
        lambda c: np.where(c > 0, np.nan, 0),
        lambda c: c.astype(float),
    ],
    ids=["per million", "double log", "log2", "too coarse", "negative", "not a number", "counts themselves"],
)
def test_a_recovery_that_is_not_exact_is_refused(tmp_path, counts, change):
    with_totals(tmp_path / "one.h5ad", change(counts), counts)
    with pytest.raises(DataError, match="CELL_RECOVERY"):
        files.raw(tmp_path, "one", **RECOVER, decimals=4)


def test_a_recovery_needs_the_totals_and_no_total_is_below_its_counts(tmp_path, counts):
    with_totals(tmp_path / "one.h5ad", logs(counts), counts)
    with pytest.raises(DataError, match="CELL_COLUMN"):
        files.raw(tmp_path, "one", recover="log1p")
    with_totals(tmp_path / "one.h5ad", counts, counts * (np.arange(40) > 3))
    with pytest.raises(DataError, match="CELL_TOTAL"):
        files.raw(tmp_path, "one", total="n_counts")


@pytest.mark.parametrize("layer", ["", "counts", "raw.X"])
def test_a_layer_is_named_or_refused_with_those_there_are(tmp_path, counts, expected, layer):
    data = files.adata(sp.csr_matrix(counts))
    if layer:
        data.layers["counts"] = data.X.copy()
        data.raw = data.copy()
        data.X = sp.csr_matrix(logs(counts))
    data.write_h5ad(tmp_path / "one.h5ad")
    assert records(files.raw(tmp_path, "one", layer=layer)) == records(expected)
    with pytest.raises(DataError, match=r"CELL_COLUMN.*X"):
        files.raw(tmp_path, "one", layer="nowhere")


@pytest.mark.parametrize("name", ["one.h5ad", "one.loom", "one.h5", "one/matrix.mtx"])
def test_a_broken_file_is_refused_with_its_path(tmp_path, name):
    (tmp_path / "one").mkdir()
    (tmp_path / name).write_bytes(b"nonsense")
    with pytest.raises(DataError, match="CELL_FORMAT") as caught:
        files.raw(tmp_path, "one")
    assert "one" in str(caught.value)


def test_offsets_that_lead_nowhere_are_refused(tmp_path, counts):
    import h5py

    for name, value in (("indptr", 10**6), ("indices", 10**6)):
        path = tmp_path / "one.h5ad"
        files.write_h5ad(path, sp.csr_matrix(counts))
        with h5py.File(path, "a") as file:
            file[f"X/{name}"][-1] = value
        with pytest.raises(DataError, match="CELL_FORMAT"):
            files.raw(tmp_path, "one")


def test_a_folder_without_cells_and_names_that_clash_are_refused(tmp_path, counts):
    with pytest.raises(DataError, match="CELL_NO_FILES"):
        files.raw(tmp_path, "one")
    files.write_h5ad(tmp_path / "one.h5ad", sp.csr_matrix(counts))
    files.write_loom(tmp_path / "one.loom", counts)
    with pytest.raises(DataError, match="CELL_FILE_NAME"):
        files.raw(tmp_path, "one")
