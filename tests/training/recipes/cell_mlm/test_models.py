"""What no model may see, whatever its tokens: hidden values, padding, what ranks after; and a batch is its cells."""

import numpy as np
import pytest
import torch

from assets_data.lineage import with_overrides
from training.recipe import discover
from training.recipes.cell_mlm.batches import make_batch
from training.recipes.cell_mlm.losses import count_log_bins, hidden_gene_logits, next_gene_logits, target_losses
from training.recipes.cell_mlm.model import PREFIX

RECIPE = discover()["cell_mlm"]
KINDS = {
    "rank_value genes": {},
    "binned values": {"tokens.tokenizer": "binned", "objective.task": "values"},
    "binned quantiles": {"tokens.tokenizer": "binned", "tokens.bins": "quantiles", "objective.task": "values"},
    "binned nb": {"tokens.tokenizer": "binned", "objective.task": "values", "objective.value_loss": "nb"},
    "continuous values": {"tokens.tokenizer": "continuous", "objective.task": "values", "objective.value_loss": "mse"},
    "gene_embedding": {"tokens.tokenizer": "gene_embedding", "objective.task": "values"},
    "autoregressive ranks": {"model.family": "autoregressive"},
    "autoregressive bins": {"model.family": "autoregressive", "tokens.tokenizer": "binned"},
    "autoregressive values": {"model.family": "autoregressive", "tokens.tokenizer": "continuous"},
    "mae bins": {"model.family": "mae", "tokens.tokenizer": "binned"},
    "mae values": {"model.family": "mae", "tokens.tokenizer": "continuous"},
    "mae gene_embedding": {"model.family": "mae", "tokens.tokenizer": "gene_embedding"},
}


@pytest.fixture(params=KINDS)
def config(request):
    return with_overrides(RECIPE.presets["smoke"](), KINDS[request.param])


@pytest.fixture
def data(config, cells_store, cells_inputs):
    return RECIPE.open_data(cells_store, cells_inputs, config)


@pytest.fixture
def model(config, data):
    torch.manual_seed(0)
    model = RECIPE.build_model(config, RECIPE.model_inputs(data, config))
    with torch.no_grad():  # far from the start, so that a leak is seen
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model.eval()


def batch_of(data, config, rows, held_out=True):
    rows = np.asarray(rows)
    return make_batch(data.cells, data.vocabulary, config, rows, np.zeros(len(rows), np.int64), held_out)


def nats(model, config, batch):
    with torch.no_grad():
        return target_losses(model, config, batch)["loss"]


def test_a_batch_is_its_cells_one_by_one_and_padding_changes_nothing(model, config, data):
    rows = [5, 0, 17, 3]
    together = nats(model, config, batch_of(data, config, rows))
    alone = torch.cat([nats(model, config, batch_of(data, config, [row])) for row in rows])
    assert torch.allclose(together, alone, atol=2e-4)


def prediction(model, config, batch):
    """What the model says before it is told any answer."""
    with torch.no_grad():
        if config.model.family == "mae":
            return model.decode(batch).flatten(0, 1)[batch["where"]]
        return model(batch)[:, PREFIX:].flatten(0, 1)[batch["where"]]


def test_what_is_hidden_is_not_in_the_batch_and_changes_no_prediction(model, config, data):
    """The whole way from the count in the file: another count in the hidden places gives the same prediction."""
    if config.model.family == "autoregressive":
        pytest.skip("nothing is hidden; see what ranks after")
    if config.objective.task == "genes" and config.model.family == "encoder":
        pytest.skip("see the hidden names")
    batch = batch_of(data, config, [2, 9])
    said = prediction(model, config, batch)
    changed = Recounted(data.cells, batch, config)
    again = make_batch(changed, data.vocabulary, config, np.array([2, 9]), np.zeros(2, np.int64), True)
    assert (again["answer_count"] != batch["answer_count"]).any() and torch.equal(again["answer"], batch["answer"])
    assert torch.equal(prediction(model, config, again), said)


class Recounted:
    """Cells in which every hidden gene with a count was counted once more; totals, keys and ranks stay."""

    def __init__(self, cells, batch, config):
        self._cells, self.row_keys, self.totals = cells, cells.row_keys, cells.totals
        self._hidden = {(int(c), int(g)) for c, g in zip(batch["cell"], batch["answer"], strict=True)}

    @property
    def rows(self):
        return self

    def take(self, rows):
        lengths, genes, counts = self._cells.rows.take(rows)
        cell = np.repeat(np.arange(len(rows)), lengths)
        more = [(int(c), int(g)) in self._hidden for c, g in zip(cell, genes, strict=True)]
        return lengths, genes, counts + np.array(more, counts.dtype) * 7


@pytest.mark.parametrize("tokenizer", ["rank_value"])
def test_a_hidden_name_is_not_in_the_batch(cells_store, cells_inputs, tokenizer):
    config = RECIPE.presets["smoke"]()
    data = RECIPE.open_data(cells_store, cells_inputs, config)
    batch = batch_of(data, config, [2, 9, 30])
    shown = batch["genes"][batch["valid"] & ~batch["hidden_names"]]
    cells = torch.arange(3)[:, None].expand_as(batch["genes"])[batch["valid"] & ~batch["hidden_names"]]
    seen = {(int(c), int(g)) for c, g in zip(cells, shown, strict=True)}
    asked = {(int(c), int(g)) for c, g in zip(batch["cell"], batch["answer"], strict=True)}
    assert asked and not asked & seen and (batch["genes"][batch["hidden_names"]] == 0).all()
    torch.manual_seed(1)
    model = RECIPE.build_model(config, RECIPE.model_inputs(data, config)).eval()
    with torch.no_grad():
        logits = hidden_gene_logits(model, model(batch)[:, PREFIX:].flatten(0, 1)[batch["where"]], batch)
    assert all(logits[k, g] == float("-inf") for k in range(len(logits)) for c, g in seen if c == batch["cell"][k])
    assert torch.isfinite(logits.gather(1, batch["answer"][:, None])).all()


@pytest.mark.parametrize("ranks", ["buckets", "exact"])
def test_in_buckets_it_does_not_show_which_gene_is_next_to_which(cells_store, cells_inputs, ranks):
    config = with_overrides(RECIPE.presets["smoke"](), {"tokens.ranks": ranks})
    data = RECIPE.open_data(cells_store, cells_inputs, config)
    torch.manual_seed(0)
    model = RECIPE.build_model(config, RECIPE.model_inputs(data, config)).eval()
    batch = {name: value.clone() for name, value in batch_of(data, config, [4]).items()}
    batch["hidden_names"][:] = False
    turned = {name: value.clone() for name, value in batch.items()}
    turned["genes"][0, 16:22] = turned["genes"][0, 16:22].flip(0)  # ranks 15 to 21 are one bucket
    with torch.no_grad():
        before, after = model(batch)[0, :10], model(turned)[0, :10]
    assert torch.allclose(before, after, atol=1e-5) == (ranks == "buckets")


@pytest.mark.parametrize("kind", ["autoregressive ranks", "autoregressive bins", "autoregressive values"])
def test_logits_at_t_ignore_what_follows(kind, cells_store, cells_inputs):
    config = with_overrides(RECIPE.presets["smoke"](), KINDS[kind])
    data = RECIPE.open_data(cells_store, cells_inputs, config)
    torch.manual_seed(0)
    model = RECIPE.build_model(config, RECIPE.model_inputs(data, config)).eval()
    batch = batch_of(data, config, [4])
    changed = {name: value.clone() for name, value in batch.items()}
    for name in {"genes", "counts", "bins", "values"} & set(batch):
        changed[name][:, 10:] = changed[name][:, 10:].flip(1)
    with torch.no_grad():
        before, after = model(batch)[:, : PREFIX + 10], model(changed)[:, : PREFIX + 10]
        assert torch.allclose(before, after, atol=1e-6) and not torch.allclose(model(batch), model(changed), atol=1e-3)
        logits = next_gene_logits(model, model(batch)[:, PREFIX - 1 : -1], batch["order"])
    for place in range(batch["genes"].shape[1]):  # the gene that comes is possible, those that came are not
        assert torch.isfinite(logits[0, place, batch["genes"][0, place]])
        assert (logits[0, place, batch["genes"][0, :place]] == float("-inf")).all()


def test_the_embedding_of_a_cell_does_not_depend_on_who_is_beside_it(model, config, data):
    from training.recipes.cell_mlm.contestants import embeddings

    rows = np.array([1, 8, 20])
    together = embeddings(model, data, config, rows)
    alone = np.concatenate([embeddings(model, data, config, rows[n : n + 1]) for n in range(3)])
    assert np.allclose(together, alone, atol=2e-4) and together.std() > 0


def test_bins_of_a_negative_binomial_are_its_own_probabilities():
    log_mean, log_size = torch.tensor([0.3, 2.0, 5.0]).double(), torch.tensor([0.5, 1.4, 0.0]).double()
    bins = count_log_bins(log_mean, log_size).exp()
    assert torch.allclose(bins.sum(1), torch.ones(3).double())
    chance = (log_size.exp() / (log_size.exp() + log_mean.exp())).tolist()
    drawn = np.random.default_rng(0).negative_binomial(log_size.exp().tolist(), chance, (200_000, 3))
    for place in range(3):
        shares = [
            (drawn[:, place] == 0).mean(),
            (drawn[:, place] == 1).mean(),
            ((drawn[:, place] > 2) & (drawn[:, place] < 5)).mean(),
        ]
        assert np.allclose(bins[place, [0, 1, 3]].numpy(), shares, atol=0.004)


def test_checkpointed_gradients_are_the_same(config, data, model):
    batch = batch_of(data, config, [0, 1], held_out=False)
    model.train()
    grads = []
    for again in (False, True):
        if again:
            model.checkpoint_gradients()
        model.zero_grad()
        target_losses(model, config, batch)["loss"].mean().backward()
        grads.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*grads, strict=True))
