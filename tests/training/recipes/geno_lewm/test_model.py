"""The predictor: it starts as no change, edits do not see later ones, alleles of other lengths differ."""

import numpy as np
import pytest
import torch

from assets_data.domains.genome.read import ALLELE, EMPTY
from tests.training.recipes.geno_lewm.rows import DIMS, FLANK, made_rows
from training.recipe import discover
from training.recipes.geno_lewm.batches import batch_of
from training.recipes.geno_lewm.config import GenoLewmConfig, LossConfig, ModelConfig, issues
from training.recipes.geno_lewm.losses import change_loss
from training.recipes.geno_lewm.model import Predictor

SMALL = ModelConfig(layers=2, d_model=16, heads=2)


@pytest.fixture(params=[0, FLANK], ids=["pooled", "positions"])
def flank(request):
    return request.param


@pytest.fixture
def model(flank):
    torch.manual_seed(0)
    made = Predictor(SMALL, DIMS, flank)
    torch.nn.init.normal_(made.last.weight)
    if made.positions is not None:
        torch.nn.init.normal_(made.positions.part.weight)
    return made.eval()


def test_a_new_model_predicts_no_change(flank):
    assert torch.count_nonzero(Predictor(SMALL, DIMS, flank)(batch_of(made_rows(flank=flank), np.arange(9)))) == 0


def test_what_is_carried_and_what_lies_beside_an_edit_are_part_of_the_prediction():
    torch.manual_seed(0)
    model, batch = Predictor(SMALL, DIMS, FLANK), batch_of(made_rows(flank=FLANK), np.arange(9))
    torch.nn.init.normal_(model.last.weight)
    for name in ("carried", "flank"):
        assert not torch.allclose(model(batch), model({**batch, name: batch[name].flip(-1)})), name
    torch.nn.init.zeros_(model.last.weight)
    torch.nn.init.eye_(model.positions.part.weight)
    assert torch.allclose(model(batch), batch["carried"]), "the identity and nothing else is carrying as it is"


def test_a_later_edit_changes_no_bit_of_what_was_predicted_before_it(model, flank):
    batch = batch_of(made_rows(flank=flank), np.arange(20))
    before = model(batch)
    for step in (1, 2):
        other = {name: value.clone() for name, value in batch.items()}
        other["offset"][:, step] += 3
        other["inserted"][:, step] = 2
        other["kind"][:, step] = (other["kind"][:, step] + 1) % 5
        for name in {"carried", "flank"} & set(other):
            other[name][:, step] += 1
        after = model(other)
        assert torch.equal(after[:, :step], before[:, :step]) and not torch.equal(after[:, step], before[:, step])


def test_one_edit_is_predicted_as_the_first_step_of_its_twin_with_three(model, flank):
    batch = batch_of(made_rows(flank=flank), np.arange(20))
    alone = {name: value[:, :1] if name not in ("state",) else value for name, value in batch.items()}
    assert torch.allclose(model(alone)[:, 0], model(batch)[:, 0], atol=1e-6)


def test_a_aa_and_aaa_are_three_actions(model, flank):
    batch = batch_of(made_rows(flank=flank), np.zeros(3, np.int64))
    batch["inserted"] = batch["inserted"].clone()
    for row in range(3):
        batch["inserted"][row, 0] = EMPTY
        batch["inserted"][row, 0, : row + 1] = 0
    found = model(batch)[:, 0]
    assert min(float((found[i] - found[j]).detach().abs().max()) for i in range(3) for j in range(i)) > 1e-3
    assert batch["inserted"].shape[-1] == ALLELE


def test_the_loss_is_the_one_that_is_written_down():
    batch = batch_of(made_rows(), np.arange(30))
    predicted = torch.randn(batch["change"].shape, generator=torch.Generator().manual_seed(1))
    found = change_loss(predicted, batch, LossConfig(step=0.5, cosine=0.25))
    square, step, cosine, steps = 0.0, 0.0, 0.0, 0
    for row in range(30):
        for k in range(3):
            if batch["valid"][row, k]:
                error = predicted[row, k] - batch["change"][row, k]
                before = predicted[row, k - 1] - batch["change"][row, k - 1] if k else torch.zeros(DIMS)
                square, step = square + float(error.square().mean()), step + float((error - before).square().mean())
                cosine += 1 - float(torch.cosine_similarity(predicted[row, k], batch["change"][row, k], dim=0))
                steps += 1
    assert float(found["loss"]) == pytest.approx((square + 0.5 * step + 0.25 * cosine) / steps, rel=1e-5)


def test_the_adapters_phase_trains_the_adapter_alone_and_is_refused_without_one():
    recipe = discover()["geno_lewm"]
    config = GenoLewmConfig(model=ModelConfig(adapter="linear"), loss=LossConfig(phase="adapter", variance=1.0))
    model = recipe.build_model(config, {"dims": DIMS, "flank": 0})
    assert [name for name, p in model.named_parameters() if p.requires_grad] == ["adapter.weight"]
    assert [issue.code for issue in issues(config)] == []
    nothing = GenoLewmConfig(loss=LossConfig(phase="adapter"))
    early = GenoLewmConfig(loss=LossConfig(variance=1.0))
    assert [i.code for i in issues(nothing)] == ["GENO_LEWM_NOTHING_TRAINS"]
    assert [i.code for i in issues(early)] == ["GENO_LEWM_PHASE"]
