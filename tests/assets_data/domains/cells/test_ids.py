"""What a cell is called: who it is and what was counted, and nothing else."""

import dataclasses

import numpy as np
import pytest

from assets_data.domains.cells.cells import Chunk, sparse_rows
from assets_data.domains.cells.config import GenesConfig, SimulatedConfig
from assets_data.domains.cells.genes import read_genes
from assets_data.domains.cells.ids import cell_ids
from assets_data.domains.cells.raw_cells import make_raw_cells
from assets_data.domains.cells.simulated import Tissue, gene_names
from assets_data.lineage import DataError, Store
from tests.cells_dataset import SOURCES

GENES = [f"G{number}" for number in range(12)]


def chunk(counts, donor="D1", totals=None):
    counts = np.asarray(counts)
    indptr, indices, values = sparse_rows(counts)
    about = {"cell": [f"c{n}" for n in range(len(counts))], "donor": [donor] * len(counts)}
    about |= {name: [""] * len(counts) for name in ("batch", "label", "perturbation")}
    totals = counts.sum(1) if totals is None else totals
    return Chunk(about=about, indptr=indptr, indices=indices, counts=values, totals=totals)


def ids(counts, names=GENES, dataset="d", **more):
    genes = read_genes(names, GenesConfig(), "here")
    return cell_ids(dataset, genes.columns(chunk(counts, **more)), genes.keys)


COUNTS = np.random.default_rng(0).poisson(0.7, (30, 12))


def test_neither_the_order_of_columns_nor_genes_without_a_count_change_an_id():
    order = np.random.default_rng(1).permutation(12)
    assert ids(COUNTS) == ids(COUNTS[:, order], [GENES[place] for place in order])
    assert ids(COUNTS) == ids(np.hstack([COUNTS, np.zeros((30, 3), int)]), [*GENES, "X", "Y", "Z"])
    assert len(set(ids(COUNTS)[0])) == 30


def test_each_part_of_what_is_said_changes_the_record_and_only_counts_change_the_content():
    records, contents = ids(COUNTS)
    more = COUNTS.copy()
    more[3, 0] += 1
    for other in (ids(COUNTS, dataset="e"), ids(COUNTS, donor="D2")):
        assert not set(other[0]) & set(records) and other[1] == contents
    changed = ids(more)
    assert [n for n in range(30) if changed[1][n] != contents[n]] == [3]
    totals = COUNTS.sum(1)
    assert ids(COUNTS, totals=totals + (np.arange(30) == 5))[1][5] != contents[5]
    renamed = ids(COUNTS, ["other", *GENES[1:]])
    assert [n for n in range(30) if renamed[0][n] != records[n]] == np.flatnonzero(COUNTS[:, 0]).tolist()


def test_names_and_their_borders_are_told_apart():
    first = dataclasses.replace(chunk(COUNTS[:1]), about={**chunk(COUNTS[:1]).about, "cell": ["ab"], "donor": ["c"]})
    other = dataclasses.replace(first, about={**first.about, "cell": ["a"], "donor": ["bc"]})
    genes = read_genes(GENES, GenesConfig(), "here")
    assert cell_ids("d", first, genes.keys)[0] != cell_ids("d", other, genes.keys)[0]


@pytest.mark.parametrize("size", [1, 7, 160])
def test_the_size_of_chunks_changes_no_snapshot(tmp_path, size):
    source = SOURCES["smoke"]()
    whole = make_raw_cells(Store(tmp_path / "a"), "sim-0", source)
    parts = make_raw_cells(Store(tmp_path / "b"), "sim-0", dataclasses.replace(source, chunk=size))
    assert whole.id == parts.id


def test_versions_are_cut_off_ensembl_ids_alone_and_case_is_kept():
    names = ["ENSG00000141510.18", "ENSMUSG00000059552.3", "ENSG00000000003", "AC012345.6", "Trp53"]
    assert read_genes(names, GenesConfig(naming="ensembl"), "").names == [
        "ENSG00000141510", "ENSMUSG00000059552", "ENSG00000000003", "AC012345.6", "Trp53",
    ]  # fmt: skip
    assert read_genes(names, GenesConfig(), "").naming == "ensembl"
    assert read_genes(["AC012345.6", "Trp53"], GenesConfig(), "").names == ["AC012345.6", "Trp53"]


def test_genes_of_one_name_are_summed_or_refused():
    names = ["ENSG00000141510.1", "ENSG00000000003.2", "ENSG00000141510.2"]
    genes = read_genes(names, GenesConfig(), "here")
    assert genes.duplicates == ["ENSG00000141510"]
    summed = genes.columns(chunk([[1, 0, 2], [0, 3, 0], [4, 1, 0]]))
    assert (summed.indptr.tolist(), summed.indices.tolist(), summed.counts.tolist()) == (
        [0, 1, 2, 4],
        [0, 1, 0, 1],
        [3, 3, 4, 1],
    )
    assert cell_ids("d", summed, genes.keys) == ids([[3, 0], [0, 3], [4, 1]], genes.names)
    with pytest.raises(DataError, match="CELL_GENES_DUPLICATE"):
        read_genes(names, GenesConfig(duplicates="refuse"), "here")


def test_a_map_of_names_is_a_file_with_a_digest(tmp_path):
    (tmp_path / "map.tsv").write_text("TP53\tENSG00000141510\n")
    config = GenesConfig(map=str(tmp_path / "map.tsv"))
    assert read_genes(["TP53", "X"], config, "").names == ["ENSG00000141510", "X"]
    (tmp_path / "map.tsv").write_text("TP53 ENSG\n")
    with pytest.raises(DataError, match="CELL_GENES_MAP"):
        read_genes(["TP53"], config, "")


def test_simulated_counts_follow_their_rates_and_a_knock_down_moves_the_targets():
    config = SimulatedConfig(cells=4000, genes=80, regulators=10, types=2, donors=4, knockdown_share=0.5)
    tissue = Tissue(config)
    (cells,) = list(tissue.chunks("sim-0", 4000))
    dense = np.zeros((4000, 80), np.int64)
    dense[np.repeat(np.arange(4000), np.diff(cells.indptr)), cells.indices] = cells.counts
    assert (dense.sum(1) == cells.totals).all() and dense.max() > 8
    names = gene_names(config)
    knocked = np.array(cells.about["perturbation"])
    for regulator in range(10):
        of = knocked == names[regulator]
        assert dense[of, regulator].mean() < dense[knocked == "", regulator].mean()
    signs, moved = [], []
    for regulator, target, weight in tissue.truth()["edges"]:
        of, gene = knocked == regulator, names.index(target)
        share = dense[:, gene] / cells.totals
        signs.append(-np.sign(weight))
        moved.append(share[of].mean() - share[knocked == ""].mean())
    assert np.corrcoef(signs, np.sign(moved))[0, 1] > 0.3
