import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.training.recipes.hrm_lm.conftest import build, tiny


def batch_of(recipe, data, config, rows=8):
    return recipe.batch(data, config, np.arange(rows), np.zeros(rows, np.int64))


def loss_of(recipe, data, training=True, opened=True, **overrides):
    config, model = tiny(**overrides), build(**overrides)
    if opened:
        model.count_rows(8 * 100)
    batch = batch_of(recipe, data, config)
    return recipe.loss(model.train(training), config, batch), model, batch


def test_the_loss_is_the_mean_over_labels_that_are_not_padding(recipe, data):
    found, model, batch = loss_of(recipe, data)
    logits = model(batch["encoder_ids"], batch["encoder_mask"], batch["decoder_ids"]).logits_BTV
    kept = batch["labels"] != -100
    assert not kept.all()
    assert found["loss"].item() == pytest.approx(F.cross_entropy(logits[kept], batch["labels"][kept]).item(), rel=1e-5)
    assert set(found) == {"loss"}


def test_every_term_enters_with_its_weight_in_training_and_not_in_evaluation(recipe, data):
    overrides = {
        "model.core.halt_weight": 0.3,
        "model.core.halt_target": 1.5,
        "model.core.ds_weight": 0.5,
        "model.moe.enabled": True,
        "model.moe.aux_weight": 0.7,
        "model.moe.capacity_factor": 9.0,
    }
    trained, _, _ = loss_of(recipe, data, **overrides)
    measured, model, batch = loss_of(recipe, data, training=False, **overrides)
    terms = 0.3 * trained["halt_loss"] + 0.5 * trained["earlier_loss"] + 0.7 * trained["balance_loss"]
    assert trained["loss"].item() == pytest.approx((measured["loss"] + terms).item(), rel=1e-4)
    halts = model.remember(batch["encoder_ids"], batch["encoder_mask"]).core.halt_CB
    assert halts.shape == (2, 8)
    assert measured["halt_loss"].item() == pytest.approx((halts.sum(0) - 1.5).square().mean().item(), rel=1e-5)


def test_terms_are_zero_and_still_named_while_the_gate_is_shut(recipe, data):
    overrides = {"model.core.halt_weight": 0.3, "model.core.ds_weight": 0.5}
    shut, _, _ = loss_of(recipe, data, opened=False, **overrides)
    opened, _, _ = loss_of(recipe, data, **overrides)
    assert set(shut) == set(opened) and shut["halt_loss"] == shut["earlier_loss"] == 0.0


def test_the_configured_loss_is_used(recipe, data):
    plain, _, _ = loss_of(recipe, data)
    smoothed, _, _ = loss_of(recipe, data, **{"loss.kwargs": {"label_smoothing": 0.3}})
    assert abs(plain["loss"].item() - smoothed["loss"].item()) > 1e-3


def test_states_for_the_collapse_monitor_are_one_per_row_and_one_per_label(recipe, data):
    config, model = tiny(), build().eval()
    batch = batch_of(recipe, data, config)
    labels = int((batch["labels"] != -100).sum())
    assert set(recipe.states(model, config, batch)) == {"decoder"}
    model.count_rows(800)
    found = recipe.states(model, config, batch)
    assert [x.shape for x in found["core"]] == [(8, 16)] * 2 and [x.shape for x in found["decoder"]] == [
        (labels, 16)
    ] * 2
    memory = model.remember(batch["encoder_ids"], batch["encoder_mask"])
    assert torch.equal(found["core"][0], memory.core.z_BD[-1])
