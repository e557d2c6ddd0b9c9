"""``stemma embed``: an AnnData that other tools read, by names of genes, and its refusals."""

import anndata
import numpy as np
import pytest
import scipy.sparse as sp

from assets_data.lineage import ConfigError, DataError, Store, with_overrides
from pipeline_defs.commands.embed import embed
from tests.assets_data.domains.cells import files
from tests.cells_dataset import make_cells_inputs
from training.recipe import discover
from training.stages import make_checkpoint, make_preflight_report

MLM = discover()["cell_mlm"]
SHORT = {"train.updates": 2, "train.batch_rows": 4, "train.schedule.warmup": 0, "gate.prediction": False}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("embed"))
    inputs = {"manifest": make_cells_inputs(store)["cells/dataset_manifest"]}
    preflight = make_preflight_report(store, MLM, inputs, with_overrides(MLM.presets["smoke"](), SHORT))
    return make_checkpoint(store, MLM, inputs, preflight), inputs["manifest"]


def test_cells_of_a_file_get_embeddings_that_do_not_depend_on_its_columns(made, tmp_path):
    checkpoint, _ = made
    genes = checkpoint.read_json("training.json")["model_inputs"]["genes"]
    counts = np.random.default_rng(0).poisson(1.0, (30, len(genes)))
    order = np.random.default_rng(1).permutation(len(genes))
    files.write_h5ad(tmp_path / "a.h5ad", sp.csr_matrix(counts), genes=genes)
    files.write_h5ad(tmp_path / "b.h5ad", sp.csc_matrix(counts[:, order]), genes=[genes[place] for place in order])
    done = [embed(checkpoint, tmp_path / f"{n}.h5ad", tmp_path / f"{n}-out.h5ad", {}) for n in "ab"]
    read = [anndata.read_h5ad(tmp_path / f"{n}-out.h5ad") for n in "ab"]
    assert done[0]["cells"] == 30 and read[0].obsm["X_stemma"].shape == (30, 32)
    assert np.allclose(read[0].obsm["X_stemma"], read[1].obsm["X_stemma"], atol=1e-5)
    assert (read[0].X.toarray() == counts).all() and read[0].uns["stemma"]["checkpoint"] == checkpoint.id
    assert read[0].obs["donor"].tolist() == files.obs(30)["donor"].tolist()
    with pytest.raises(DataError, match="EMBED_EXISTS"):
        embed(checkpoint, tmp_path / "a.h5ad", tmp_path / "a-out.h5ad", {})


def test_what_cannot_be_embedded_is_refused(made, tmp_path):
    checkpoint, manifest = made
    files.write_h5ad(tmp_path / "a.h5ad", sp.csr_matrix(np.eye(4, 40)))
    with pytest.raises(DataError, match="CELL_GENES_UNKNOWN"):
        embed(checkpoint, tmp_path / "a.h5ad", tmp_path / "out.h5ad", {})
    with pytest.raises(DataError, match="CELL_COLUMN"):
        embed(checkpoint, tmp_path / "a.h5ad", tmp_path / "out.h5ad", {"files": {"layer": "nowhere"}})
    with pytest.raises(ConfigError, match="EMBED_UNSUPPORTED"):
        embed(manifest, tmp_path / "a.h5ad", tmp_path / "out.h5ad", {})
    assert not list(tmp_path.glob("*out*"))
