"""The faults of a published pipeline of this kind, each as a test that would fail on it."""

import numpy as np
import pytest
import torch

from assets_data.domains.cells.cells import Chunk
from assets_data.lineage import with_overrides
from tests.training.recipes.cell_mlm.test_models import KINDS, RECIPE, batch_of
from training.recipes.cell_mlm.contestants import embeddings
from training.recipes.cell_mlm.losses import target_losses
from training.recipes.cell_mlm.model import Autoencoder


def opened(kind, store, inputs):
    config = with_overrides(RECIPE.presets["smoke"](), KINDS[kind])
    data = RECIPE.open_data(store, inputs, config)
    torch.manual_seed(0)
    return config, data, RECIPE.build_model(config, RECIPE.model_inputs(data, config)).eval()


def test_embeddings_are_made_of_the_values_that_were_trained_on(cells_store, cells_inputs):
    """Not of raw counts: a cell counted three times as deep has the same logarithms, so nearly the same embedding."""
    config, data, _model = opened("continuous values", cells_store, cells_inputs)

    class Deeper:
        row_keys, totals = data.cells.row_keys, data.cells.totals * 3

        @property
        def rows(self):
            return self

        def take(self, rows):
            lengths, genes, counts = data.cells.rows.take(rows)
            return lengths, genes, counts * 3

    from training.recipes.cell_mlm.batches import make_batch

    zero = np.zeros(2, np.int64)
    one = make_batch(data.cells, data.vocabulary, config, np.array([0, 1]), zero, True)
    other = make_batch(Deeper(), data.vocabulary, config, np.array([0, 1]), zero, True)
    assert torch.allclose(one["values"], other["values"], atol=1e-5) and one["values"].max() < 12


@pytest.mark.parametrize("kind", ["binned values", "continuous values", "binned nb"])
def test_a_hidden_genes_value_is_not_in_the_batch(kind, cells_store, cells_inputs):
    config, data, _ = opened(kind, cells_store, cells_inputs)
    batch = batch_of(data, config, [0, 1, 2])
    assert batch["masked"].any() and all((batch[n][batch["masked"]] == 0).all() for n in ("counts", "values", "bins"))


def test_no_value_is_in_a_batch_whose_places_tell(cells_store, cells_inputs):
    """A rank is all that is told of a gene, so a count that nothing needs cannot give a hidden gene away."""
    config, data, _ = opened("rank_value genes", cells_store, cells_inputs)
    assert not [name for name in batch_of(data, config, [0, 1, 2]) if name.startswith(("count", "value", "bin"))]


def test_bins_are_predicted_from_the_others_and_not_from_the_value_itself(cells_store, cells_inputs):
    """See also test_models: another count in a hidden place changes no prediction."""
    config, data, _model = opened("binned values", cells_store, cells_inputs)
    batch = batch_of(data, config, [0, 1, 2])
    told = {**batch, "masked": torch.zeros_like(batch["masked"])}
    assert set(batch["answer_bin"].tolist()) - {0} and (told["bins"].flatten()[batch["where"]] == 0).all()


def test_the_autoencoders_decoder_is_told_which_gene_it_is_asked_for(cells_store, cells_inputs):
    config, data, model = opened("mae bins", cells_store, cells_inputs)
    assert isinstance(model, Autoencoder)
    batch = batch_of(data, config, [0])
    other = {**batch, "asked": (batch["asked"] + 1) % len(data.vocabulary.names)}
    with torch.no_grad():
        assert not torch.allclose(model.decode(batch), model.decode(other), atol=1e-4)
    assert not set(batch["asked"][0].tolist()) & set(batch["genes"][0][batch["valid"][0]].tolist())


def test_autoregressive_is_a_shift_and_not_a_mask_alone(cells_store, cells_inputs):
    """Position t is asked for gene t + 1: what stands at a position never changes the loss of that position."""
    config, data, model = opened("autoregressive bins", cells_store, cells_inputs)
    batch = batch_of(data, config, [0])
    last = batch["genes"].shape[1] - 1
    changed = {name: value.clone() for name, value in batch.items()}
    changed["counts"][0, last], changed["values"][0, last] = 99, 9.0
    with torch.no_grad():
        before, after = (target_losses(model, config, b)["gene_nats"] for b in (batch, changed))
    assert torch.equal(before, after) and len(before) == last + 1


def test_the_checkpoint_carries_its_genes_so_that_none_are_permuted_silently(cells_store, cells_inputs):
    config, data, _ = opened("rank_value genes", cells_store, cells_inputs)
    inputs = RECIPE.model_inputs(data, config)
    assert inputs["genes"] == list(data.vocabulary.names) and len(inputs["medians"]) == len(inputs["genes"])


def test_the_total_is_that_of_all_genes_and_not_of_the_vocabularys(cells_store, cells_inputs):
    _, data, _ = opened("rank_value genes", cells_store, cells_inputs)
    lengths, _, counts = data.cells.rows.take(np.arange(len(data.cells)))
    kept = np.add.reduceat(counts.astype(np.int64), np.cumsum(lengths) - lengths)
    outside = data.cells.table["outside"].to_numpy().astype(np.int64)
    assert (kept + outside == data.cells.totals).all() and "totals" in Chunk.__dataclass_fields__


def test_no_donor_is_in_two_splits(cells_store, cells_inputs):
    _, data, _ = opened("rank_value genes", cells_store, cells_inputs)
    donors = [set(split.cells.names("donor")) for split in (data, data.validation, data.test)]
    assert all(donors) and not (donors[0] & donors[1] or donors[0] & donors[2] or donors[1] & donors[2])


def test_validation_masks_are_the_same_every_time(cells_store, cells_inputs):
    config, data, _ = opened("rank_value genes", cells_store, cells_inputs)
    rows, zero = np.arange(4), np.zeros(4, np.int64)
    one, other = (RECIPE.batch(data.validation, config, rows, zero) for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)
    trained = [RECIPE.batch(data, config, rows, zero + epoch)["where"] for epoch in (0, 1)]
    assert not torch.equal(*trained)


def test_cells_stay_in_the_file_until_they_are_asked_for(cells_store, cells_inputs):
    """Values are views of the mapped file: they own no memory."""
    _, data, _ = opened("rank_value genes", cells_store, cells_inputs)
    assert all(not genes.flags.owndata for genes in data.cells.rows.genes) and embeddings.__module__
